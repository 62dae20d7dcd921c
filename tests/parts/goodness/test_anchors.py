"""Class anchors: cosines by a loop, running centroids by a loop, and when a batch is counted."""

import pytest
import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, Target, TrainerSettings
from onward.parts.goodness.anchors import LearnedAnchors, RunningAnchors, direction
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.margins import ClassMargin
from onward.parts.supervision.labels import LabelInLoss

CLASSES, CHANNELS = 3, 4
LABELS = torch.tensor([0, 2, 2, 0, 2])


def _activity(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def _cells(sample: Tensor, grid: int) -> Tensor:
    """Channel by channel, row by row: the mean of each cell of an evenly cut map."""
    rows, columns = sample.shape[1] // grid, sample.shape[2] // grid
    values = [
        float(channel[r * rows : (r + 1) * rows, c * columns : (c + 1) * columns].mean())
        for channel in sample
        for r in range(grid)
        for c in range(grid)
    ]
    return torch.tensor(values, dtype=sample.dtype)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.square().sum().sqrt()


@pytest.mark.parametrize("grid", [1, 2])
def test_scores_are_cosines_to_the_anchors(grid: int):
    activity = _activity(5, CHANNELS, 4, 6)
    goodness = LearnedAnchors(CLASSES, CHANNELS, grid).double()
    scores = goodness(activity)
    for i, sample in enumerate(activity):
        for c, anchor in enumerate(goodness.anchors.detach()):
            torch.testing.assert_close(scores[i, c].detach(), _unit(_cells(sample, grid)) @ _unit(anchor))


def test_an_activity_without_a_map_is_its_own_direction():
    activity = _activity(5, CHANNELS)
    torch.testing.assert_close(direction(activity), torch.stack([_unit(row) for row in activity]))


def test_a_grid_finer_than_the_map_changes_no_angle():
    activity = _activity(2, CHANNELS, 1, 1)
    coarse, fine = direction(activity, 1), direction(activity, 3)
    torch.testing.assert_close(fine[0] @ fine[1], coarse[0] @ coarse[1])


def test_learned_anchors_have_the_right_gradient():
    goodness = LearnedAnchors(CLASSES, CHANNELS, 2).double()
    activity = _activity(3, CHANNELS, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, a: torch.func.functional_call(goodness, {"anchors": a}, (x,)), (activity, goodness.anchors)
    )


@pytest.mark.parametrize("goodness", [LearnedAnchors(CLASSES, CHANNELS, 2), RunningAnchors(CLASSES, CHANNELS, 2)])
def test_scores_neither_depend_on_length_nor_on_memory_layout(goodness: nn.Module):
    if isinstance(goodness, RunningAnchors):
        goodness.centroids.normal_()
    activity = _activity(3, CHANNELS, 4, 4).float()
    expected = goodness(activity)
    torch.testing.assert_close(goodness(7 * activity), expected)
    torch.testing.assert_close(goodness(activity.contiguous(memory_format=torch.channels_last)), expected)
    half = goodness(activity.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.0, atol=0.01)


def test_centroids_run_as_in_a_loop_and_an_absent_class_stays():
    goodness = RunningAnchors(CLASSES, CHANNELS, 2, momentum=0.9).double()
    start = goodness.centroids.clone()
    expected = start.clone()
    for _ in range(3):
        activity = _activity(5, CHANNELS, 4, 4)
        goodness.update_statistics(activity, Target(LABELS))
        for c in set(LABELS.tolist()):
            own = [_unit(_cells(a, 2)) for a, label in zip(activity, LABELS.tolist(), strict=True) if label == c]
            expected[c] = 0.9 * expected[c] + 0.1 * sum(own) / len(own)
    torch.testing.assert_close(goodness.centroids, expected)
    assert torch.equal(goodness.centroids[1], start[1])
    torch.testing.assert_close(goodness(activity)[3, 2], _unit(_cells(activity[3], 2)) @ _unit(expected[2]))


def test_the_first_images_of_a_class_decide():
    goodness = RunningAnchors(CLASSES, CHANNELS)
    activity = torch.rand(1, CHANNELS)
    assert float(goodness(activity)[0, 2]) < 0.99
    goodness.update_statistics(activity, Target(torch.tensor([2])))
    assert float(goodness(activity)[0, 2]) > 0.9999


def test_a_batch_is_scored_before_it_enters_the_centroids():
    torch.manual_seed(0)
    goodness = RunningAnchors(CLASSES, CHANNELS)
    block = LocalBlock(nn.Identity(), goodness=goodness, objective=ClassMargin())
    activity = torch.rand(5, CHANNELS, requires_grad=True)
    expected = ClassMargin()(goodness(activity), Target(LABELS)).mean()
    before = goodness.centroids.clone()
    assert torch.equal(block.loss(activity, Target(LABELS)), expected)
    assert not torch.equal(goodness.centroids, before)
    assert not goodness.centroids.requires_grad


def test_centroids_stay_outside_of_training():
    goodness = RunningAnchors(CLASSES, CHANNELS).eval()
    before = goodness.centroids.clone()
    goodness.update_statistics(torch.rand(5, CHANNELS), Target(LABELS))
    assert torch.equal(goodness.centroids, before)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_overlapping_deep_spans_count_a_batch_once(recompute: bool, micro_batches: int):
    """Block 1 is scored in both spans. With no learning, its centroids must be those of one pass over the batch."""
    torch.manual_seed(0)
    goodness = [RunningAnchors(CLASSES, 6, momentum=0.5) for _ in range(3)]
    blocks = [
        LocalBlock(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), goodness=g, objective=ClassMargin()) for g in goodness
    ]
    spans = (Span(0, 1, deep=True), Span(1, 2, deep=True))
    learner = Learner(blocks, supervision=LabelInLoss(), spans=spans, rules={"last": LastGoodness()})
    settings = TrainerSettings(learning_rate=0.0, micro_batches=micro_batches, recompute=recompute)
    x = torch.rand(8, 6)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 1, 1])
    LocalTrainer(learner, settings).step(x, y, step=0)
    activity = blocks[0].body(x)
    for block, measured in zip(blocks, goodness, strict=True):
        expected = RunningAnchors(CLASSES, 6, momentum=0.5)
        for part, labels in zip(activity.chunk(micro_batches), y.chunk(micro_batches), strict=True):
            expected.update_statistics(part.detach(), Target(labels))
        torch.testing.assert_close(measured.centroids, expected.centroids)
        if block is not blocks[-1]:
            activity = blocks[goodness.index(measured) + 1].body(activity)


@pytest.mark.parametrize("kind", [LearnedAnchors, RunningAnchors])
def test_a_grid_below_1_is_refused(kind):
    with pytest.raises(ValueError, match="grid must be at least 1, got 0"):
        kind(CLASSES, CHANNELS, 0)


@pytest.mark.parametrize("momentum", [1.0, -0.1])
def test_momentum_must_leave_room_for_the_batch(momentum: float):
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got"):
        RunningAnchors(CLASSES, CHANNELS, momentum=momentum)
