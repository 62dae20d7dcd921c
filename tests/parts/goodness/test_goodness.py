"""Goodness: how an activity is read as a score."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean, MeanSquare
from onward.parts.ops.activity import map_mean
from onward.parts.ops.class_groups import group_mean, group_mean_square

SHAPES = [(3, 12), (3, 12, 4, 5)]


def _positive(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_mean_square_equals_a_loop(shape: tuple[int, ...]):
    """Hinton 2022, eq. 1, divided by the number of features."""
    activity = _positive(*shape)
    expected = []
    for sample in activity:
        values = sample.flatten().tolist()
        expected.append(sum(value * value for value in values) / len(values))
    torch.testing.assert_close(MeanSquare()(activity).double(), torch.tensor(expected).double(), rtol=1e-6, atol=0.0)


def test_mean_square_grows_with_every_activity_in_proportion_to_it():
    """d g / d a = 2 a / N: why small activities learn slowly (DeeperForward, eq. 3)."""
    activity = _positive(3, 12).requires_grad_()
    (gradient,) = torch.autograd.grad(MeanSquare()(activity).sum(), activity)
    torch.testing.assert_close(gradient, 2 * activity.detach() / 12, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_mean_square_has_the_right_gradient(shape: tuple[int, ...]):
    assert torch.autograd.gradcheck(MeanSquare(), _positive(*shape).requires_grad_())


def test_mean_square_keeps_nothing_but_the_activity():
    kept: list[Tensor] = []
    activity = _positive(3, 12, 4, 5).bfloat16().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        MeanSquare()(activity)
    assert [tensor.data_ptr() for tensor in kept if tensor.numel() >= activity.numel()] == [activity.data_ptr()]


@pytest.mark.parametrize("shape", SHAPES)
def test_class_mean_equals_a_loop(shape: tuple[int, ...]):
    """DeeperForward, eq. 8: the mean over the class's channels and their maps; channel c speaks for c // 3."""
    activity = _positive(*shape)
    expected = torch.empty(3, 4, dtype=torch.float64)
    for b in range(3):
        for i in range(4):
            values = [v for c in range(12) if c // 3 == i for v in activity[b, c].flatten().tolist()]
            expected[b, i] = sum(values) / len(values)
    torch.testing.assert_close(ClassMean(4, 12)(activity), expected)


def test_a_linear_head_has_the_right_gradient():
    head = LinearHead(3, 5).double()
    weight = head.linear.weight

    def scores(activity: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(head, {"linear.weight": weight}, activity)

    assert torch.autograd.gradcheck(scores, (torch.rand(2, 5, 3, 2, dtype=torch.float64).requires_grad_(), weight))


@pytest.mark.parametrize("shape", SHAPES)
def test_class_mean_has_the_right_gradient(shape: tuple[int, ...]):
    assert torch.autograd.gradcheck(ClassMean(4, 12), _positive(*shape).requires_grad_())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("mean", "power"), [(group_mean, 1), (group_mean_square, 2)])
def test_uneven_groups_have_a_channel_more_for_the_first_classes(shape: tuple[int, ...], mean, power: int):
    activity = _positive(*shape).requires_grad_()
    groups = np.array_split(np.arange(12), 5)
    expected = torch.stack([activity[:, group].pow(power).flatten(1).mean(1) for group in groups], dim=1)
    assert [len(group) for group in groups] == [3, 3, 2, 2, 2]
    torch.testing.assert_close(mean(activity, 5), expected)
    assert torch.autograd.gradcheck(lambda x: mean(x, 5), activity)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_class_mean_gives_a_gradient_of_the_activitys_own_kind(dtype: torch.dtype, memory_format: torch.memory_format):
    before = _positive(3, 12, 4, 5).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    activity, weights = before.relu(), torch.randn(3, 4)
    loss = (weights * ClassMean(4, 12)(activity)).sum()
    own, gradient = torch.autograd.grad(loss, [activity, before])
    assert own.dtype == dtype and own.untyped_storage().nbytes() == 3 * 12 * dtype.itemsize  # no map is written
    expected = (weights / 60).repeat_interleave(3, dim=1)[:, :, None, None].expand(3, 12, 4, 5)
    assert gradient.dtype == dtype
    assert gradient.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(gradient, expected.to(dtype))


@given(st.permutations(range(4)))
def test_permuting_the_groups_permutes_the_classes(order: list[int]):
    activity = _positive(2, 4, 3, 5)
    scores = ClassMean(4, 12)(activity.flatten(1, 2))
    permuted = ClassMean(4, 12)(activity[:, order].flatten(1, 2))
    torch.testing.assert_close(permuted, scores[:, order])


@given(st.permutations(range(3)))
def test_the_order_of_channels_inside_a_group_does_not_matter(order: list[int]):
    activity = _positive(2, 4, 3, 5)
    scores = ClassMean(4, 12)(activity.flatten(1, 2))
    torch.testing.assert_close(ClassMean(4, 12)(activity[:, :, order].flatten(1, 2)), scores)


@pytest.mark.parametrize("goodness", [MeanSquare(), ClassMean(4, 12), LinearHead(4, 12)])
def test_goodness_of_a_sample_does_not_depend_on_the_others(goodness):
    activity = _positive(6, 12, 3, 3).float()
    torch.testing.assert_close(goodness(activity)[[4, 1]], goodness(activity[[4, 1]]))


@pytest.mark.parametrize("goodness", [MeanSquare(), ClassMean(4, 12)])
def test_goodness_of_bf16_activities_is_accumulated_in_fp32(goodness):
    activity = (_positive(2, 12, 64, 64) + 1).bfloat16()
    scores = goodness(activity)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, goodness(activity.float()), rtol=1e-5, atol=0.0)


def test_linear_head_equals_a_loop():
    head, activity = LinearHead(4, 6), _positive(3, 6, 2, 2).float()
    expected = torch.empty(3, 4)
    for b in range(3):
        for i in range(4):
            weights, bias = head.linear.weight[i].tolist(), head.linear.bias[i].item()
            expected[b, i] = bias + sum(w * activity[b, c].mean().item() for c, w in enumerate(weights))
    torch.testing.assert_close(head(activity), expected)


def test_map_mean_leaves_features_without_a_map_as_they_are():
    features = _positive(3, 6)
    assert map_mean(features) is features


@pytest.mark.parametrize(
    ("classes", "channels", "nearest"), [(100, 70, "100"), (10, 25, "20 or 30"), (4, 13, "12 or 16"), (3, 0, "3")]
)
def test_uneven_groups_are_refused_with_the_nearest_widths(classes: int, channels: int, nearest: str):
    with pytest.raises(ValueError, match=f"{channels} channels .* {classes} equal .* nearest widths are {nearest}$"):
        ClassMean(classes, channels)
