"""VGG8b: the published sizes, pools after the activity, and dropout that commutes with them."""

import pytest
import torch
from torch import Tensor, nn

from onward.nets import Net, VGG8b


def _walk(net: Net, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each layer's activity, and what is handed on."""
    found = []
    for body, pool in zip(net.bodies, net.pools, strict=True):
        activity = body(x)
        x = pool(activity)
        found.append((activity, x))
    return found


@pytest.mark.parametrize(
    ("shape", "million_parameters", "maps"),
    [((3, 32, 32), 8.9, [32, 32, 16, 16, 8, 4]), ((1, 28, 28), 7.3, [28, 28, 14, 14, 7, 3])],
)
def test_published_size_with_a_linear_output_layer(shape, million_parameters: float, maps: list[int]):
    net = VGG8b()(shape, 10)
    count = sum(p.numel() for body in net.bodies for p in body.parameters()) + 1024 * 10
    assert count / 1e6 == pytest.approx(million_parameters, abs=0.05)
    assert list(net.widths) == [128, 256, 256, 512, 512, 512, 1024]
    small = VGG8b(width=2)(shape, 10)
    assert [a.shape[2] for a, _ in _walk(small, torch.rand(2, *shape))[:-1]] == maps


def test_maps_are_halved_after_the_activity_is_read():
    walked = _walk(VGG8b(width=2)((3, 32, 32), 10), torch.rand(2, 3, 32, 32))
    for k, (activity, handed_on) in enumerate(walked[:-1]):
        expected = nn.functional.max_pool2d(activity, 2) if k in (1, 3, 4, 5) else activity
        assert torch.equal(handed_on, expected)
    assert walked[-2][1].shape == (2, 8, 2, 2)
    assert walked[-1][0].shape == (2, 16)


def test_every_layer_is_normalized_and_leaks():
    net = VGG8b(width=4)((1, 12, 12), 10)
    for activity, _ in _walk(net, torch.randn(64, 1, 12, 12)):
        before = torch.where(activity > 0, activity, activity / 0.01)
        dims = [d for d in range(activity.ndim) if d != 1]
        torch.testing.assert_close(before.mean(dim=dims), torch.zeros(activity.shape[1]), rtol=0.0, atol=1e-3)
        deviation = before.std(dim=dims, correction=0)
        torch.testing.assert_close(deviation, torch.ones(activity.shape[1]), rtol=0.02, atol=0.0)


def test_dropping_whole_channels_after_the_maximum_is_dropping_them_before():
    body = VGG8b(width=3, dropout=0.4)((1, 8, 8), 10).bodies[2]
    dropout, activity = body.get_submodule("0"), torch.rand(5, 6, 8, 8)
    assert isinstance(dropout, nn.Dropout2d) and dropout.p == 0.4
    torch.manual_seed(1)
    before = nn.functional.max_pool2d(dropout(activity), 2)
    torch.manual_seed(1)
    after = dropout(nn.functional.max_pool2d(activity, 2))
    assert torch.equal(before, after)
    assert (after == 0).any()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout_begins_every_body_but_the_first(dropout: float):
    net = VGG8b(width=2, dropout=dropout)((1, 8, 8), 2)
    found = [[layer.p for layer in body.children() if isinstance(layer, nn.Dropout2d)] for body in net.bodies]
    assert found == [[], *[[dropout] if dropout else []] * 6]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 9), (3, 8, 2)])
def test_a_side_of_one_pixel_is_not_halved(shape: tuple[int, int, int]):
    net = VGG8b(width=2)(shape, 2)
    activity, _ = _walk(net, torch.rand(4, *shape))[-1]
    assert activity.shape == (4, 16) and activity.isfinite().all()
