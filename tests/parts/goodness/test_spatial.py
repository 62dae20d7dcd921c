"""Spatial goodness: cells, the random map, and the hand-written gradient, against loops and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onward.core import LocalBlock, Target
from onward.nets.net import Carry
from onward.parts.goodness.spatial import SpatialGoodness, encode_cells, grid_for
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.objective.class_scores import CrossEntropy


def _activity(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).relu()


def _encode_by_loop(activity: Tensor, grid: int, power: int) -> Tensor:
    """Each channel's mean power in every cell; cells of an uneven map reach from floor to ceiling."""
    samples, channels, height, width = activity.shape
    rows = []
    for b in range(samples):
        entries = []
        for c in range(channels):
            for i in range(grid):
                for j in range(grid):
                    values = [
                        float(activity[b, c, u, v]) ** power
                        for u in range(math.floor(i * height / grid), math.ceil((i + 1) * height / grid))
                        for v in range(math.floor(j * width / grid), math.ceil((j + 1) * width / grid))
                    ]
                    entries.append(sum(values) / len(values))
        rows.append(entries)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("height", "width", "grid"), [(8, 8, 4), (6, 4, 2), (5, 7, 3), (7, 7, 4), (5, 3, 1), (4, 4, 4)]
)
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_scores_equal_a_loop(height: int, width: int, grid: int, power, memory_format: torch.memory_format):
    activity = _activity(3, 5, height, width)
    goodness = SpatialGoodness(7, 5, grid, power=power).double()
    expected = torch.empty(3, 7, dtype=torch.float64)
    for b, row in enumerate(_encode_by_loop(activity, grid, power).tolist()):
        for k in range(7):
            products = [entry * float(goodness.weight[e, k]) for e, entry in enumerate(row)]
            expected[b, k] = sum(products) + float(goodness.bias[k])
    found = goodness(activity.contiguous(memory_format=memory_format))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_features_without_a_map_are_a_map_of_one_pixel():
    activity = _activity(3, 5)
    goodness = SpatialGoodness(4, 5).double()
    torch.testing.assert_close(goodness(activity), activity.square() @ goodness.weight + goodness.bias)
    torch.testing.assert_close(goodness(activity), goodness(activity[:, :, None, None]))


