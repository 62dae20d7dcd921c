"""Images and Splits: what they refuse, and statistics against NumPy."""

import hashlib

import numpy as np
import pytest
import torch

from onward.data import Images, Splits


def splits(images: Images, **changes) -> Splits:
    fields = {"name": "made", "train": images, "validation": images, "test": images}
    return Splits(**{**fields, "class_names": ("a", "b", "c"), "checksum": "", **changes})


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2).long(), "torch.float32"),
        (torch.zeros(2, 4, 4).byte(), torch.zeros(2).long(), r"\(2, 4, 4\)"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(2).int(), "torch.int32"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(2, 1).long(), r"\(2, 1\)"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(3).long(), "2 images but 3 labels"),
        (torch.zeros(0, 1, 4, 4).byte(), torch.zeros(0).long(), "empty"),
    ],
)
def test_images_refuse(pixels, labels, message, monkeypatch):
    # Where shape checks are on they speak first; users run without them and must get our message.
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        Images(pixels, labels)


def test_subset_copies_in_the_given_order(random_images):
    images = random_images(9)
    part = images.subset(torch.tensor([7, 2]))
    assert len(part) == 2 and part.labels.tolist() == [1, 2]
    assert torch.equal(part.pixels, torch.stack([images.pixels[7], images.pixels[2]]))
    before = images.pixels[7].clone()
    part.pixels.zero_()
    assert torch.equal(images.pixels[7], before)


def test_splits_know_their_shape(random_images):
    made = splits(random_images(6, shape=(1, 5, 7)))
    assert made.shape == (1, 5, 7) and made.num_classes == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("only",)}, "two or more"),
        ({"class_names": ("a", "b", "c\udcff")}, "'c.udcff' is not text"),
        ({"class_names": ("a", "b")}, "label 2"),
        ({"test": Images(torch.zeros(2, 3, 9, 8).byte(), torch.zeros(2).long())}, r"test images are \(3, 9, 8\)"),
        ({"validation": Images(torch.zeros(1, 3, 8, 8).byte(), torch.tensor([-1]))}, "validation holds label -1"),
    ],
)
def test_splits_refuse(random_images, changes, message):
    with pytest.raises(ValueError, match=message):
        splits(random_images(6), **changes)


def test_channel_statistics_are_those_of_train_alone(random_images):
    train = random_images(5000, shape=(3, 4, 4))
    train.pixels[:, 1] //= 3
    mean, std = splits(train, test=random_images(6, shape=(3, 4, 4), seed=1)).channel_statistics()
    scaled = train.pixels.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-6)


def test_a_constant_channel_has_no_vanishing_std():
    images = Images(torch.full((4, 1, 2, 2), 255).byte(), torch.tensor([0, 1, 2, 0]))
    mean, std = splits(images).channel_statistics()
    assert mean.item() == 1 and std.item() == pytest.approx(1 / 255)


def test_checksum_is_the_documented_hash(random_images):
    from onward.data.images import checksum

    train, test = random_images(5), random_images(3, seed=1)
    digest = hashlib.sha256()
    for images in (train, test):
        array = images.pixels.numpy()
        digest.update(str(array.shape).encode() + array.tobytes() + images.labels.numpy().astype("<i8").tobytes())
    assert checksum(train, test) == digest.hexdigest()
    test.labels[0] += 1
    assert checksum(train, test) != digest.hexdigest()
