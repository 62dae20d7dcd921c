"""The Trifecta's networks: published sizes, order of layers, where maps shrink."""

import pytest
import torch
from torch import nn

from onward.nets import Trifecta6, Trifecta12
from onward.nets.dropout import Dropout

SMALL, LARGE = Trifecta6, Trifecta12


@pytest.mark.parametrize(
    ("architecture", "channels", "parameters"),
    [(SMALL, 4, 2_808_328), (SMALL, 3, 2_807_174), (LARGE, 4, 8_486_280), (LARGE, 3, 8_485_702)],
)
def test_published_sizes_with_and_without_a_label_channel(architecture, channels: int, parameters: int):
    """2.81 M and 8.49 M: weights of the convolutions, scale and shift of the batch norms."""
    bodies = architecture()((channels, 32, 32), 10).bodies
    assert sum(p.numel() for body in bodies for p in body.parameters()) == parameters
    assert round(parameters / 1e6, 2) == (2.81 if architecture is SMALL else 8.49)


@pytest.mark.parametrize(
    ("architecture", "widths", "sizes"),
    [
        (SMALL, [128, 128, 256, 256, 256, 512], [32, 16, 16, 8, 8, 8]),
        (LARGE, [64, *[128] * 4, *[256] * 4, *[512] * 3], [32, 32, *[16] * 4, *[8] * 4, 4, 4]),
    ],
)
def test_channels_and_maps_are_the_published_ones(architecture, widths: list[int], sizes: list[int]):
    """Channel counts at full width; maps on a tenth of it."""
    assert list(architecture()((3, 32, 32), 10).widths) == widths
    net = architecture(width=2)((3, 32, 32), 10)
    x, found = torch.rand(2, 3, 32, 32), []
    with torch.no_grad():
        for body, pool in zip(net.bodies, net.pools, strict=True):
            x = body(x)
            assert x.shape[2] == x.shape[3]
            found.append(x.shape[2])
            x = pool(x)
    assert found == sizes


@pytest.mark.parametrize("architecture", [SMALL, LARGE])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_body_normalizes_then_convolves_then_rectifies(architecture, dropout: float):
    expected = [nn.BatchNorm2d, nn.Conv2d, nn.ReLU, *([Dropout] if dropout else [])]
    for body in architecture(width=2, dropout=dropout)((3, 8, 8), 10).bodies:
        assert isinstance(body, nn.Sequential)
        assert len(body) == len(expected) and all(map(isinstance, body, expected))
        conv = body[1]
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is None


@pytest.mark.parametrize("architecture", [SMALL, LARGE])
@pytest.mark.parametrize("size", [28, 5, 1])
def test_small_and_odd_maps_shrink_to_the_larger_half(architecture, size: int):
    net = architecture(width=2)((1, size, size), 2)
    x = torch.rand(2, 1, size, size)
    with torch.no_grad():
        for body, pool in zip(net.bodies, net.pools, strict=True):
            x = pool(body.eval()(x))
    expected = size
    for _ in range(3):
        expected = -(-expected // 2)
    assert x.shape[2:] == (expected, expected)


@pytest.mark.parametrize("architecture", [Trifecta6, Trifecta12])
def test_weights_may_begin_as_torch_draws_them(architecture):
    for weights, square in (("kaiming", 2.0), ("uniform", 1 / 3)):
        conv = architecture(width=16, weights=weights)((3, 16, 16), 4).bodies[-1][1]
        assert float(conv.weight.detach().std()) ** 2 * conv.in_channels * 9 == pytest.approx(square, rel=0.05)
