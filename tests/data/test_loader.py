"""Loaders: who gets which image, and that resuming changes nothing."""

import numpy as np
import pytest
import torch

from onward.core import derive_seed
from onward.data import Augment, Augmentation, Images, TrainLoader, batches

AUGMENTED = Augmentation(crop=2, flip=True, cutout=2)


def numbered(count: int) -> Images:
    """Image k is filled with gray level k, and its label is k mod 7."""
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    return Images(pixels.contiguous(), torch.arange(count) % 7)


def order(loader: TrainLoader, epoch: int) -> list[int]:
    return [round(value * 255) for x, _ in loader.epoch(epoch) for value in x[:, 0, 0, 0].tolist()]


def test_an_epoch_sees_every_image_once_with_its_label():
    loader = TrainLoader(numbered(100), batch_size=25, device="cpu")
    assert len(loader) == 4 and sorted(order(loader, 0)) == list(range(100))
    for x, y in loader.epoch(0):
        assert x.dtype == torch.float32 and x.shape == (25, 1, 4, 4) and y.dtype == torch.int64
        assert torch.equal((x[:, 0, 0, 0] * 255).round().long() % 7, y)


def test_pixels_become_their_exact_fraction():
    images = numbered(256)
    x, _ = next(batches(images, batch_size=256, device="cpu"))
    np.testing.assert_array_equal(x, images.pixels.numpy().astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("count", "steps", "size"), [(100, 3, 30), (30, 1, 30), (29, 1, 29), (59, 1, 30)])
def test_the_last_partial_batch_is_dropped_unless_it_is_the_only_one(count, steps, size):
    loader = TrainLoader(numbered(count), batch_size=30, device="cpu")
    assert len(loader) == steps
    assert [len(x) for x, _ in loader.epoch(0)] == [size] * steps


def test_order_depends_on_seed_and_epoch_only():
    first, again = (TrainLoader(numbered(60), batch_size=20, device="cpu", seed=3) for _ in range(2))
    other = TrainLoader(numbered(60), batch_size=20, device="cpu", seed=4)
    torch.rand(5)
    assert order(first, 2) == order(again, 2)
    assert len({tuple(order(first, 0)), tuple(order(first, 1)), tuple(order(other, 0))}) == 3
    bigger = TrainLoader(numbered(60), batch_size=30, device="cpu", seed=3)
    assert order(bigger, 2) == order(first, 2)


@pytest.mark.parametrize("start", [0, 1, 3, 5])
def test_starting_later_gives_the_same_bits(random_images, start):
    images = random_images(50)
    loader = TrainLoader(images, batch_size=10, device="cpu", augmentation=AUGMENTED, seed=1)
    whole = list(loader.epoch(4))
    resumed = TrainLoader(images, batch_size=10, device="cpu", augmentation=AUGMENTED, seed=1)
    late = list(resumed.epoch(4, start=start))
    assert len(late) == 5 - start
    for (x, y), (x_late, y_late) in zip(whole[start:], late, strict=True):
        assert torch.equal(x, x_late) and torch.equal(y, y_late)


def test_skipped_batches_are_not_computed(random_images, monkeypatch):
    loader = TrainLoader(random_images(50), batch_size=10, device="cpu", augmentation=AUGMENTED)
    seeds = []
    monkeypatch.setattr(loader, "augment", lambda x, seed: seeds.append(seed) or x)
    list(loader.epoch(2, start=3))
    assert seeds == [derive_seed(0, "augmentation", 2, 3), derive_seed(0, "augmentation", 2, 4)]


def test_augmentation_is_that_of_the_batch_seed(random_images):
    images = random_images(20)
    plain = TrainLoader(images, batch_size=10, device="cpu", seed=9)
    changed = TrainLoader(images, batch_size=10, device="cpu", augmentation=AUGMENTED, seed=9)
    augment = Augment(AUGMENTED, (3, 8, 8))
    for batch, ((x, y), (x_changed, y_changed)) in enumerate(zip(plain.epoch(1), changed.epoch(1), strict=True)):
        expected = augment(x, derive_seed(9, "augmentation", 1, batch))
        assert torch.equal(expected, x_changed) and torch.equal(y, y_changed)
        assert not torch.equal(x, x_changed)


def test_training_never_changes_the_images(random_images):
    images = random_images(20)
    before = images.pixels.clone()
    for x, _ in TrainLoader(images, batch_size=10, device="cpu", augmentation=AUGMENTED).epoch(0):
        x.zero_()
    assert torch.equal(images.pixels, before)


@pytest.mark.parametrize("start", [-1, 3])
def test_start_outside_the_epoch_fails_at_the_call(start):
    loader = TrainLoader(numbered(20), batch_size=10, device="cpu")
    with pytest.raises(ValueError, match=f"start {start}"):
        loader.epoch(0, start=start)


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size 0"):
        TrainLoader(numbered(20), batch_size=0, device="cpu")
    with pytest.raises(ValueError, match="batch_size -1"):
        batches(numbered(20), batch_size=-1, device="cpu")


def test_batches_cover_the_whole_set_in_order():
    found = list(batches(numbered(25), batch_size=10, device="cpu"))
    assert [len(x) for x, _ in found] == [10, 10, 5]
    assert torch.cat([x for x, _ in found])[:, 0, 0, 0].mul(255).round().tolist() == list(range(25))
    assert torch.cat([y for _, y in found]).tolist() == [k % 7 for k in range(25)]


def test_alternating_flips_mirror_each_image_in_every_other_epoch():
    pixels = torch.arange(200, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2).clone()
    pixels[..., 1] += 1  # the left column tells the image, the right one is brighter
    loader = TrainLoader(
        Images(pixels, torch.arange(200) % 7),
        batch_size=20,
        device="cpu",
        augmentation=Augmentation(alternate_flip=True),
    )
    epochs = []
    for epoch in range(4):
        x = torch.cat([x for x, _ in loader.epoch(epoch)])[:, 0, 0] * 255
        epochs.append({round(float(row.min())): bool(row[0] > row[1]) for row in x})
    assert epochs[0] == epochs[2] and epochs[1] == epochs[3]
    assert all(epochs[0][image] != epochs[1][image] for image in range(200))
    assert 70 < sum(epochs[0].values()) < 130
