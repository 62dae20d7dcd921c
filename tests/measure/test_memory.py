"""Memory: the meter counts what a hand counts, and local learning needs the same at any depth."""

import gc
import resource
import sys
import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, TrainerSettings, chunks, each, pairs, whole
from onward.measure import SavedBytes, peak_memory
from onward.parts.goodness.means import ClassMean
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

FLOAT = 4  # bytes


def test_a_product_keeps_both_of_its_factors():
    a, b = torch.rand(3, 5, requires_grad=True), torch.rand(3, 5, requires_grad=True)
    with SavedBytes() as meter:
        product = a * b
        assert meter.alive == 2 * 15 * FLOAT
        del product
        assert meter.alive == 0
    assert meter.peak == 2 * 15 * FLOAT


def test_an_mlp_keeps_what_a_hand_counts():
    """Each linear layer keeps its input, each ReLU its output, which is the next layer's input: one tensor for both."""
    net = nn.Sequential(nn.Linear(7, 11), nn.ReLU(), nn.Linear(11, 13), nn.ReLU(), nn.Linear(13, 3))
    with SavedBytes(net.parameters()) as meter:
        out = net(torch.rand(5, 7))
        assert meter.alive == 5 * (7 + 11 + 13) * FLOAT
        out.sum().backward()
        assert meter.alive == 0


def test_parameters_count_only_if_they_are_not_excluded():
    net = nn.Sequential(nn.Linear(7, 11), nn.Linear(11, 3))
    with SavedBytes() as meter:
        net(torch.rand(5, 7)).sum().backward()
    assert meter.peak == (5 * (7 + 11) + 11 * 3) * FLOAT  # the first weight is not needed for any gradient


def test_a_storage_counts_once_and_whole_however_it_is_seen():
    x = torch.rand(6, 8)
    weight = torch.rand(8, 2, requires_grad=True)
    with SavedBytes([weight]) as meter:
        kept = [x[:3] @ weight, x[3:] @ weight, x @ weight]
        assert meter.alive == 6 * 8 * FLOAT
        kept.pop()
        kept.pop()
        assert meter.alive == 6 * 8 * FLOAT
        kept.pop()
        assert meter.alive == 0


def test_the_peak_is_over_time_not_a_sum():
    with SavedBytes() as meter:
        for size in (10, 30, 20):
            torch.rand(size, requires_grad=True).square().sum().backward()
    assert meter.peak == 30 * FLOAT


def test_nothing_counts_outside_of_the_with():
    a = torch.rand(3, requires_grad=True)
    with SavedBytes() as meter:
        pass
    kept = a * a
    assert kept.requires_grad
    assert meter.peak == 0


def test_bytes_are_released_after_the_with_and_without_the_garbage_collector():
    a = torch.rand(3, requires_grad=True)
    gc.disable()
    try:
        with SavedBytes() as meter:
            kept = a.exp()
        assert meter.alive == 3 * FLOAT
        del kept
        assert meter.alive == 0
    finally:
        gc.enable()


def test_gradients_do_not_change_under_the_meter():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3))
    x = torch.rand(5, 2, 4, 4)
    plain = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    with SavedBytes(net.parameters()):
        metered = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(plain, metered, strict=True))


class _Carry(nn.Module):
    def forward(self, x: Tensor, *skips: Tensor) -> tuple[Tensor, ...]:
        return (x, *skips)


def _learner(spans: Callable[[int], Sequence[Span]], depth: int) -> Learner:
    """Equal convolutional blocks: the input has as many channels as every activity."""
    blocks = [
        LocalBlock(
            nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)),
            goodness=ClassMean(2, 4),
            objective=CrossEntropy(),
            handoff=Handoff(UnitLength(), _Carry()),
        )
        for _ in range(depth)
    ]
    return Learner(blocks, supervision=LabelInLoss(), spans=spans(depth), rules={"last": LastGoodness()})


def _peak(spans: Callable[[int], Sequence[Span]], depth: int) -> int:
    learner = _learner(spans, depth)
    trainer = LocalTrainer(learner, TrainerSettings())
    with SavedBytes(learner.parameters()) as meter:
        trainer.step(torch.rand(8, 4, 6, 6), torch.arange(8) % 2, step=0)
    assert meter.alive == 0
    return meter.peak


def test_one_block_keeps_its_input_its_activity_and_its_scores():
    activity, small = 8 * 4 * 6 * 6 * FLOAT, _peak(each, 1) - 2 * 8 * 4 * 6 * 6 * FLOAT
    assert _peak(each, 1) >= 2 * activity
    assert small < 0.1 * activity  # log-probabilities, labels and a count


def test_greedy_peak_is_the_same_at_any_depth():
    assert _peak(each, 8) == _peak(each, 32) == _peak(each, 64) == _peak(each, 1)


@pytest.mark.parametrize("spans", [pairs, lambda depth: chunks(depth, 2)])
def test_the_peak_is_that_of_one_span(spans):
    assert _peak(spans, 32) == _peak(spans, 8) == _peak(whole, 2)


def test_backprop_peak_grows_linearly_with_depth():
    peaks = {depth: _peak(whole, depth) for depth in (8, 32, 64)}
    per_block = (peaks[32] - peaks[8]) / 24
    assert peaks[64] - peaks[32] == 32 * per_block
    assert per_block >= 2 * 8 * 4 * 6 * 6 * FLOAT  # at least its activity and what it hands on
    assert peaks[64] > 40 * _peak(each, 64)


def test_peak_memory_on_a_cpu_is_the_resident_set_in_bytes():
    held = torch.ones(8 * 2**20)  # 32 MiB, touched
    size, meter = peak_memory(torch.device("cpu"))
    unit = 1 if sys.platform == "darwin" else 1024
    assert meter == "peak resident set (getrusage)"
    assert held.numel() * FLOAT < size <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_memory_on_cuda_is_what_the_allocator_handed_out():
    device = torch.device("cuda")
    torch.cuda.reset_peak_memory_stats()
    before, _ = peak_memory(device)
    held = torch.ones(2**20, device=device)
    size, meter = peak_memory(device)
    assert meter == "torch.cuda.max_memory_allocated"
    assert size - before == held.numel() * FLOAT


class _Watched(nn.Module):
    """A body whose product needs no input of the block, and which notes whether that lives in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.product, self.alive = nn.Linear(6, 6), []

    def forward(self, x: Tensor) -> Tensor:
        entered, activity = weakref.ref(x), self.product(2 * x)
        activity.register_hook(lambda gradient: self.alive.append(entered() is not None))
        return activity


def test_a_block_drops_its_input_before_its_gradient_is_computed():
    blocks = [LocalBlock(_Watched(), goodness=ClassMean(2, 6), objective=CrossEntropy()) for _ in range(2)]
    learner = Learner(blocks, supervision=LabelInLoss(), spans=each(2), rules={"last": LastGoodness()})
    LocalTrainer(learner, TrainerSettings()).step(torch.rand(4, 6), torch.arange(4) % 2, step=0)
    assert blocks[1].body.alive == [False]
