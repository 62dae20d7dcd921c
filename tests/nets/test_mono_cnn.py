"""Mono-Forward's convolutions: sizes, and where maps shrink."""

import pytest
import torch

from onward.nets import MonoCNN


def test_widths_double_and_maps_are_halved():
    net = MonoCNN(width=4)((3, 32, 32), 10)
    assert list(net.widths) == [4, 8, 16, 32]
    x, found = torch.rand(2, 3, 32, 32), []
    with torch.no_grad():
        for body, pool in zip(net.bodies, net.pools, strict=True):
            x = body(x)
            found.append(tuple(x.shape[1:]))
            x = pool(x)
    assert found == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]


def test_the_size_that_is_documented():
    bodies = MonoCNN()((3, 32, 32), 10).bodies
    assert round(sum(p.numel() for body in bodies for p in body.parameters()) / 1e6, 3) == 1.551


def test_dropout_leaves_the_image_whole():
    net = MonoCNN(width=4, dropout=0.5)((3, 8, 8), 10)
    assert [len(list(body.children())) for body in net.bodies] == [2, 3, 3, 3]


@pytest.mark.parametrize("wrong", [{"width": 0}, {"dropout": 1.0}])
def test_impossible_sizes_are_refused(wrong: dict):
    with pytest.raises(ValueError):
        MonoCNN(**wrong)
