"""ASGE's networks: the released sizes, where maps shrink, and the pools."""

import math

import pytest
import torch
from torch import Tensor, nn

from onward.nets import VGG8, VGG11, Architecture
from onward.nets.dropout import Dropout
from onward.nets.pool import RMSPool, halve

RGB = (3, 32, 32)


@pytest.mark.parametrize(("architecture", "layers", "parameters"), [(VGG8(), 7, 9_148_416), (VGG11(), 10, 16_227_840)])
def test_released_sizes(architecture: Architecture, layers: int, parameters: int):
    net = architecture(RGB, 10)
    assert sum(p.numel() for body in net.bodies for p in body.parameters()) == parameters
    assert len(net.bodies) == len(net.joins) == len(net.widths) == len(net.pools) == layers


@pytest.mark.parametrize(
    ("architecture", "widths", "sides"),
    [
        (VGG8(width=2), [2, 4, 4, 8, 8, 8, 8], [32, 32, 16, 16, 8, 4, 2]),
        (VGG11(width=2), [2, 4, 4, *[8] * 7], [32, 32, 16, 16, 8, 8, 4, 4, 2, 2]),
    ],
)
def test_goodness_sees_maps_of_the_released_sizes(architecture: Architecture, widths: list[int], sides: list[int]):
    net = architecture(RGB, 10)
    x, seen = torch.rand(2, *RGB), []
    with torch.no_grad():
        for body, pool in zip(net.bodies, net.pools, strict=True):
            activity = body(x)
            seen.append(tuple(activity.shape[1:]))
            x = pool(activity)
    assert seen == [(width, side, side) for width, side in zip(widths, sides, strict=True)]
    assert list(net.widths) == widths


@pytest.mark.parametrize("architecture", [VGG8, VGG11])
def test_dropout_opens_every_layer_but_the_first(architecture):
    first, *others = architecture(width=2, dropout=0.3)(RGB, 10).bodies
    assert not any(isinstance(layer, Dropout) for layer in first)
    for body in others:
        assert isinstance(body[0], Dropout) and body[0].p == 0.3
        assert not any(isinstance(layer, Dropout) for layer in body[1:])
    assert not any(isinstance(m, Dropout) for b in architecture(width=2, dropout=0.0)(RGB, 10).bodies for m in b)


def test_convolutions_start_kaiming_normal_by_fan_in_with_a_zero_bias():
    conv = VGG8(width=16, dropout=0.0)(RGB, 10).bodies[3][0]  # pyright: ignore[reportIndexIssue]
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.03)
    assert not conv.bias.any()


def _pool_by_loop(x: Tensor, pooling: str) -> Tensor:
    samples, channels, height, width = x.shape
    out = torch.empty(samples, channels, -(-height // 2), -(-width // 2), dtype=x.dtype)
    for b, c, i, j in torch.cartesian_prod(*[torch.arange(size) for size in out.shape]).tolist():
        values = x[b, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].flatten().tolist()
        mean, square = sum(values) / len(values), sum(v * v for v in values) / len(values)
        out[b, c, i, j] = {"average": mean, "rms": math.sqrt(square), "max": max(values)}[pooling]
    return out


@pytest.mark.parametrize("pooling", ["average", "rms", "max"])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1)])
def test_pools_equal_a_loop_also_at_the_edge_of_an_odd_map(pooling, size: tuple[int, int]):
    x = torch.randn(2, 3, *size, dtype=torch.float64).relu()
    torch.testing.assert_close(halve(pooling)(x), _pool_by_loop(x, pooling))


@pytest.mark.parametrize("size", [(4, 6), (5, 3)])
def test_rms_pool_has_the_right_gradient(size: tuple[int, int]):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(RMSPool(), (x,))


def test_rms_pool_keeps_the_energy():
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(RMSPool()(x).square().mean(), x.square().mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("level", [0.0, 1e-25, 1e-30])
def test_a_silent_window_has_no_gradient_and_leaves_the_others_theirs(dtype: torch.dtype, level: float):
    x = torch.full((1, 1, 2, 4), level, dtype=dtype)
    x[..., 2:] = 3.0
    x.requires_grad_()
    RMSPool()(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad[..., :2].abs().max()) < 1e-5
    torch.testing.assert_close(x.grad[..., 2:], torch.full((1, 1, 2, 2), 0.25, dtype=dtype))


@pytest.mark.parametrize("pooling", ["average", "rms", "max"])
def test_pools_keep_channels_last_maps_and_their_precision(pooling):
    x = torch.rand(2, 6, 5, 4).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    pooled = halve(pooling)(x)
    pooled.sum().backward()
    assert pooled.dtype == torch.bfloat16 and pooled.is_contiguous(memory_format=torch.channels_last)
    assert x.grad is not None and x.grad.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(pooled.double(), _pool_by_loop(x.detach().double(), pooling), rtol=1e-2, atol=1e-3)
