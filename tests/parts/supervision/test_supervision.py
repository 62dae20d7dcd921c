"""Supervision: how the label reaches the blocks."""

import pytest
import torch
from torch import Tensor

from onward.core import Stream, Target
from onward.parts.supervision.labels import LabelInInput, LabelInLoss

CLASSES = 7


def _batch(size: int = 30) -> tuple[Tensor, Tensor]:
    return torch.rand(size, 2, 3, 4), torch.arange(size) % CLASSES


def _train_view(x: Tensor, y: Tensor, seed: int = 0) -> tuple[Stream, Target]:
    return LabelInInput(CLASSES).train_view(x, y, torch.Generator().manual_seed(seed))


def test_label_in_loss_shows_the_image_as_it_is_and_tells_the_objective():
    x, y = _batch()
    supervision = LabelInLoss()
    (view,), target = supervision.train_view(x, y, torch.Generator())
    assert view is x
    assert target._replace(made=None) == Target(y, None) and target.made == {}
    assert next(iter(supervision.test_views(x)))[0] is x
    assert supervision.neutral_view(x)[0] is x


def test_writing_a_label_equals_a_loop():
    x, y = _batch()
    expected = x.clone()
    for image, label in zip(expected, y.tolist(), strict=True):
        values = image.view(-1)  # channels, then rows, then columns
        for i in range(CLASSES):
            values[i] = 1.0 if i == label else 0.0
    original = x.clone()
    assert torch.equal(LabelInInput(CLASSES).write(x, y), expected)
    assert torch.equal(x, original)


def test_writing_a_label_does_not_depend_on_the_memory_layout():
    x, y = _batch()
    channels_last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(LabelInInput(CLASSES).write(channels_last, y), LabelInInput(CLASSES).write(x, y))


def test_real_views_come_first_and_contrastive_ones_after_them():
    x, y = _batch()
    (views,), target = _train_view(x, y)
    assert target.sign is not None
    assert target.sign.tolist() == [1] * 30 + [-1] * 30
    assert torch.equal(target.label[:30], y)
    assert torch.equal(views, LabelInInput(CLASSES).write(torch.cat([x, x]), target.label))


def test_a_wrong_label_is_never_the_right_one_and_uniform_over_the_others():
    size = 7000
    y = torch.arange(size) % CLASSES
    _, target = _train_view(torch.zeros(size, 1, 3, 4), y)
    wrong = target.label[size:]
    assert not (wrong == y).any()
    counts = torch.zeros(CLASSES, CLASSES)
    for right, other in zip(y.tolist(), wrong.tolist(), strict=True):
        counts[right, other] += 1
    expected = size / CLASSES / (CLASSES - 1)
    off_diagonal = counts[~torch.eye(CLASSES, dtype=torch.bool)]
    chi_square = float(((off_diagonal - expected) ** 2 / expected).sum())
    degrees = CLASSES * (CLASSES - 2)
    assert abs(chi_square - degrees) < 4 * (2 * degrees) ** 0.5


def test_wrong_labels_depend_on_the_generator_alone():
    x, y = _batch()
    first = _train_view(x, y)[1].label
    torch.rand(5)
    assert torch.equal(_train_view(x, y)[1].label, first)
    assert not torch.equal(_train_view(x, y, seed=1)[1].label, first)


def test_two_classes_leave_one_wrong_label():
    y = torch.tensor([0, 1, 1])
    _, target = LabelInInput(2).train_view(torch.rand(3, 1, 2, 2), y, torch.Generator())
    assert torch.equal(target.label[3:], 1 - y)


def test_every_class_is_tried_in_order():
    x, _ = _batch()
    views = list(LabelInInput(CLASSES).test_views(x))
    assert len(views) == CLASSES
    for label, (view,) in enumerate(views):
        assert torch.equal(view, LabelInInput(CLASSES).write(x, torch.full((30,), label)))


def test_the_neutral_view_favors_no_class():
    x, _ = _batch()
    (view,) = LabelInInput(CLASSES).neutral_view(x)
    torch.testing.assert_close(view.flatten(1)[:, :CLASSES], torch.full((30, CLASSES), 1 / CLASSES))
    assert torch.equal(view.flatten(1)[:, CLASSES:], x.flatten(1)[:, CLASSES:])


def test_an_image_must_have_room_for_the_label():
    with pytest.raises(ValueError, match="6 values cannot carry a label of 7 values"):
        list(LabelInInput(CLASSES).test_views(torch.rand(2, 1, 2, 3)))
