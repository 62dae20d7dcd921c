"""The memory limit: the fastest way that fits, and a clear word when nothing does."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from onward.algorithms import Backprop, DeeperForward, DistanceForward, PredSim
from onward.core import LocalTrainer, TrainerSettings
from onward.costs.memory_limit import _seconds, fit_memory, parse_bytes, ways
from onward.data import DataSettings, Splits, load
from onward.measure import MemoryMeter
from onward.nets import MLP, TinyCNN, VGG8b
from onward.recipes import Recipe
from onward.runs.model import spec_for

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> Splits:
    return load(DataSettings())


def _recipe(algorithm=None, **settings) -> Recipe:
    return Recipe(
        name="toy",
        description="a toy",
        algorithm=algorithm or DeeperForward(),
        net=TinyCNN(width=10, dropout=0.0),
        data=DataSettings(),
        trainer=TrainerSettings(**settings),
        epochs=1,
        batch_size=64,
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("1.5 GiB", 3 * 2**29), ("12kb", 12_000), ("7B", 7), ("2GB", 2 * 10**9), ("1MiB", 2**20)],
)
def test_sizes_are_read(text: str, size: int):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["500", "MB", "-1MB", "1 parsec", "", "1e3MB"])
def test_what_is_no_size_is_named(text: str):
    with pytest.raises(ValueError, match="500MB"):
        parse_bytes(text)


def test_a_generous_limit_changes_nothing(digits: Splits):
    recipe = _recipe(micro_batches=2)
    assert fit_memory(recipe, digits, 10**9, CPU).settings == recipe.trainer


@pytest.mark.parametrize("settings", [{"capture": "auto"}, {"compile": True}])
def test_captured_and_compiled_steps_which_need_more_are_refused(settings: dict[str, Any], digits: Splits):
    (name,) = settings
    with pytest.raises(ValueError, match=rf"a memory limit is that of plain steps.*leave {name} or the limit out"):
        fit_memory(_recipe(**settings), digits, 10**9, CPU)


def _take_seconds(monkeypatch: pytest.MonkeyPatch, seconds: dict[tuple[int, bool], float]) -> None:
    """Let steps with so many pieces, recomputing or not, take so long."""

    def timed(settings: TrainerSettings, *_: object) -> float:
        return seconds.get((settings.micro_batches, settings.recompute), 9.0)

    monkeypatch.setattr("onward.costs.memory_limit._seconds", timed)


@pytest.mark.parametrize(
    ("seconds", "pieces"),
    [({2: 1.0, 4: 1.0}, 2), ({2: 1.0, 4: 0.96}, 2), ({2: 1.0, 4: 0.9}, 4), ({2: 0.5, 4: 0.9}, 2)],
)
def test_of_what_fits_the_fastest_is_taken_and_fewer_pieces_of_about_equal_ones(
    seconds: dict[int, float], pieces: int, digits: Splits, monkeypatch: pytest.MonkeyPatch
):
    _take_seconds(monkeypatch, {(count, False): time for count, time in seconds.items()})
    recipe = replace(_recipe(), batch_size=128)
    whole = fit_memory(recipe, digits, 10**9, CPU)
    assert fit_memory(recipe, digits, whole.peak - 1, CPU).settings.micro_batches == pieces


def test_recomputing_is_taken_where_it_is_faster_than_pieces(digits: Splits, monkeypatch: pytest.MonkeyPatch):
    recipe = replace(_recipe(Backprop(of=DeeperForward())), batch_size=128)
    whole = fit_memory(recipe, digits, 10**9, CPU)
    _take_seconds(monkeypatch, {(2, False): 2.0, (4, False): 2.5, (2, True): 1.5})
    found = fit_memory(recipe, digits, whole.peak - 1, CPU)
    assert found.settings == replace(recipe.trainer, micro_batches=2, recompute=True) and "recomputing" in str(found)


def test_steps_are_timed_in_turn(digits: Splits):
    recipe = _recipe()
    learner = spec_for(recipe.algorithm, recipe.net, digits).build()
    trainer = LocalTrainer(learner, recipe.trainer)
    batch = digits.train.pixels[:8] / 255, torch.arange(8) % 10
    assert _seconds(replace(recipe.trainer, micro_batches=2), trainer, batch) > 0
    assert trainer.settings.micro_batches == 2


def test_a_tight_limit_takes_pieces_that_fit(digits: Splits, monkeypatch: pytest.MonkeyPatch):
    _take_seconds(monkeypatch, {(2, False): 1.0, (4, False): 1.0})
    recipe = _recipe()
    whole = fit_memory(recipe, digits, 10**9, CPU)
    pieces = fit_memory(recipe, digits, whole.peak - 1, CPU)
    assert pieces.settings == replace(recipe.trainer, micro_batches=2)
    assert pieces.peak < whole.peak
    assert "2 micro-batches" in str(pieces) and "MB" in str(pieces)


def test_pieces_are_tried_first_and_recomputing_where_a_span_has_several_blocks():
    def tried(recipe: Recipe) -> list[tuple[int, bool]]:
        learner = recipe.algorithm(recipe.net((1, 8, 8), 10), 10)
        return [(settings.micro_batches, settings.recompute) for settings in ways(recipe, learner)]

    small = replace(_recipe(micro_batches=3), batch_size=20)
    assert tried(small) == [(3, False), (6, False), (12, False)]
    assert tried(replace(small, algorithm=Backprop())) == [*tried(small), (3, True), (6, True), (12, True)]
    assert tried(replace(_recipe(Backprop(), recompute=True), batch_size=2)) == [(1, True), (2, True)]


def test_the_peak_is_that_of_the_largest_turn(digits: Splits):
    pairs = DistanceForward(collaboration="alternating")
    recipe = replace(_recipe(pairs), net=MLP(width=20, depth=3))  # turns of two blocks, and of one between two
    learner = spec_for(pairs, recipe.net, digits).build()
    assert len(learner.turns) == 2
    trainer, x, y = LocalTrainer(learner, recipe.trainer), digits.train.pixels[:64] / 255, torch.arange(64) % 10
    peaks = []
    for step in range(4):
        with MemoryMeter(trainer, (x, y)) as meter:
            trainer.step(x, y, step=step)
        peaks.append(meter.peak)
    assert peaks[2] != peaks[3]
    assert fit_memory(recipe, digits, 10**9, CPU).peak == max(peaks[2:])


def test_pieces_that_batch_normalization_refuses_are_left_out(digits: Splits):
    recipe = replace(_recipe(PredSim()), net=VGG8b(width=4), batch_size=4)
    with pytest.raises(ValueError, match=r"does not fit into 0\.1 MB"):
        fit_memory(recipe, digits, 100_000, CPU)


_CUDA = torch.OutOfMemoryError("CUDA out of memory")
_PROCESSOR = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")


def _out_of_memory(monkeypatch: pytest.MonkeyPatch, first_pieces: int, error: RuntimeError = _CUDA) -> None:
    """Let every step run out of memory that takes fewer than `first_pieces`, with gradients left behind."""
    step = LocalTrainer.step

    def greedy(trainer: LocalTrainer, x: torch.Tensor, y: torch.Tensor, **settings: int) -> object:
        assert all(parameter.grad is None for parameter in trainer.learner.parameters())
        if len(x) > 2 and trainer.settings.micro_batches < first_pieces:
            weight = next(trainer.learner.parameters())
            weight.grad = torch.ones_like(weight)
            raise error
        return step(trainer, x, y, **settings)

    monkeypatch.setattr(LocalTrainer, "step", greedy)


@pytest.mark.parametrize("error", [_CUDA, _PROCESSOR], ids=["cuda", "cpu"])
def test_a_way_that_runs_out_of_memory_is_passed_over(
    error: RuntimeError, digits: Splits, monkeypatch: pytest.MonkeyPatch
):
    _out_of_memory(monkeypatch, first_pieces=4, error=error)
    assert fit_memory(_recipe(), digits, 10**9, CPU).settings.micro_batches == 4


def test_a_device_too_small_for_every_way_is_refused(digits: Splits, monkeypatch: pytest.MonkeyPatch):
    _out_of_memory(monkeypatch, first_pieces=1000)
    with pytest.raises(ValueError, match=r"every way runs out of the device's memory\. Weights.*batch-size"):
        fit_memory(_recipe(), digits, 10**9, CPU)
    monkeypatch.setattr("onward.costs.memory_limit.memory_floor", _no_memory)
    with pytest.raises(ValueError, match=r"runs out of the device's memory; choose a smaller --batch-size"):
        fit_memory(_recipe(), digits, 10**9, CPU)


def test_pieces_refused_after_a_way_that_ran_out_of_memory_are_left_out(
    digits: Splits, monkeypatch: pytest.MonkeyPatch
):
    _out_of_memory(monkeypatch, first_pieces=4)
    recipe = replace(_recipe(PredSim()), net=VGG8b(width=4), batch_size=4)
    with pytest.raises(ValueError, match="every way runs out of the device's memory"):
        fit_memory(recipe, digits, 10**9, CPU)


def _no_memory(*_: object) -> None:
    raise _PROCESSOR


def test_too_small_a_limit_names_the_floor(digits: Splits):
    with pytest.raises(
        ValueError, match=r"does not fit into 0\.1 MB.*\d+ micro-batch.*Weights and optimizer.*batch-size"
    ):
        fit_memory(replace(_recipe(), batch_size=8), digits, 100_000, CPU)
