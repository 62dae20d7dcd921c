"""Networks: the sizes of the published tables, how skip connections travel, and images of odd size."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onward.nets import MLP, NETS, VGG14, Architecture, Dense, Net, ResNet17, TinyCNN
from onward.nets.net import conv_body
from onward.nets.relu_dropout import ReluDropout
from onward.nets.residual import Append, JoinFork

RGB = (3, 32, 32)


def _walk(net: Net, images: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Each layer's activity, and the stream that its pool and its join hand on."""
    stream = (images,)
    for body, pool, join in zip(net.bodies, net.pools, net.joins, strict=True):
        x, *skips = stream
        activity = body.eval()(x)
        stream = join(pool(activity), *skips)
        yield activity, stream


def _sizes(tensors: list[Tensor]) -> list[tuple[int, int]]:
    """Channels and map size."""
    assert all(t.shape[2] == t.shape[3] for t in tensors)
    return [(t.shape[1], t.shape[2]) for t in tensors]


@pytest.mark.parametrize(
    ("architecture", "layers", "million_parameters", "million_products"),
    [(TinyCNN(), 4, 2.668, 273.9), (VGG14(), 14, 17.774, 419.7), (ResNet17(), 17, 30.603, 1477.3)],
)
def test_published_sizes(architecture: Architecture, layers, million_parameters, million_products):
    """DeeperForward, ten classes, color images: parameters, and multiply-accumulates of one 32x32 image."""
    net = architecture(RGB, 10)
    weights = [p for body in net.bodies for p in body.parameters()]
    assert len(net.bodies) == len(net.joins) == len(net.widths) == len(weights) == layers
    assert sum(p.numel() for p in weights) / 1e6 == pytest.approx(million_parameters, abs=0.00051)
    with torch.no_grad():
        maps = [activity[0, 0].numel() for activity, _ in _walk(net, torch.rand(1, *RGB))]
    products = sum(w.numel() * size for w, size in zip(weights, maps, strict=True))
    assert products / 1e6 == pytest.approx(million_products, abs=0.05)


def test_resnet17_layers_have_the_published_sizes():
    with torch.no_grad():
        walked = list(_walk(ResNet17(width=20)(RGB, 10), torch.rand(1, *RGB)))
    # layer: activity, then what is handed on, then the skip connection that travels with it; width 20 for 100
    first = [(20, 32), (20, 32), (20, 32)]
    second = [(40, 16), (40, 16), (40, 16)]
    third = [(80, 8), (80, 8), (80, 8)]
    fourth = [(160, 4), (160, 4), (160, 4)]
    expected = [
        *[first] * 4,  # layers 0 to 3
        [(20, 32), (40, 32), (40, 16)],  # layer 4: concatenated, and pooled for the next stage
        *[second] * 3,
        [(40, 16), (80, 16), (80, 8)],
        *[third] * 3,
        [(80, 8), (160, 8), (160, 4)],
        *[fourth] * 3,
        fourth[:2],  # layer 16: the skip connection ends
    ]
    assert [_sizes([activity, *stream]) for activity, stream in walked] == expected


def test_tiny_cnn_layers_have_the_published_sizes():
    walked = _walk(TinyCNN(width=10)(RGB, 10), torch.rand(1, *RGB))
    assert _sizes([activity for activity, _ in walked]) == [(10, 32), (20, 16), (40, 8), (40, 8)]


def test_vgg14_layers_have_the_published_sizes():
    walked = _walk(VGG14(width=7)(RGB, 10), torch.rand(1, *RGB))
    stages = [[(7, 32)] * 2, [(14, 16)] * 3, [(28, 8)] * 3, [(56, 4)] * 3, [(56, 2)] * 3]
    assert _sizes([activity for activity, _ in walked]) == [size for stage in stages for size in stage]


