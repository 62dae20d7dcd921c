"""The benchmark of classes that come two at a time: its figures by hand, and which images a task shows."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def continual(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import continual  # pyright: ignore[reportMissingImports]

    yield continual
    for name in ("continual", "page_in_node", "report"):
        sys.modules.pop(name, None)


def test_forgetting_is_the_fall_from_the_best(continual):
    nan = float("nan")
    accuracy = torch.tensor([[0.9, nan, nan], [0.95, 0.8, nan], [0.5, 0.6, 1.0]])
    assert continual.final(accuracy) == pytest.approx(0.7) and continual.seen(accuracy, 1) == pytest.approx(0.875)
    assert continual.forgetting(accuracy) == pytest.approx((0.45 + 0.2) / 2)


@pytest.mark.parametrize("memory", [0, 6])
def test_a_task_shows_its_own_classes_and_kept_images_of_earlier_ones(continual, memory: int, toy_data):
    course = continual.Course("bars", continual.MLP(width=6, depth=2), 2, 4, memory, (0,))
    tasks = torch.tensor([[0], [2], [1]])
    shown = list(continual.batches(toy_data.train, tasks, 2, course, 0))
    own = int((toy_data.train.labels == 1).sum())
    assert sum(int((y == 1).sum()) for _, y in shown) == 2 * own, "every image of the task, in each pass"
    kept = {tuple(image.flatten().tolist()) for x, y in shown for image in x[y != 1]}
    assert len(kept) <= memory and bool(kept) == bool(memory)
    first = list(continual.batches(toy_data.train, tasks, 0, course, 0))
    assert {int(label) for _, y in first for label in y} == {0}


def test_the_table_of_the_page_is_that_of_the_file(continual):
    rows = continual.json.loads((FOLDER.parent / "results" / "benchmarks" / "continual.json").read_text())["rows"]
    page = (FOLDER.parent / "docs" / "continual.md").read_text(encoding="utf-8")
    assert rows and continual.table(rows) in page


def test_the_page_in_node_answers_and_learns_as_the_page(continual, toy_data):
    if shutil.which("node") is None:
        pytest.skip("needs node on this machine")
    spec = continual.spec_for(continual.MonoForward(), continual.MLP(width=6, depth=2), toy_data)
    learner, labels = spec.build(seed=0), toy_data.train.labels
    images = (255 * toy_data.train.pixels).byte()
    with continual.PageInNode(learner, spec, rule="last_block") as page:
        own = learner.eval().predict(images, rule="last_block")
        assert page.predict(images).tolist() == own.tolist()
        page.teach(images[:9], own[:9])
        assert page.steps == [], "what is right is no lesson"
        page.keep(images[9:], labels[9:])
        page.teach(images[:9], labels[:9])
        assert 0 < len(page.steps) <= 9 and all(30 <= steps <= 90 for steps in page.steps)
        assert (page.predict(images) == labels).double().mean() > 0.9
        assert page.sizes() == {"weights": 4 * sum(p.numel() for p in learner.parameters()), "moments": 0}
