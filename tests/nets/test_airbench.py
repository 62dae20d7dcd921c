"""The airbench network: its sizes, and the whitened patches that it asks for."""

import pytest
import torch

from onward.nets import Airbench


def test_sizes_of_the_published_network():
    """Jordan 2024, table of airbench94: 24 filters of 2x2, then 64, 64, 256, 256, 256, 256; 1.97 M parameters."""
    net = Airbench()((24, 31, 31), 10)
    assert list(net.widths) == [64, 64, 256, 256, 256, 256]
    convolutions = [p for body in net.bodies for p in body.parameters() if p.ndim == 4]
    assert sum(p.numel() for p in convolutions) == 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    x, sides = torch.rand(2, 24, 31, 31), []
    for body in net.bodies:
        x = body(x)
        sides.append(x.shape[2])
    assert sides == [15, 15, 7, 7, 3, 3]


def test_the_first_two_layers_alone_may_be_wider():
    assert list(Airbench(width=60, first_width=120)((24, 31, 31), 10).widths) == [120, 120, 240, 240, 240, 240]
    assert list(Airbench(width=60)((24, 31, 31), 10).widths) == [60, 60, 240, 240, 240, 240]


@pytest.mark.parametrize("side", [2, 3, 7, 27])
def test_small_images_are_not_shrunk_to_nothing(side: int):
    x = torch.rand(2, 8, side, side)
    for body in Airbench(width=2)((8, side, side), 10).bodies:
        x = body(x)
    assert x.shape[1] == 8 and min(x.shape[2:]) >= 1


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="images must be at least 2x2 pixels"):
        Airbench(width=2)((4, 0, 3), 10)
