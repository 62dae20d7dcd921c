"""Curves of memory over time: which ways are measured, what a point of one curve is beside the other, and refusals."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
import torch

from onward.algorithms import Backprop, DeeperForward, DistanceForward
from onward.core import LocalTrainer, TrainerSettings
from onward.costs.memory_curve import CurvePoint, MemoryCurve, front, memory_curve
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import Recipe
from onward.runs.environment import environment

CPU = torch.device("cpu")


def _recipe(**changes: object) -> Recipe:
    toy = Recipe(
        name="toy",
        description="a toy",
        algorithm=DeeperForward(),
        net=MLP(width=50, depth=4),
        data=DataSettings(),
        trainer=TrainerSettings(),
        epochs=1,
        batch_size=16,
    )
    return replace(toy, **changes)  # pyright: ignore[reportArgumentType]


def _clock() -> Iterator[float]:
    return (float(k) for k in count())


def test_both_sides_are_measured_with_pieces_and_backprop_with_recomputing_too():
    ticks = _clock()
    found = memory_curve(_recipe(batch_size=256), CPU, steps=1, read=lambda: next(ticks))
    assert not any(p.recompute for p in found.own)
    assert [(p.micro_batches, p.step_together) for p in found.own] == [
        *((pieces, False) for pieces in (1, 2, 4, 8)),
        *((pieces, True) for pieces in (2, 4, 8)),
    ]
    assert [(p.micro_batches, p.recompute) for p in found.backprop] == [
        (pieces, again) for again in (False, True) for pieces in (1, 2, 4, 8)
    ]
    assert all(point.seconds == 1.0 for point in (*found.own, *found.backprop))
    peaks = [point.peak for point in found.backprop]
    assert peaks[0] > peaks[1] > peaks[2] > peaks[3]
    assert found.own[1].peak < found.own[0].peak < peaks[0]
    assert (found.method, found.batch_size, found.data) == ("DeeperForward", 256, "digits")


def test_a_method_whose_spans_have_several_blocks_recomputes_too_and_no_piece_has_one_image():
    recipe = _recipe(algorithm=DistanceForward(collaboration="alternating"), net=MLP(width=20, depth=3), batch_size=6)
    found = memory_curve(recipe, CPU, steps=1)
    assert [(p.micro_batches, p.recompute) for p in found.own] == [(1, False), (2, False), (1, True), (2, True)]
    assert not any(p.step_together for p in found.own)  # in one of the turns there is a single span


def test_backprop_has_no_curve_beside_itself():
    with pytest.raises(ValueError, match="toy is trained by backprop: measure the curve of a recipe with a local"):
        memory_curve(_recipe(algorithm=Backprop()), CPU)


def test_what_runs_out_of_memory_is_left_out(monkeypatch: pytest.MonkeyPatch):
    step = LocalTrainer.step

    def small(trainer: LocalTrainer, x: torch.Tensor, y: torch.Tensor, **settings: int) -> object:
        if trainer.settings.micro_batches < least:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(trainer, x, y, **settings)

    monkeypatch.setattr(LocalTrainer, "step", small)
    least = 4
    found = memory_curve(_recipe(), CPU, steps=1)
    assert [point.micro_batches for point in found.own] == [4, 8, 4, 8]
    least = 16
    with pytest.raises(ValueError, match="no step of DeeperForward fits into the device's memory"):
        memory_curve(_recipe(), CPU, steps=1)


def _curve(own: list[tuple[int, float]], backprop: list[tuple[int, float]]) -> MemoryCurve:
    sides = [tuple(CurvePoint(1, False, peak, seconds) for peak, seconds in side) for side in (own, backprop)]
    return MemoryCurve("toy", "DeeperForward", 16, "fp32", "digits", environment(CPU), *sides)


def test_a_point_of_backprop_is_compared_at_its_time_and_at_its_memory():
    found = _curve(own=[(60, 1.0), (30, 2.0)], backprop=[(100, 1.5), (40, 3.0), (20, 4.0), (50, 0.5)])
    whole, pieces, least, fast = found.backprop
    assert (found.memory_at_time_of(whole), found.time_at_memory_of(whole)) == (0.6, 1.0 / 1.5)
    assert (found.memory_at_time_of(pieces), found.time_at_memory_of(pieces)) == (0.75, 2.0 / 3.0)
    assert (found.memory_at_time_of(least), found.time_at_memory_of(least)) == (1.5, None)
    assert found.memory_at_time_of(fast) is None
    assert found.better_by_backprop == (least, fast)


def test_points_that_another_one_beats_are_not_on_the_front():
    points = _curve(own=[(60, 1.0), (70, 2.0), (30, 3.0), (30, 3.5), (20, 9.0)], backprop=[]).own
    assert [(point.peak, point.seconds) for point in front(points)] == [(60, 1.0), (30, 3.0), (20, 9.0)]
