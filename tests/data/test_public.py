"""Images under a public set's name: known copies are told from all others."""

from dataclasses import replace

import pytest
import torch

from onward.data import KNOWN_NOTES, NAMED_SETS, note_on_counts, title_of
from onward.data import public as public_module
from onward.data.images import Decoded, checksum
from onward.data.public import Copy, note_on

NAMED = {named.name: named for named in NAMED_SETS}
SMALL = replace(NAMED["svhn"], name="small", num_train=12, num_test=6, default_size=8)


@pytest.fixture
def decoded(random_images) -> Decoded:
    return Decoded(random_images(12), random_images(6, seed=1), ("0", "1", "2"))


@pytest.fixture
def known(decoded, monkeypatch) -> Copy:
    """The images of `decoded` are those of a public set, whose third test image nobody here has."""
    others = torch.tensor([0, 1, 3, 4, 5])
    rest = checksum(decoded.train, decoded.test.subset(others))
    copy = Copy("small", 12, 6, checksum(decoded.train, decoded.test), left_out=2, rest=rest)
    monkeypatch.setattr(public_module, "COPIES", (copy,))
    return copy


def changed(decoded: Decoded, split: str, image: int) -> Decoded:
    images = getattr(decoded, split)
    pixels = images.pixels.clone()
    pixels[image, 0, 0, 0] ^= 1
    return replace(decoded, **{split: replace(images, pixels=pixels)})


def note(decoded: Decoded) -> str:
    return note_on(SMALL, decoded, checksum(decoded.train, decoded.test), size=8)


def test_the_public_images_have_no_note(decoded, known):
    assert note(decoded) == "" == note(changed(decoded, "test", 2))


@pytest.mark.parametrize(("split", "image"), [("train", 0), ("test", 1), ("test", 5)])
def test_one_changed_pixel_is_noticed(decoded, known, split, image):
    other = changed(decoded, split, image)
    told = f"(checksum {checksum(other.train, other.test)[:12]}, {known.digest[:12]} expected)"
    assert note(other) == f"not the images of small {told}"


def test_a_label_is_noticed(decoded, known):
    labels = decoded.test.labels.flip(0)
    assert note(replace(decoded, test=replace(decoded.test, labels=labels))).startswith("not the images of small")


def test_at_another_size_the_numbers_of_images_have_to_do(decoded, known):
    assert note_on(SMALL, changed(decoded, "train", 0), "0" * 64, size=16) == ""


@pytest.mark.parametrize(
    ("name", "train", "test", "told"),
    [
        ("mnist", 60_000, 10_000, ""),
        ("mnist", 200, 10_000, "not the images of mnist (200 train images, 60,000 expected)"),
        ("mnist", 60_000, 50, "not the images of mnist (50 test images, 10,000 expected)"),
        ("imagenet", 1_281_167, 50_000, ""),
        ("svhn", 73_257, 26_032, ""),
        ("cifar10", 50_000, 10_000, ""),
        ("cifar10", 40_000, 10_000, "CIFAR-10, 40k train, batch 5 as test"),
        ("cifar10", 40_000, 100, "not the images of cifar10 (100 test images, 10,000 expected)"),
        ("cifar100", 40_000, 10_000, "not the images of cifar100 (40,000 train images, 50,000 expected)"),
    ],
)
def test_numbers_of_images_tell_a_copy(name, train, test, told):
    assert note_on_counts(NAMED[name], train, test) == told
    assert (told in KNOWN_NOTES) == (not told.startswith("not"))


def test_copies_are_of_sets_at_their_sizes():
    for copy in public_module.COPIES:
        named = NAMED[copy.name]
        assert len(copy.digest) == 64 and copy.num_test == named.num_test
        assert copy.num_train == named.num_train or copy.note


def test_a_named_set_has_a_title_and_one_with_copies_on_record_is_told_from_them():
    assert [title_of(name) for name in ("fashion_mnist", "cifar100", "my pets")] == [
        "Fashion-MNIST",
        "CIFAR-100",
        "my pets",
    ]
    assert title_of("cifar10") == "CIFAR-10, standard split"
    assert title_of("CIFAR-10, 40k train, batch 5 as test") == "CIFAR-10, 40k train, batch 5 as test"
