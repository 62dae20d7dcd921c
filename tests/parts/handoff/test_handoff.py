"""Handoff: what the next block sees of an activity."""

import math

import pytest
import torch
from torch import Tensor, nn

from onward.nets.net import Carry
from onward.parts.goodness.means import ClassMean, MeanSquare
from onward.parts.handoff.norms import ClassNorm, Handoff, SampleNorm, UnitInput, UnitLength

SHAPES = [(3, 12), (3, 12, 4, 5)]


def _activity(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_unit_length_equals_a_loop(shape: tuple[int, ...]):
    activity = _activity(*shape)
    expected = torch.empty_like(activity)
    for b, sample in enumerate(activity):
        values = sample.flatten().tolist()
        expected[b] = sample / math.sqrt(sum(v * v for v in values) / len(values) + 1e-8)
    torch.testing.assert_close(UnitLength()(activity), expected)


def test_unit_length_leaves_nothing_of_the_goodness():
    activity = _activity(3, 12, 4, 5).float() * torch.tensor([0.01, 1.0, 50.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(MeanSquare()(UnitLength()(activity)), torch.ones(3), rtol=1e-3, atol=0.0)


def test_unit_length_does_not_depend_on_the_scale():
    activity = _activity(3, 12)
    torch.testing.assert_close(UnitLength(eps=0.0)(7 * activity), UnitLength(eps=0.0)(activity))


def test_unit_length_of_a_silent_sample_is_silent():
    assert not UnitLength()(torch.zeros(2, 12)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_class_norm_equals_a_loop(shape: tuple[int, ...]):
    """DeeperForward, eq. 9: mean and biased variance over the class's channels and their maps."""
    activity = _activity(*shape)
    expected = torch.empty_like(activity)
    for b in range(3):
        for i in range(4):
            group = slice(3 * i, 3 * i + 3)
            values = activity[b, group].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
            expected[b, group] = (activity[b, group] - mean) / math.sqrt(variance + 1e-5)
    torch.testing.assert_close(ClassNorm(4, 12)(activity), expected)


def test_class_norm_gives_every_group_mean_0_and_variance_1():
    normed = ClassNorm(4, 12)(_activity(3, 12, 4, 5)).unflatten(1, (4, 3)).flatten(2)
    torch.testing.assert_close(normed.mean(dim=2), torch.zeros(3, 4).double())
    torch.testing.assert_close(normed.var(dim=2, correction=0), torch.ones(3, 4).double(), rtol=1e-4, atol=0.0)


def test_class_norm_removes_exactly_the_goodness_of_class_mean():
    scores = ClassMean(4, 12)(ClassNorm(4, 12)(_activity(3, 12, 4, 5)))
    assert scores.abs().max() < 1e-14


def test_permuting_the_groups_permutes_what_class_norm_gives():
    activity, order = _activity(3, 4, 3, 5), [2, 0, 3, 1]
    normed = ClassNorm(4, 12)(activity.flatten(1, 2)).unflatten(1, (4, 3))
    permuted = ClassNorm(4, 12)(activity[:, order].flatten(1, 2)).unflatten(1, (4, 3))
    torch.testing.assert_close(permuted, normed[:, order])


def test_class_norm_has_nothing_to_learn():
    assert not list(ClassNorm(4, 12).parameters())


def test_class_norm_refuses_uneven_groups():
    with pytest.raises(ValueError, match="13 channels cannot be split into 4"):
        ClassNorm(4, 13)


@pytest.mark.parametrize("shape", SHAPES)
def test_sample_norm_equals_a_loop(shape: tuple[int, ...]):
    x = _activity(*shape)
    expected = torch.empty_like(x)
    for b, sample in enumerate(x):
        values = sample.flatten().tolist()
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        expected[b] = (sample - mean) / math.sqrt(variance + 1e-5)
    torch.testing.assert_close(SampleNorm()(x), expected)


@pytest.mark.parametrize("normalize", [UnitLength(), ClassNorm(4, 12), SampleNorm()])
@pytest.mark.parametrize("shape", [(2, 12), (2, 12, 2, 2)])
def test_normalizations_have_the_right_gradient(normalize: nn.Module, shape: tuple[int, ...]):
    # Inside a span that goes on, the gradient passes through them.
    assert torch.autograd.gradcheck(normalize, _activity(*shape).requires_grad_())


@pytest.mark.parametrize("normalize", [UnitLength(), ClassNorm(4, 12), SampleNorm()])
def test_normalizations_treat_each_sample_alone(normalize: nn.Module):
    activity = _activity(5, 12, 3, 3)
    torch.testing.assert_close(normalize(activity)[[4, 1]], normalize(activity[[4, 1]]))


class _SwapWithSkip(nn.Module):
    def forward(self, x: Tensor, skip: Tensor) -> tuple[Tensor, ...]:
        return (skip, x)


def test_handoff_normalizes_before_it_joins_the_skips():
    activity, skip = _activity(3, 12), _activity(3, 12)
    joined = Handoff(UnitLength(), _SwapWithSkip())(activity, skip)
    assert joined[0] is skip
    assert torch.equal(joined[1], UnitLength()(activity))


@pytest.mark.parametrize("shape", [(3, 12), (3, 12, 5, 4)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_class_norm_without_a_graph_equals_torchs_group_norm(shape: tuple[int, ...], dtype: torch.dtype):
    activity = (torch.randn(shape, dtype=torch.float64).relu() * 3).to(dtype)
    for laid_out in (activity, activity.transpose(-1, -2).contiguous().transpose(-1, -2)):
        wanted = torch.nn.functional.group_norm(laid_out.double(), 4).to(dtype)
        with torch.no_grad():
            found = ClassNorm(4, 12)(laid_out)
        assert found.dtype == dtype
        tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
        assert torch.allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_class_norm_hands_a_gradient_on_inside_a_span():
    activity = torch.randn(2, 12, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ClassNorm(4, 12), (activity,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("normalize", [ClassNorm(3, 6), UnitLength()])
def test_an_overwritten_activity_holds_the_same_bits(normalize, dtype):
    activity = torch.rand(70, 6, 8, 8).to(dtype).contiguous(memory_format=torch.channels_last)
    handoff = Handoff(normalize, Carry())
    with torch.no_grad():
        (expected,) = handoff(activity)
        untouched = activity.clone()
        (found,) = handoff(activity, overwrite=True)
    assert torch.equal(found, expected) and not torch.equal(expected, untouched)
    assert found.data_ptr() == activity.data_ptr() != expected.data_ptr()


def test_nothing_is_overwritten_while_a_graph_needs_it():
    activity = torch.rand(4, 6, requires_grad=True) * 2
    before = activity.detach().clone()
    Handoff(UnitLength(), Carry())(activity, overwrite=True)[0].sum().backward()
    assert torch.equal(activity, before)


@pytest.mark.parametrize("normalize", [ClassNorm(4, 4), SampleNorm()])
def test_one_value_to_normalize_becomes_zero_with_a_graph_or_without(normalize: nn.Module):
    shape = (1, 4) if isinstance(normalize, ClassNorm) else (1, 1)
    for x in (torch.ones(shape), torch.ones(shape, requires_grad=True)):
        assert not normalize(x).any()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layer", [nn.Conv2d(3, 5, 3), nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 5))], ids=str)
def test_a_unit_input_is_rounded_as_the_layer_behind_it_would_do(monkeypatch, layer, memory_format):
    monkeypatch.setattr("onward.parts.handoff.norms.rows_at_once", lambda batch: 3)  # of eight: a smaller last piece
    x = torch.randn(8, 3, 12, 12).contiguous(memory_format=memory_format)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        unit, plain = UnitInput()(x), UnitLength()(x)
        assert unit.dtype == torch.bfloat16 and plain.dtype == torch.float32 and unit.stride() == plain.stride()
        assert torch.equal(layer(unit), layer(plain))
    assert torch.equal(UnitInput()(x), UnitLength()(x))


def test_a_unit_input_that_needs_a_gradient_has_the_one_of_unit_length():
    gradients = []
    for kind in (UnitInput, UnitLength):
        x = torch.linspace(-1, 2, 24).view(2, 12).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            (kind()(x) * torch.arange(12)).sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)
