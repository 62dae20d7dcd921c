"""Several wrong labels for each image, and the label as a pattern over the whole image."""

import math

import pytest
import torch
from torch import Tensor

from onward.core import Target
from onward.parts.supervision.label_pattern import LabelPattern
from onward.parts.supervision.labels import LabelInInput

CLASSES = 6
FEEDS = [LabelInInput, LabelPattern]
each_feed = pytest.mark.parametrize("feed", FEEDS)


def _batch(size: int = 24) -> tuple[Tensor, Tensor]:
    return torch.rand(size, 2, 5, 4), torch.arange(size) % CLASSES


def _view(feed, wrong_labels: int, x: Tensor, y: Tensor, seed: int = 0) -> tuple[Tensor, Target]:
    generator = torch.Generator().manual_seed(seed)
    (rows,), target = feed(CLASSES, wrong_labels).train_view(x, y, generator)
    return rows, target


@each_feed
@pytest.mark.parametrize("count", [1, 2, CLASSES - 1])
def test_rows_are_view_by_view_with_labels_that_are_all_different(feed, count: int):
    x, y = _batch()
    rows, target = _view(feed, count, x, y)
    assert target.sign is not None
    assert target.views == count + 1
    assert len(rows) == len(target.label) == (count + 1) * len(x)
    assert target.sign.tolist() == [1] * len(x) + [-1] * count * len(x)
    labels = target.label.view(count + 1, len(x))
    assert torch.equal(labels[0], y)
    assert all(len(set(column)) == count + 1 for column in labels.T.tolist())
    tried = list(feed(CLASSES).test_views(x))
    for k in range(count + 1):
        for i in range(len(x)):
            assert torch.equal(rows[k * len(x) + i], tried[int(labels[k, i])][0][i])


@pytest.mark.parametrize("count", [2, 3])
def test_wrong_labels_are_uniform(count: int):
    size = 6000
    y = torch.zeros(size, dtype=torch.int64)
    _, target = _view(LabelInInput, count, torch.zeros(size, 1, 3, 4), y)
    counts = target.label[size:].bincount(minlength=CLASSES)[1:].double()
    expected = size * count / (CLASSES - 1)
    sigma = (expected * (1 - count / (CLASSES - 1))) ** 0.5
    assert (counts - expected).abs().max() < 4 * sigma


def test_one_wrong_label_is_drawn_as_before():
    x, y = _batch()
    _, target = _view(LabelInInput, 1, x, y, seed=3)
    shift = torch.randint(1, CLASSES, y.shape, generator=torch.Generator().manual_seed(3))
    assert torch.equal(target.label[len(y) :], (y + shift) % CLASSES)


@each_feed
def test_wrong_labels_depend_on_the_generator_alone(feed):
    x, y = _batch()
    first = _view(feed, 3, x, y)[1].label
    torch.rand(3)
    assert torch.equal(_view(feed, 3, x, y)[1].label, first)
    assert not torch.equal(_view(feed, 3, x, y, seed=1)[1].label, first)


@each_feed
def test_there_are_only_so_many_wrong_labels(feed):
    with pytest.raises(ValueError, match=rf"between 1 and {CLASSES - 1} .*, got {CLASSES}"):
        feed(CLASSES, CLASSES)
    with pytest.raises(ValueError, match=r"wrong_labels of \w+ must be a whole number in \[1, .*, got 0"):
        feed(CLASSES, 0)


def test_waves_equal_a_loop():
    x = torch.zeros(1, 2, 5, 4, dtype=torch.float64)
    waves = LabelPattern(CLASSES, strength=0.3).waves(x)
    for c in range(CLASSES):
        angle = math.pi * (c * (math.sqrt(5) - 1) / 2 % 1)
        radius = 0.45 * math.sqrt((c + 0.5) / CLASSES)
        for row in range(5):
            for column in range(4):
                phase = 2 * math.pi * radius * (math.cos(angle) * column + math.sin(angle) * row)
                assert float(waves[c, 0, row, column]) == pytest.approx(0.3 * math.cos(phase))


@pytest.mark.parametrize("num_classes", [10, 100])
def test_waves_of_different_classes_are_told_apart(num_classes: int):
    waves = LabelPattern(num_classes).waves(torch.zeros(1, 1, 32, 32)).flatten(1)
    waves = waves / waves.norm(dim=1, keepdim=True)
    likeness = waves @ waves.T - torch.eye(num_classes)
    assert float(likeness.abs().max()) < 0.5


def test_a_pattern_is_added_to_every_channel_and_the_neutral_one_is_their_mean():
    x, _ = _batch(3)
    supervision = LabelPattern(CLASSES)
    views = torch.stack([view for (view,) in supervision.test_views(x)])
    torch.testing.assert_close(views[2] - x, supervision.waves(x)[2].expand_as(x))
    torch.testing.assert_close(supervision.neutral_view(x)[0], views.mean(dim=0))


def test_a_pattern_keeps_the_memory_layout_and_leaves_the_image_alone():
    x, y = _batch()
    x = x.contiguous(memory_format=torch.channels_last)
    before = x.clone()
    rows, _ = _view(LabelPattern, 2, x, y)
    assert rows.is_contiguous(memory_format=torch.channels_last)
    assert LabelPattern(CLASSES).neutral_view(x)[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)


def test_a_pattern_needs_a_map():
    with pytest.raises(ValueError, match=r"needs images \[B, channels, H, W\], got shape \(2, 9\)"):
        list(LabelPattern(CLASSES).test_views(torch.zeros(2, 9)))