def test_resnet17_skips_equal_a_loop_by_hand():
    """DeeperForward's table: taken after every even layer, used two layers later, pooled between stages."""
    net, x = ResNet17(width=3)(RGB, 3), torch.rand(2, *RGB)
    shortcuts: dict[int, Tensor] = {}
    with torch.no_grad():
        for layer, (activity, stream) in enumerate(_walk(net, x)):
            expected = net.bodies[layer](x)
            assert torch.equal(activity, expected)
            if layer in (2, 6, 10, 14):
                expected = expected + shortcuts[layer - 2]
            if layer in (4, 8, 12):
                expected = torch.cat([expected, shortcuts[layer - 2]], dim=1)
            if layer % 2 == 0:
                shortcuts[layer] = F.avg_pool2d(expected, 2) if layer in (4, 8, 12) else expected
            assert torch.equal(stream[0], expected)
            x = expected


@pytest.mark.parametrize("architecture", NETS)
@pytest.mark.parametrize("size", [28, 8, 5, 1])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_pass_through(architecture: type[Architecture], size: int, channels: int):
    shape = (channels, size, size)
    sizes: dict[type[Architecture], dict[str, Any]] = {MLP: {"width": 6, "depth": 2}, Dense: {"hidden": (6, 4)}}
    net = architecture(**sizes.get(architecture, {"width": 2}))(shape, 2)
    with torch.no_grad():
        activities = [activity for activity, _ in _walk(net, torch.rand(2, *shape))]
    assert [activity.shape[1] for activity in activities] == list(net.widths)
    assert all(activity.isfinite().all() for activity in activities)


@pytest.mark.parametrize("architecture", [TinyCNN(width=2), VGG14(width=2), ResNet17(width=2)])
def test_a_map_of_odd_size_shrinks_to_the_larger_half(architecture: Architecture):
    walked = _walk(architecture((1, 28, 28), 2), torch.rand(1, 1, 28, 28))
    sizes = sorted({activity.shape[2] for activity, _ in walked}, reverse=True)
    assert sizes == [28, 14, 7, 4, 2][: len(sizes)]


def test_pooling_an_odd_map_averages_real_values_only():
    ones = torch.ones(1, 2, 7, 7)
    pool = conv_body(2, 2, dropout=0.0, pool=True)[0]
    assert torch.equal(pool(ones), torch.ones(1, 2, 4, 4))
    _, skip = JoinFork(Append(), pool=True)(ones, ones)
    assert torch.equal(skip, torch.ones(1, 4, 4, 4))


def test_mlp_layers_are_linear_on_the_flattened_image():
    net, images = MLP(width=9, depth=3)((2, 3, 4), 5), torch.rand(6, 2, 3, 4)
    expected = images.reshape(6, 24)
    for body, (activity, stream) in zip(net.bodies, _walk(net, images), strict=True):
        weight, bias = body.parameters()
        expected = (expected @ weight.T + bias).clamp(min=0)
        torch.testing.assert_close(activity, expected)
        assert stream == (activity,)
    assert list(net.widths) == [9, 9, 9]


def test_convolutions_start_kaiming_normal_by_fan_out():
    conv = conv_body(8, 64, kernel=5, dropout=0.0)[0]
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is None
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (64 * 25)) ** 0.5, rel=0.03)
    assert abs(float(conv.weight.detach().mean())) < 0.001


@pytest.mark.parametrize("architecture", [TinyCNN, VGG14, ResNet17])
@pytest.mark.parametrize(("dropout", "expected"), [(0.0, []), (0.3, [0.3])])
def test_dropout_follows_every_relu_or_is_not_there(architecture, dropout: float, expected: list[float]):
    net = architecture(width=2, dropout=dropout)((1, 8, 8), 2)
    for body in net.bodies:
        assert [layer.p for layer in body if isinstance(layer, ReluDropout)] == expected
        assert isinstance(body[-1], ReluDropout if expected else nn.ReLU)


def test_fresh_weights_are_drawn_from_the_global_generator():
    def draw(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return [p for body in TinyCNN(width=2)(RGB, 2).bodies for p in body.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(draw(1), draw(1), strict=True))
    assert not torch.equal(draw(1)[0], draw(2)[0])
