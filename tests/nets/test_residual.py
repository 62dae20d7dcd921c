"""Residual networks: published sizes, the residual rule against a plain loop, and channels that stay by class."""

from collections.abc import Iterator, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onward.algorithms import DeeperForward
from onward.core import Learner
from onward.nets import VGG14, Architecture, Net, Plain17, ResNet17, ResNet19, ResNet33, ResNet100
from onward.nets.residual import Add, Append, ConcatByClass, Fork, JoinFork

RGB = (3, 32, 32)
RESIDUAL = (ResNet17, ResNet19, ResNet33, ResNet100)


def _walk(net: Net, images: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Each layer's activity, and the stream that its join hands on."""
    stream = (images,)
    for body, join in zip(net.bodies, net.joins, strict=True):
        x, *skips = stream
        activity = body.eval()(x)
        stream = join(activity, *skips)
        yield activity, stream


@pytest.mark.parametrize(
    ("architecture", "layers", "parameters", "million_products"),
    [
        (Plain17(), 17, 26_822_700, 1339.1),
        (ResNet17(), 17, 30_602_700, 1477.3),
        (ResNet17(width=300), 17, 275_408_100, 13279.0),
        (ResNet19(), 19, 9_542_700, 1477.3),
        (ResNet33(), 33, 47_702_700, 2675.4),
        (ResNet100(), 100, 46_566_590, 2826.8),
        (ResNet100(concat="by_class"), 100, 46_566_590, 2826.8),
    ],
)
def test_published_sizes(architecture: Architecture, layers: int, parameters: int, million_products: float):
    """DeeperForward, ten classes, color images: parameters, and multiply-accumulates of one 32x32 image."""
    with torch.device("meta"):
        net = architecture(RGB, 10)
        maps = [activity[0, 0].numel() for activity, _ in _walk(net, torch.empty(1, *RGB))]
    weights = [p for body in net.bodies for p in body.parameters()]
    assert len(net.bodies) == len(net.joins) == len(net.widths) == len(weights) == layers
    assert sum(p.numel() for p in weights) == parameters
    products = sum(w.numel() * size for w, size in zip(weights, maps, strict=True))
    assert products / 1e6 == pytest.approx(million_products, abs=0.5 if million_products > 10_000 else 0.05)


def _conv_layer(x: Tensor, weight: Tensor, stride: int, num_classes: int) -> tuple[Tensor, Tensor]:
    """A layer's scores and the features behind its group norm (DeeperForward, eq. 8 and 9)."""
    h = F.relu(F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2))
    groups = h.reshape(len(h), num_classes, -1)
    scores = groups.mean(dim=2)
    deviation = (groups.var(dim=2, correction=0, keepdim=True) + 1e-5).sqrt()
    return scores, ((groups - scores[:, :, None]) / deviation).view_as(h)


def _join(new: Tensor, old: Tensor, classes: int, by_class: bool) -> Tensor:
    """Equations 10 and 11 at the place where the shortcut ends."""
    if old.shape[2] != new.shape[2]:
        old = F.avg_pool2d(old, 2)
    if not by_class:
        return torch.cat([new, old], dim=1)
    both = [part.reshape(len(part), classes, -1, *part.shape[2:]) for part in (new, old)]
    return torch.cat(both, dim=2).flatten(1, 2)


def _by_hand(weights: Sequence[Tensor], x: Tensor, stages: Sequence[int], *, size: int, by_class: bool) -> Tensor:
    """Scores of every layer: blocks of `size` layers per stage, with the block's input kept aside and no stream."""
    classes, left, scores = 3, list(weights), []

    def layer(x: Tensor, stride: int = 1) -> Tensor:
        said, features = _conv_layer(x, left.pop(0), stride, classes)
        scores.append(said)
        return features

    x = layer(F.layer_norm(x, x.shape[1:]))
    for stage, count in enumerate(stages):
        for block in range(count):
            shortcut = x
            for k in range(size):  # the 3x3 convolution that comes first strides
                first = k == (1 if size == 3 else 0)
                x = layer(x, stride=2 if stage and not block and first else 1)
            widens = not block and (stage > 0 or size == 3)  # the input is narrower than what leaves
            x = _join(x, shortcut, classes, by_class) if widens else x + shortcut
    assert not left
    return torch.stack(scores)


