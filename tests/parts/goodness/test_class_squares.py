"""Squared goodness and length normalization in class groups, and the four ways to combine them with the means."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onward.algorithms import Backprop, DeeperForward
from onward.core import LocalTrainer, TrainerSettings
from onward.nets import MLP, TinyCNN
from onward.parts.goodness.class_squares import ClassLength, ClassMeanSquare
from onward.parts.goodness.means import ClassMean
from onward.parts.handoff.norms import ClassNorm

SHAPES = [(3, 12), (3, 12, 4, 5)]


def _activity(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_class_mean_square_equals_a_loop(shape: tuple[int, ...]):
    """The mean over the class's channels and their maps; channel c speaks for class c // 3."""
    activity = _activity(*shape)
    expected = torch.empty(3, 4, dtype=torch.float64)
    for b in range(3):
        for i in range(4):
            values = [v for c in range(12) if c // 3 == i for v in activity[b, c].flatten().tolist()]
            expected[b, i] = sum(v * v for v in values) / len(values)
    torch.testing.assert_close(ClassMeanSquare(4, 12)(activity), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_class_length_equals_a_loop(shape: tuple[int, ...]):
    activity = _activity(*shape)
    expected = torch.empty_like(activity)
    for b in range(3):
        for i in range(4):
            group = slice(3 * i, 3 * i + 3)
            values = activity[b, group].flatten().tolist()
            expected[b, group] = activity[b, group] / math.sqrt(sum(v * v for v in values) / len(values) + 1e-5)
    torch.testing.assert_close(ClassLength(4, 12)(activity), expected)


@pytest.mark.parametrize("part", [ClassMeanSquare(4, 12), ClassLength(4, 12)])
@pytest.mark.parametrize("shape", [(2, 12), (2, 12, 3, 2)])
def test_the_gradients_are_right(part: torch.nn.Module, shape: tuple[int, ...]):
    assert torch.autograd.gradcheck(part, _activity(*shape).requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_is_of_the_activitys_own_kind(dtype: torch.dtype, memory_format: torch.memory_format):
    activity = _activity(3, 12, 4, 5).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    weights = torch.randn(3, 4)
    (gradient,) = torch.autograd.grad((weights * ClassMeanSquare(4, 12)(activity)).sum(), activity)
    share = (weights / 60).repeat_interleave(3, dim=1)[:, :, None, None]
    assert gradient.dtype == dtype
    assert gradient.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(gradient, (2 * share * activity.detach()).to(dtype))


@pytest.mark.parametrize("part", [ClassMeanSquare(4, 12), ClassLength(4, 12)])
def test_bf16_activities_are_summed_in_fp32(part: torch.nn.Module):
    activity = (_activity(2, 12, 64, 64) + 1).bfloat16()
    found, wanted = part(activity), part(activity.float())
    assert found.dtype == (torch.float32 if isinstance(part, ClassMeanSquare) else torch.bfloat16)
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=1e-5, atol=0.0)


def test_class_length_removes_exactly_the_goodness_of_class_mean_square():
    handed_on = ClassLength(4, 12, eps=0.0)(_activity(3, 12, 4, 5) * torch.tensor([0.1, 1.0, 50.0]).view(3, 1, 1, 1))
    torch.testing.assert_close(ClassMeanSquare(4, 12)(handed_on), torch.ones(3, 4, dtype=torch.float64))
    assert ClassMean(4, 12)(handed_on).min() > 0.3  # what the mean said is still there


def test_a_silent_group_stays_silent_and_finite():
    activity = _activity(2, 12, 3, 3)
    activity[:, 3:6] = 0
    handed_on = ClassLength(4, 12)(activity)
    assert handed_on.isfinite().all() and not handed_on[:, 3:6].any() and handed_on[:, :3].all()


@pytest.mark.parametrize("part", [ClassMeanSquare, ClassLength])
def test_uneven_groups_are_refused(part):
    with pytest.raises(ValueError, match="13 channels cannot be split into 4"):
        part(4, 13)


@pytest.mark.parametrize(("goodness", "score"), [("mean", ClassMean), ("mean_square", ClassMeanSquare)])
@pytest.mark.parametrize(("normalizer", "module"), [("variance", ClassNorm), ("length", ClassLength)])
def test_each_cell_reads_hands_on_and_learns(goodness, score, normalizer, module):
    learner = DeeperForward(goodness=goodness, normalizer=normalizer)(TinyCNN(width=4)((1, 8, 8), 4), 4)
    y = torch.arange(16) % 4
    x = 0.3 * torch.rand(16, 1, 8, 8) + F.one_hot(y, 4).repeat_interleave(2, dim=1)[:, None, :, None]  # a bar each
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.03))
    first = trainer.step(x, y, step=0)
    last = torch.stack([trainer.step(x, y, step=step) for step in range(1, 40)])[-1]
    assert (last < first - 0.3).all(), (first, last)
    for block, activity, stream in learner.eval().run_blocks((x,)):
        assert block.goodness is not None
        assert torch.equal(block.goodness(activity), score(4, activity.shape[1])(activity))
        assert torch.equal(stream[0], module(4, activity.shape[1])(activity))


def test_the_control_of_a_cell_passes_a_gradient_through_its_handoffs():
    control = Backprop(of=DeeperForward(normalizer="length"))(MLP(width=8, depth=3)((1, 4, 4), 4), 4)
    before = [p.detach().clone() for p in control.parameters()]
    LocalTrainer(control, TrainerSettings()).step(torch.rand(6, 1, 4, 4), torch.arange(6) % 4, step=0)
    assert all(not torch.equal(old, new) for old, new in zip(before, control.parameters(), strict=True))
