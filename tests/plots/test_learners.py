"""Charts of a learner on images: what they hold is what the learner says, of a run on its test split."""

import base64
import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import onward
from onward import plots
from onward.core import Learner
from onward.data import Splits
from onward.recipes import Recipe
from onward.runs import RunOptions, train


@pytest.fixture
def learner(toy_data: Splits) -> Learner:
    """Untrained, so that it is wrong about some images."""
    spec = onward.runs.spec_for(onward.algorithms.DeeperForward(), onward.nets.TinyCNN(width=6), toy_data)
    return spec.build().eval()


def _rows(chart, name: str) -> list[dict]:
    return chart.to_dict(validate=True)["datasets"][name]


def _pixels(row: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(row["u"].split(",")[1]))))


def test_confusion_counts_every_image(learner: Learner, toy_data: Splits):
    images, labels = toy_data.test.pixels, toy_data.test.labels
    cells = _rows(plots.confusion(learner, images, labels), "cells")
    assert sum(cell["n"] for cell in cells) == len(labels)
    right = sum(cell["n"] for cell in cells if cell["r"] == cell["c"])
    assert right / len(labels) == pytest.approx(learner.score(images, labels))


def test_goodness_is_that_of_the_right_label_and_of_the_best_other(learner: Learner, toy_data: Splits):
    images, labels = toy_data.test.pixels, toy_data.test.labels
    rows = _rows(plots.goodness(learner, images, labels), "blocks")
    scores = learner.score_blocks(images).double().numpy()
    assert len(rows) == 2 * len(scores)
    for block, found in enumerate(scores):
        scaled = (found - found.mean()) / found.std(ddof=1)
        right = [row[label] for row, label in zip(scaled, labels.tolist(), strict=True)]
        wrong = [max(np.delete(row, label)) for row, label in zip(scaled, labels.tolist(), strict=True)]
        for name, values in (("right label", right), ("best wrong label", wrong)):
            (row,) = [row for row in rows if (row["k"], row["m"]) == (block + 1, name)]
            assert [row[key] for key in "abcde"] == pytest.approx(
                np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9]), abs=1e-3
            )


def test_mistakes_are_those_by_the_largest_lead(learner: Learner, toy_data: Splits):
    images, labels = toy_data.test.pixels, toy_data.test.labels
    scores = learner.predict_scores(images)
    lead = scores.max(1).values - scores[torch.arange(len(labels)), labels]
    rows = _rows(plots.mistakes(learner, images, labels, count=3), "pictures")
    worst = lead.argsort(descending=True)[: len(rows)]
    assert 1 <= len(rows) <= 3
    assert [(row["s"], row["t"]) for row in rows] == [
        (str(int(labels[k])), f"→ {int(scores[k].argmax())}") for k in worst
    ]
    first = (images[worst[0], 0].double().numpy() * 255).round().astype(np.uint8)
    assert (_pixels(rows[0])[::8, ::8] == first).all(), "each pixel is drawn as eight by eight"
    told_right = scores.argmax(1)
    with pytest.raises(ValueError, match="are classified correctly: give more"):
        plots.mistakes(learner, images, told_right)


@pytest.mark.parametrize("net", [onward.nets.TinyCNN(width=6), onward.nets.MLP(width=6, depth=2)])
def test_filters_are_the_first_weights_from_dark_to_bright(net, toy_data: Splits):
    learner = onward.runs.spec_for(onward.algorithms.MonoForward(), net, toy_data).build()
    rows = _rows(plots.filters(learner, count=4), "pictures")
    weights = next(p for p in learner.blocks[0].body.parameters() if p.ndim > 1)[:4].detach()
    side = 5 if weights.ndim == 4 else 8
    assert len(rows) == 4
    for row, weight in zip(rows, weights.reshape(4, side, side), strict=True):
        drawn = _pixels(row)[:: 64 // side, :: 64 // side][:side, :side]
        assert drawn.min() == 0 and drawn.max() == 255
        assert divmod(int(weight.argmax()), side) == divmod(int(drawn.argmax()), side)


def test_a_run_is_evaluated_on_its_test_split(toy_recipe: Recipe, place: RunOptions):
    folder, result = train(replace(toy_recipe, epochs=1), place)
    cells = _rows(plots.confusion(folder.path), "cells")
    assert sum(cell["n"] for cell in cells) == result.n_test
    right = sum(cell["n"] for cell in cells if cell["r"] == cell["c"])
    assert right / (result.n_test or 1) == pytest.approx(result.test_accuracy)


def test_what_cannot_be_drawn_is_refused(learner: Learner, toy_data: Splits):
    images, labels = toy_data.test.pixels, toy_data.test.labels
    with pytest.raises(ValueError, match="labels must be one whole number from 0 to 2 for each of"):
        plots.confusion(learner, images, np.full(len(labels), 3))
    with pytest.raises(ValueError, match="a learner holds no images: give images and labels"):
        plots.goodness(learner)
    with pytest.raises(ValueError, match="give images and labels, or neither"):
        plots.mistakes(learner, images)
    for columns in (1, 5):
        flat = onward.from_arrays(np.random.default_rng(0).normal(size=(40, columns)), np.arange(40) % 2)
        table = onward.runs.spec_for(onward.algorithms.MonoForward(), onward.nets.MLP(width=6, depth=2), flat).build()
        with pytest.raises(ValueError, match="no filters to show"):
            plots.filters(table)


def test_the_gallery_of_the_documentation_has_a_picture_for_every_chart(toy_data: Splits):
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("gallery", root / "benchmarks" / "gallery.py")
    assert spec is not None and spec.loader is not None
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    images, labels = toy_data.test.pixels, (toy_data.test.labels + 1) % 3  # so that some are told wrong
    wrong = replace(toy_data, test=replace(toy_data.test, labels=labels))
    assert len(images) == len(labels)
    page = (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    for name, chart in gallery.charts(wrong, epochs=1).items():
        assert f"figures/gallery-{name}.svg" in page and f"`{name}(" in page
        chart.to_dict(validate=True)