def _learner(net: Architecture, num_classes: int = 3, side: int = 16) -> tuple[Learner, list[Tensor]]:
    learner = DeeperForward()(net((3, side, side), num_classes), num_classes).double().eval()
    return learner, [p.detach() for p in learner.parameters()]


@pytest.mark.parametrize("concat", ["append", "by_class"])
@pytest.mark.parametrize(
    ("kind", "stages", "size"), [(ResNet19, (3, 3, 3), 2), (ResNet33, (3, 4, 6, 3), 2), (ResNet100, (3, 4, 23, 3), 3)]
)
def test_the_stream_equals_a_loop_with_shortcuts_by_hand(kind, stages: tuple[int, ...], size: int, concat):
    learner, weights = _learner(kind(width=3, concat=concat))
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    expected = _by_hand(weights, x, stages, size=size, by_class=concat == "by_class")
    with torch.no_grad():
        found = torch.stack([block.goodness(h) for block, h, _ in learner.run_blocks((x,)) if block.goodness])
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
    assert len({tuple(row.tolist()) for row in found[:, 0]}) == len(found)


@pytest.mark.parametrize("concat", ["append", "by_class"])
def test_resnet17_equals_a_loop_with_shortcuts_by_hand(concat):
    """Taken after every even layer and used two layers later; the last layer of a stage concatenates."""
    learner, weights = _learner(ResNet17(width=3, concat=concat))
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    inputs, shortcuts, expected = F.layer_norm(x, x.shape[1:]), {}, []
    for k, weight in enumerate(weights):
        said, z = _conv_layer(inputs, weight, 2 if k in (5, 9, 13) else 1, 3)
        expected.append(said)
        if k in (2, 6, 10, 14):
            z = z + (F.avg_pool2d(shortcuts[k - 2], 2) if k > 2 else shortcuts[k - 2])
        if k in (4, 8, 12):
            z = _join(z, shortcuts[k - 2], 3, concat == "by_class")
        if k % 2 == 0:
            shortcuts[k] = z
        inputs = z
    with torch.no_grad():
        found = [block.goodness(h) for block, h, _ in learner.run_blocks((x,)) if block.goodness]
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_plain17_is_a_chain():
    net, x = Plain17(width=2)(RGB, 2), torch.rand(2, *RGB)
    with torch.no_grad():
        walked = list(_walk(net, x))
        for k, (body, (activity, stream)) in enumerate(zip(net.bodies, walked, strict=True)):
            (weight,) = body.parameters()
            x = F.relu(F.conv2d(x, weight, stride=2 if k in (5, 9, 13) else 1, padding=1))
            assert torch.equal(activity, x) and stream == (activity,)
    sizes = [(activity.shape[1], activity.shape[2]) for activity, _ in walked]
    assert sizes == [(2, 32)] * 5 + [(4, 16)] * 4 + [(8, 8)] * 4 + [(16, 4)] * 4


def test_after_a_concat_by_class_every_class_has_its_channels_of_both_parts():
    """Ten new and six old channels of two classes, numbered by class in the hundreds."""
    new = torch.tensor([100, 101, 102, 103, 104, 200, 201, 202, 203, 204])
    old = torch.tensor([110, 111, 112, 210, 211, 212])
    joined = ConcatByClass(2)(*(part.float().view(1, -1, 1, 1).expand(3, -1, 4, 5) for part in (new, old)))
    assert joined.shape == (3, 16, 4, 5)
    of_class = joined[0, :, 0, 0].view(2, 8)
    assert of_class.tolist() == [
        [100, 101, 102, 103, 104, 110, 111, 112],
        [200, 201, 202, 203, 204, 210, 211, 212],
    ]