@pytest.mark.parametrize("size", [(8, 4, 2), (4, 4, 1), (5, 7, 3)])
@pytest.mark.parametrize("power", [1, 2])
def test_the_gradient_is_right(size: tuple[int, int, int], power):
    height, width, grid = size
    activity = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: encode_cells(y, grid, power), (activity,))
    layered = activity.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: encode_cells(y, grid, power), (layered,))


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_the_weight_gradient_is_the_closed_form(grid: int):
    """q = (softmax - onehot) R^T / B; dY = 2 Y q / (H' W'); dW correlates the input with dY; db sums it."""
    samples, classes, channels, side = 5, 4, 6, 6
    conv = nn.Conv2d(3, channels, 3, padding=1, dtype=torch.float64)
    goodness = SpatialGoodness(classes, channels, grid).double()
    block = LocalBlock(
        nn.Sequential(conv, nn.ReLU(inplace=True)),
        goodness=goodness,
        objective=CrossEntropy(),
        handoff=Handoff(UnitLength(), Carry()),
    )
    x, labels = torch.randn(samples, 3, side, side, dtype=torch.float64), torch.randint(0, classes, (samples,))
    activity, _ = block(x)
    block.loss(activity, Target(labels)).backward()

    y = conv(x).relu().detach()
    cell = side // grid
    encoding = _encode_by_loop(y, grid, 2)
    error = (encoding @ goodness.weight + goodness.bias).softmax(dim=1) - F.one_hot(labels, classes)
    q = (error @ goodness.weight.T / samples).view(samples, channels, grid, grid)
    d_pre = torch.empty_like(y)
    for u in range(side):
        for v in range(side):
            d_pre[:, :, u, v] = 2 * y[:, :, u, v] * q[:, :, u // cell, v // cell] / cell**2
    expected = torch.zeros_like(conv.weight)
    padded = F.pad(x, (1, 1, 1, 1))
    for u in range(3):
        for v in range(3):
            expected[:, :, u, v] = torch.einsum("bchw,bkhw->ck", d_pre, padded[:, :, u : u + side, v : v + side])

    assert conv.weight.grad is not None and conv.bias is not None and conv.bias.grad is not None
    assert float(expected.abs().max()) > 1e-3
    torch.testing.assert_close(conv.weight.grad, expected, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(conv.bias.grad, d_pre.sum(dim=(0, 2, 3)), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("grid", [1, 2, 3])
@pytest.mark.parametrize("power", [1, 2])
def test_half_precision_is_summed_wide_and_keeps_its_layout(grid: int, power):
    activity = _activity(11, 4, 8, 8).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    wide = activity.detach().double().requires_grad_()
    goodness = SpatialGoodness(5, 4, grid, power=power)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = goodness(activity)
    scores.sum().backward()
    expected = encode_cells(wide, grid, power) @ goodness.weight.double() + goodness.bias.double()
    expected.sum().backward()
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.double(), expected, rtol=1e-5, atol=1e-5)
    assert activity.grad is not None and wide.grad is not None
    assert activity.grad.dtype == torch.bfloat16
    assert power == 1 or activity.grad.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(activity.grad.double(), wide.grad, rtol=3e-2, atol=1e-3)


def test_only_the_activity_is_kept_for_the_backward_pass():
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    activity = _activity(4, 6, 8, 8).requires_grad_() * 1
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encode_cells(activity, 2)
    assert [tensor.data_ptr() for tensor in kept] == [activity.data_ptr()]


def test_the_map_has_the_released_scale_unless_told_otherwise():
    released, told = SpatialGoodness(50, 64, 4), SpatialGoodness(50, 64, 4, deviation=0.01)
    for goodness, deviation in ((released, 50**-0.5), (told, 0.01)):
        assert goodness.weight.shape == (1024, 50) and goodness.bias.shape == (50,)
        assert float(goodness.weight.std()) == pytest.approx(deviation, rel=0.02)
        assert float(goodness.bias.std()) == pytest.approx(deviation, rel=0.3)
        assert abs(float(goodness.weight.mean())) < 0.02 * deviation


def test_the_map_is_fixed_and_saved_or_trained():
    fixed, trained = SpatialGoodness(3, 4), SpatialGoodness(3, 4, trainable=True)
    assert not list(fixed.parameters())
    assert {name for name, _ in trained.named_parameters()} == {"weight", "bias"}
    assert fixed.state_dict().keys() == trained.state_dict().keys() == {"weight", "bias"}


def test_maps_are_drawn_from_the_global_generator_each_anew():
    torch.manual_seed(5)
    first, second = SpatialGoodness(3, 4).weight, SpatialGoodness(3, 4).weight
    torch.manual_seed(5)
    assert torch.equal(SpatialGoodness(3, 4).weight, first)
    assert not torch.equal(first, second)


def test_a_map_smaller_than_the_grid_is_refused():
    with pytest.raises(ValueError, match="a map of 3x2 pixels cannot be cut into 4x4 cells; take larger images"):
        SpatialGoodness(3, 4, 4)(torch.rand(2, 4, 2, 3))
    with pytest.raises(ValueError, match="1x1 pixels cannot be cut into 2x2"):
        SpatialGoodness(3, 4, 2)(torch.rand(2, 4))
    with pytest.raises(ValueError, match="at least 1 cell per side, got 0"):
        SpatialGoodness(3, 4, 0)


@pytest.mark.parametrize(("channels", "cells"), [(64, 8), (128, 4), (256, 2), (512, 1)])
def test_alpha_1_gives_the_grids_of_the_released_code(channels: int, cells: int):
    assert grid_for(channels, 512, 1.0) == cells
    assert grid_for(channels, 512, 0.0) == 1


def test_the_grid_is_rounded_and_never_empty():
    assert grid_for(100, 270, 1.0) == 3
    assert grid_for(100, 400, 0.5) == 2
    assert grid_for(800, 100, 1.0) == 1
