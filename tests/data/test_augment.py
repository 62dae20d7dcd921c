"""Augmentation against per-sample loops with the random draws recovered by search."""

import time
from dataclasses import fields

import numpy as np
import pytest
import torch

from onward.data import Augment, Augmentation

X = torch.rand(128, 3, 12, 10, generator=torch.Generator().manual_seed(0))
SHAPE = (3, 12, 10)
EACH = [
    Augmentation(crop=2),
    Augmentation(flip=True),
    Augmentation(rotation=30.0),
    Augmentation(resized_crop=0.3),
    Augmentation(color_jitter=0.4),
    Augmentation(grayscale=0.5),
    Augmentation(cutout=5),
    Augmentation(crop=2, flip=True, rotation=10.0, resized_crop=0.5, color_jitter=0.2, grayscale=0.2, cutout=3),
]


def test_crop_is_a_window_of_the_padded_image():
    y = Augment(Augmentation(crop=2), SHAPE)(X, 0)
    padded = np.pad(X.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    offsets = []
    for before, after in zip(padded, y.numpy(), strict=True):
        windows = [
            (i, j) for i in range(5) for j in range(5) if np.array_equal(before[:, i : i + 12, j : j + 10], after)
        ]
        assert len(windows) == 1
        offsets += windows
    # 128 draws from 25 places miss any single one with probability below 1 %; each row and column surely appears.
    assert {i for i, _ in offsets} == {j for _, j in offsets} == set(range(5))
    assert len(set(offsets)) > 20


def test_a_crop_may_find_the_image_reflected_outside():
    y = Augment(Augmentation(crop=2, padding="reflect"), SHAPE)(X, 0)
    padded = np.pad(X.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    for before, after in zip(padded, y.numpy(), strict=True):
        windows = [before[:, i : i + 12, j : j + 10] for i in range(5) for j in range(5)]
        assert sum(np.array_equal(window, after) for window in windows) == 1


def test_unknown_padding_and_two_ways_to_mirror_are_refused():
    wrapped = Augmentation(crop=2)
    object.__setattr__(wrapped, "padding", "wrap")
    with pytest.raises(ValueError, match="padding of Augmentation must be one of zeros, reflect, got 'wrap'"):
        wrapped.__post_init__()
    with pytest.raises(ValueError, match="flip and alternate_flip exclude each other"):
        Augmentation(flip=True, alternate_flip=True)


def test_flip_mirrors_about_half():
    y = Augment(Augmentation(flip=True), SHAPE)(X, 0)
    same = (y == X).flatten(1).all(1)
    mirrored = (y == X.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all() and 40 < mirrored.sum() < 88


def test_rotation_turns_a_ramp_about_the_center():
    # Bilinear resampling is exact on a ramp: its slope turns by the angle and keeps its length.
    ramp = torch.arange(10.0).expand(128, 1, 13, 10)
    y = Augment(Augmentation(rotation=30.0), (1, 13, 10))(ramp, 0)[:, 0]
    right, down = y[:, 6, 5] - y[:, 6, 4], y[:, 7, 4] - y[:, 6, 4]
    assert torch.allclose(right**2 + down**2, torch.ones(128), atol=1e-4)
    assert torch.allclose((y[:, 6, 4] + y[:, 6, 5]) / 2, torch.tensor(4.5), atol=1e-4)
    angles = torch.rad2deg(torch.atan2(down, right))
    assert angles.min() > -30.01 and angles.max() < 30.01
    assert (angles < -20).any() and (angles > 20).any() and len(angles.unique()) > 100


@pytest.mark.parametrize("side", [1, 3, 7, 9])
def test_cutout_erases_one_square_of_exactly_that_side(side):
    y = Augment(Augmentation(cutout=side), SHAPE)(X, 0)
    places = set()
    for before, after in zip(X, y, strict=True):
        rows, columns = (after != before).any(0).nonzero().T
        top, left = int(rows.min()), int(columns.min())
        expected = before.clone()
        expected[:, top : top + side, left : left + side] = 0
        assert torch.equal(after, expected) and len(rows) == side**2
        places.add((top, left))
    assert len(places) > 5
    assert {i for i, _ in places} <= set(range(13 - side)) and {j for _, j in places} <= set(range(11 - side))
    if side == 7:
        assert {i for i, _ in places} == set(range(6)) and {j for _, j in places} == set(range(4))


def test_grayscale_takes_color_from_its_share():
    y = Augment(Augmentation(grayscale=0.3), SHAPE)(X, 0)
    same = (y == X).flatten(1).all(1)
    assert 18 < (~same).sum() < 62
    assert torch.allclose(y[~same, 0], y[~same, 1]) and torch.allclose(y[~same, 0], y[~same, 2])


def test_resized_crop_keeps_a_gradient_image_within_its_area():
    # On an image whose value is its column, the range of values left tells the width that was kept.
    ramp = torch.linspace(0, 1, 32).expand(64, 3, 32, 32)
    wide = Augment(Augmentation(resized_crop=0.25), (3, 32, 32))(ramp.contiguous(), 0)
    width = (wide.amax((1, 2, 3)) - wide.amin((1, 2, 3))) * 31 + 1
    height = Augment(Augmentation(resized_crop=0.25), (3, 32, 32))(ramp.transpose(2, 3).contiguous(), 0)
    height = (height.amax((1, 2, 3)) - height.amin((1, 2, 3))) * 31 + 1
    area = width * height / 32**2
    # Sides are rounded to whole pixels, hence the tolerance.
    assert area.min() > 0.2 and area.max() <= 1.01 and area.std() > 0.1


def test_color_jitter_stays_in_range_and_differs_between_images():
    # One image repeated: what differs afterwards is drawn per image.
    x = X[:1].expand(64, -1, -1, -1).contiguous()
    y = Augment(Augmentation(color_jitter=0.4), SHAPE)(x, 0)
    assert y.min() >= 0 and y.max() <= 1
    assert y.mean((1, 2, 3)).std() > 0.02
    assert (y.mean((2, 3)) - y.mean((1, 2, 3))[:, None]).std() > 0.01


@pytest.mark.parametrize("settings", EACH, ids=lambda settings: "+".join(_enabled(settings)))
def test_decided_by_input_and_seed_alone(settings):
    augment, other = Augment(settings, SHAPE), Augment(settings, SHAPE)
    before, state = X.clone(), torch.get_rng_state()
    first = augment(X, 11)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(X, before)
    torch.rand(7)
    augment(X, 12)
    assert torch.equal(other(X, 11), first)
    assert not torch.equal(augment(X, 12), first)
    assert first.shape == X.shape and first.dtype == X.dtype and first.isfinite().all()
    assert first.min() >= 0 and first.max() <= 1


def test_off_by_default():
    assert not Augmentation().enabled
    assert torch.equal(Augment(Augmentation(), SHAPE)(X, 0), X)
    assert all(settings.enabled for settings in EACH)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        (Augmentation(color_jitter=0.4), (1, 8, 8), "needs RGB but images have 1 channel"),
        (Augmentation(grayscale=0.4), (1, 8, 8), "needs RGB"),
        (Augmentation(crop=8), (3, 8, 9), "whole image of 9x8 pixels: choose at most 7"),
        (Augmentation(cutout=8), (3, 9, 8), "choose at most 7"),
    ],
)
def test_settings_that_do_not_suit_the_images(settings, shape, message):
    with pytest.raises(ValueError, match=message):
        Augment(settings, shape)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="was made for"):
        Augment(Augmentation(flip=True), (3, 12, 12))(X, 0)


def test_a_training_batch_takes_milliseconds():
    augment = Augment(Augmentation(crop=4, flip=True, cutout=8), (3, 32, 32))
    x = torch.rand(128, 3, 32, 32)
    seconds = []
    for seed in range(6):
        begin = time.process_time()
        augment(x, seed)
        seconds.append(time.process_time() - begin)
    # About 3 ms of one core; the fastest of six is immune to whatever else the machine does.
    assert min(seconds) < 0.015 * torch.get_num_threads()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_draws_the_same_changes():
    augment = Augment(Augmentation(crop=2, flip=True, cutout=3), SHAPE)
    state = torch.cuda.get_rng_state()
    assert torch.equal(augment(X.cuda(), 5).cpu(), augment(X, 5))
    assert torch.equal(torch.cuda.get_rng_state(), state)


def _enabled(settings: Augmentation) -> list[str]:
    return [field.name for field in fields(settings) if getattr(settings, field.name)]