def test_the_released_codes_concat_mixes_classes():
    new, old = torch.tensor([100.0, 200.0]).view(1, 2, 1, 1), torch.tensor([110.0, 210.0]).view(1, 2, 1, 1)
    assert Append()(new, old).flatten().tolist() == [100, 200, 110, 210]


@pytest.mark.parametrize("kind", RESIDUAL)
def test_by_class_every_skip_keeps_to_its_class(kind):
    """Two independent nets, one per class, equal one net whose convolutions never mix the classes."""
    net = kind(width=2, dropout=0.0, concat="by_class")((2, 16, 16), 2)
    apart = [kind(width=1, dropout=0.0)((1, 16, 16), 1) for _ in range(2)]
    for whole, *parts in zip(net.bodies, *(one.bodies for one in apart), strict=True):
        (weight,), (first,), (second,) = (list(body.parameters()) for body in (whole, *parts))
        with torch.no_grad():
            weight.zero_()
            weight[: len(first), : first.shape[1]] = first
            weight[len(first) :, first.shape[1] :] = second
    x = torch.rand(2, 2, 16, 16)
    with torch.no_grad():
        together = [activity for activity, _ in _walk(net, x)]
        alone = [[activity for activity, _ in _walk(one, x[:, c : c + 1])] for c, one in enumerate(apart)]
    for k, activity in enumerate(together):
        torch.testing.assert_close(activity, torch.cat([alone[0][k], alone[1][k]], dim=1))


@pytest.mark.parametrize("combine", [Append(), ConcatByClass(4), Add()])
def test_joining_keeps_the_memory_layout_and_the_precision(combine: nn.Module):
    x = torch.rand(2, 8, 6, 6, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    joined, skip = JoinFork(combine, pool=True)(x, x)
    assert joined.dtype == skip.dtype == torch.bfloat16
    assert joined.is_contiguous(memory_format=torch.channels_last)
    assert skip.is_contiguous(memory_format=torch.channels_last)
    assert skip.shape[2:] == (3, 3)


def test_a_skip_within_a_stage_travels_whole():
    x = torch.rand(1, 2, 6, 6)
    assert all(tensor is x for tensor in Fork()(x))


@pytest.mark.parametrize("kind", RESIDUAL)
@pytest.mark.parametrize(("classes", "width", "nearest"), [(3, 4, "are 3 or 6"), (10, 4, "is 10")])
def test_channels_that_cannot_be_shared_out_by_class_are_refused(kind, classes: int, width: int, nearest: str):
    with pytest.raises(ValueError, match=rf"multiple of the {classes} classes, got {width}; the nearest {nearest}$"):
        kind(width=width, concat="by_class")(RGB, classes)


@pytest.mark.parametrize("kind", [VGG14, ResNet100])
def test_70_channels_cannot_speak_for_100_classes_and_the_width_that_is_named_can(kind):
    with torch.device("meta"):
        with pytest.raises(ValueError, match=r"^70 channels .* 100 equal class groups; the nearest widths are 100$"):
            DeeperForward()(kind()(RGB, 100), 100)
        learner = DeeperForward()(kind(width=100)(RGB, 100), 100)
    assert all(block.goodness is not None for block in learner.blocks)


@pytest.mark.parametrize("kind", [VGG14, Plain17, *RESIDUAL])
def test_the_width_that_is_refused_is_the_one_that_was_set(kind):
    """The first layer is as wide as the setting, so the message speaks of what can be changed."""
    with torch.device("meta"), pytest.raises(ValueError, match=r"^25 channels .* nearest widths are 20 or 30$"):
        DeeperForward()(kind(width=25)(RGB, 10), 10)
