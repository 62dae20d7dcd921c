"""Measuring: variants that differ in one thing, data or what looks like them, and a report of plain values."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from onward import registry
from onward.algorithms import Backprop, CaFo, DeeperForward, MonoForward
from onward.core import InputForm, TrainerSettings
from onward.costs.process import fresh_process
from onward.costs.step import MeasuredSteps, ProcessMemory
from onward.costs.step_benchmark import StepBenchmark, interleave, measure, random_like, shapes_like, variants
from onward.data import Augmentation, DataSettings
from onward.measure import CATEGORIES, PHASES, PeakRate
from onward.nets import MLP, Architecture, CaFoCNN, Dense, TinyCNN
from onward.recipes import Recipe
from onward.recipes.lookup import import_file
from onward.runs import ModelSpec
from onward.runs.input_form import TargetForm
from onward.storage.typed import from_json, to_json

CPU = torch.device("cpu")


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="toy",
        description="a toy",
        algorithm=DeeperForward(),
        net=TinyCNN(width=10, dropout=0.3),
        data=DataSettings(augmentation=Augmentation(crop=1)),
        trainer=TrainerSettings(optimizer="sgd", precision="bf16"),
        epochs=1,
        batch_size=16,
    )


def test_contenders_differ_in_algorithm_recomputing_and_pieces_alone(recipe: Recipe):
    own, control, again, pieces = variants(recipe, micro_batches=3)
    assert (own.algorithm, own.trainer) == (recipe.algorithm, recipe.trainer)
    assert control.algorithm == again.algorithm == pieces.algorithm == Backprop(of=recipe.algorithm)
    assert control.trainer == recipe.trainer
    assert again.trainer == replace(recipe.trainer, recompute=True)
    assert pieces.trainer == replace(recipe.trainer, micro_batches=3)


def test_a_control_is_not_measured_beside_itself(recipe: Recipe):
    found = variants(replace(recipe, algorithm=Backprop()))
    assert [variant.name for variant in found] == ["backprop", "backprop, recompute", "backprop, 4 micro-batches"]


def test_random_images_stand_in_for_a_set_that_is_not_here(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    away = replace(recipe, data=DataSettings(name="cifar100"), batch_size=300)
    data = shapes_like(away, tmp_path)
    assert (data.name, data.shape, data.num_classes) == ("random (3, 32, 32)", (3, 32, 32), 100)
    assert len(data.train) >= 300
    small = shapes_like(replace(recipe, data=DataSettings(name="imagenet", size=4)), tmp_path)
    assert (small.shape, small.num_classes) == ((3, 4, 4), 1000)
    assert shapes_like(recipe, None).name == "digits" == random_like(recipe).name
    assert random_like(away).name == data.name


def test_timed_steps_alternate_and_the_first_ones_do_not_count():
    log: list[str] = []

    def timed(name: str) -> Callable[[], float]:
        return lambda: log.append(name) or float(len(log))

    assert interleave([timed("a"), timed("b")], 2) == [[3, 5], [4, 6]]
    assert "".join(log) == "ababab"


def test_memory_is_that_of_a_training_in_its_midst(recipe: Recipe):
    """In the very first step there is no optimizer state yet while the first blocks are at work."""
    recipe = replace(recipe, trainer=TrainerSettings(optimizer="adamw"))
    benchmark = StepBenchmark.of(variants(recipe)[0], recipe, shapes_like(recipe, None), CPU)
    first, weights = benchmark.memory(), sum(p.nbytes for p in benchmark.learner.parameters())
    assert first.by_category["optimizer"] >= 2 * weights
    assert benchmark.memory().peak == first.peak


def test_a_report_is_whole_and_plain(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    import onward.costs.step_benchmark as measuring

    monkeypatch.setattr(measuring, "fresh_process", lambda *_, **__: ProcessMemory(0, 1))
    found = json.loads(json.dumps(to_json(measure(recipe, CPU, steps=2))))
    assert to_json(from_json(found, MeasuredSteps, "here")) == found
    assert (found["recipe"], found["batch_size"], found["precision"], found["data"]) == ("toy", 16, "bf16", "digits")
    own, control, again, pieces = found["contenders"]
    assert own["flops"]["total"] == own["flops"]["ideal"] < control["flops"]["total"] < again["flops"]["total"]
    assert pieces["flops"]["total"] == control["flops"]["total"]
    for row in found["contenders"]:
        assert len(row["steps"]) == 2 and 0 < row["step_seconds"] < 60
        assert row["images_per_second"] == pytest.approx(16 / row["step_seconds"])
        assert sum(row["flops"]["by_block"]) == row["flops"]["total"]
        assert {share["phase"] for share in row["phases"]} == set(PHASES)
        assert set(row["memory"]["by_category"]) == set(CATEGORIES)
        assert row["memory"]["peak"] >= row["memory"]["floor"] > 0


def test_what_a_cache_of_activations_stores_is_counted(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    import onward.costs.step_benchmark as measuring

    monkeypatch.setattr(measuring, "fresh_process", lambda *_, **__: ProcessMemory(0, 1))
    monkeypatch.setattr(measuring, "peak_rate", lambda *_: PeakRate(1.0, 1.0))
    trainer = TrainerSettings(order="cascade", cache_activations=True)
    settings = DataSettings(augmentation=Augmentation())
    recipe = replace(recipe, algorithm=CaFo(), net=CaFoCNN(width=2), data=settings, trainer=trainer)
    # Two maps of 4 x 4, 8 of 2 x 2, 32 of one pixel: what enters batch norm, what is read of it and what is handed on.
    assert measure(recipe, CPU, steps=1).stored_per_image == 3 * 32 * 4
    plain = replace(recipe, trainer=TrainerSettings())
    assert measure(plain, CPU, steps=1).stored_per_image is None


def test_a_batch_larger_than_the_data_is_counted_as_it_is(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    import onward.costs.step_benchmark as measuring

    asked: list[int] = []
    monkeypatch.setattr(measuring, "fresh_process", lambda *_, rows, **__: asked.append(rows) or ProcessMemory(0, 1))
    monkeypatch.setattr(measuring, "peak_rate", lambda *_: PeakRate(1.0, 1.0))
    recipe = replace(recipe, net=MLP(width=10, depth=1), trainer=TrainerSettings(), batch_size=10**6)
    found = measure(recipe, CPU, steps=1)
    images = len(shapes_like(recipe, None).train)
    assert found.batch_size == images and set(asked) == {images}
    own = found.contenders[0]
    assert own.images_per_second == pytest.approx(images / own.step_seconds)


def _spec(recipe: Recipe, net: Architecture, shape: tuple[int, ...], **form: Any) -> ModelSpec:
    names, zeros = tuple(map(str, range(10))), (0.0,) * shape[0]
    return ModelSpec(recipe.algorithm, net, shape, names, zeros, (1.0,) * shape[0], **form)


def test_a_process_of_its_own_tells_what_it_held(recipe: Recipe):
    found = fresh_process(_spec(recipe, MLP(width=1000, depth=1), (1, 64, 64)), recipe.trainer, rows=8, device=CPU)
    assert found.peak is not None and found.before is not None
    assert found.peak - found.before > 2 * 1000 * 64 * 64 * 4  # a gradient and its momentum


def test_a_process_that_dies_is_reported(recipe: Recipe):
    found = fresh_process(_spec(recipe, TinyCNN(width=7), (1, 8, 8)), recipe.trainer, rows=8, device=CPU)
    assert "7 channels cannot be split" in (found.error or "")


@pytest.mark.parametrize("target", [None, TargetForm("labels"), TargetForm("values", (0.0,) * 10, (1.0,) * 10)])
def test_a_process_takes_tables_and_every_target(recipe: Recipe, target: TargetForm | None):
    recipe = replace(recipe, algorithm=MonoForward())
    spec = _spec(recipe, Dense(hidden=(20,)), (5,), form=InputForm("table", (5,)), target=target)
    found = fresh_process(spec, recipe.trainer, rows=8, device=CPU)
    assert found.error is None and found.peak is not None


def test_a_process_knows_what_an_imported_file_registers(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.setattr(registry.ALGORITHMS, "_values", dict(registry.ALGORITHMS._values))
    request.addfinalizer(lambda: sys.modules.pop(f"{registry.FILE_PREFIX}measured_method", None))
    file = tmp_path / "measured_method.py"
    file.write_text(
        "from dataclasses import dataclass\n\nimport onward\n\n\n@onward.register\n@dataclass(frozen=True)\n"
        "class MeasuredMethod(onward.algorithms.MonoForward):\n    pass\n"
    )
    method = import_file(file).MeasuredMethod()
    spec = _spec(replace(recipe, algorithm=method), TinyCNN(width=10), (1, 8, 8))
    found = fresh_process(spec, recipe.trainer, rows=8, device=CPU)
    assert found.error is None and found.peak is not None
