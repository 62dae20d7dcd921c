"""Operations: two thirds of backprop's, counted by hand."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, TrainerSettings, Turns, alternating, each, whole
from onward.measure import peak_rate, step_flops, step_operations
from onward.parts.goodness.means import ClassMean
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

B, C, SIDE = 2, 6, 5
ONE = 2 * B * SIDE * SIDE * C * C * 9  # a 3x3 convolution of C to C channels, padded


def _trainer(spans: Callable[[int], Sequence[Span] | Turns], **settings) -> LocalTrainer:
    blocks = [
        LocalBlock(
            nn.Sequential(nn.Conv2d(C, C, 3, padding=1), nn.ReLU()), goodness=ClassMean(3, C), objective=CrossEntropy()
        )
        for _ in range(4)
    ]
    learner = Learner(blocks, supervision=LabelInLoss(), spans=spans(4), rules={"last": LastGoodness()})
    return LocalTrainer(learner, TrainerSettings(**settings))


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(B, C, SIDE, SIDE), torch.arange(B) % 3


def test_a_greedy_step_is_a_forward_pass_and_the_gradient_of_the_weights():
    found = step_flops(_trainer(each), *_batch())
    assert found.total == found.ideal == 4 * 2 * ONE
    assert [found.of_block(k) for k in range(4)] == [2 * ONE] * 4


def test_backprop_adds_the_gradient_of_every_input_but_the_first():
    found = step_flops(_trainer(whole), *_batch())
    assert found.ideal == 4 * 2 * ONE
    assert [found.of_block(k) for k in range(4)] == [2 * ONE, 3 * ONE, 3 * ONE, 3 * ONE]


def test_recomputing_costs_another_forward_pass_of_all_but_the_last_block():
    assert step_flops(_trainer(whole, recompute=True), *_batch()).total == (11 + 3) * ONE


def test_spans_that_take_turns_are_counted_in_all_turns():
    """Pairs (0, 1) (2, 3) pass two gradients back; the turn (0) (1, 2) passes one and leaves block 3 alone."""
    found = step_flops(_trainer(alternating), *_batch())
    assert 2 * found.total == (4 * 2 + 2) * ONE + (3 * 2 + 1) * ONE
    assert step_operations(_trainer(alternating), *_batch()).macs == {"fp32": found.total // 2}


def test_the_peak_rate_is_that_of_the_faster_product():
    found = peak_rate(torch.device("cpu"), TrainerSettings().arithmetic, seconds=0.01)
    assert found.best == max(found.matmul, found.convolution)
    assert 1e8 < found.best < 1e15
