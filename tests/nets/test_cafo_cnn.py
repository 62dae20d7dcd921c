"""CaFo's network: sizes and order of layers."""

import pytest
import torch

from onward.nets import CaFoCNN


def test_published_widths_and_order():
    net = CaFoCNN()((3, 32, 32), 10)
    assert list(net.widths) == [32, 128, 512]
    for body in net.bodies:
        assert [type(layer).__name__ for layer in body.children()] == ["Conv2d", "MaxPool", "ReLU", "BatchNorm2d"]
    assert round(sum(p.numel() for body in net.bodies for p in body.parameters()) / 1e6, 3) == 0.63


@pytest.mark.parametrize(("size", "sides"), [(32, [16, 8, 4]), (28, [14, 7, 4])])
def test_maps_are_halved_three_times(size: int, sides: list[int]):
    x, found = torch.rand(2, 1, size, size), []
    for body in CaFoCNN(width=2)((1, size, size), 10).bodies:
        x = body(x)
        found.append(x.shape[2])
    assert found == sides
