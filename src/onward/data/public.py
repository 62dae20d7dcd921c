"""Whether images are those of the public set with their name: by number, and by checksum where it is known."""

from dataclasses import dataclass

import torch

from .images import Decoded, checksum
from .named import NAMED_SETS, NamedSet


@dataclass(frozen=True)
class Copy:
    """A copy of a named set that is known, at its default size; `note` is empty if it is the public set itself."""

    name: str
    num_train: int
    num_test: int
    digest: str
    note: str = ""
    left_out: int | None = None
    """A test image whose pixels are not the public ones; the set is also accepted if all others are the same."""
    rest: str = ""
    """The checksum without that image."""


COPIES = (
    Copy("mnist", 60_000, 10_000, "e0130f111822ed58de3ba94ad450971c80ee446d2ff4d08e2b4c8e8be16eae50"),
    Copy("fashion_mnist", 60_000, 10_000, "a06d3266794aa0147787f49603795ec5e8a32fac55270d9b4ac38d415b342e8c"),
    Copy(
        "cifar10", 50_000, 10_000, "c3df918989c01511a1cdae8a97d9cb75790494d0d1faafeb128bc17a47008ac3",
        left_out=9254, rest="b1aa02b9ba257926ba52d8c592c4e7d2ae16f65301f81d0a0d19f5772985bbe8",
    ),
    Copy(
        "cifar10", 40_000, 10_000, "b04c924ab399f26b4023e71e5417db661e9d3a2f3163e0753659ad13069c037f",
        note="CIFAR-10, 40k train, batch 5 as test",
    ),
    Copy("cifar100", 50_000, 10_000, "4ec76184412ef58723bcb458e1cec84a30cf0ba7aab1200cf1b630ae839d37eb"),
)  # fmt: skip

KNOWN_NOTES = tuple(copy.note for copy in COPIES)
"""Notes of data that results are recorded on; none is the empty one of the public sets."""


def note_on(named: NamedSet, decoded: Decoded, digest: str, *, size: int) -> str:
    """Return the note that is printed beside every number measured on these images; empty for the public set."""
    counts = (len(decoded.train), len(decoded.test))
    known = [copy for copy in COPIES if (copy.name, copy.num_train, copy.num_test) == (named.name, *counts)]
    if not known or size != named.default_size:
        return known[0].note if known else note_on_counts(named, *counts)
    for copy in known:
        if copy.digest == digest or (copy.left_out is not None and _rest(decoded, copy.left_out) == copy.rest):
            return copy.note
    return f"not the images of {named.name} (checksum {digest[:12]}, {known[0].digest[:12]} expected)"


def note_on_counts(named: NamedSet, num_train: int, num_test: int) -> str:
    """Return the same by numbers of images alone: of a set that is streamed, or known by its result only."""
    note = next((copy.note for copy in COPIES if (copy.name, copy.num_train) == (named.name, num_train)), "")
    if num_train != named.num_train and not note:
        return f"not the images of {named.name} ({num_train:,} train images, {named.num_train:,} expected)"
    if num_test != named.num_test:
        return f"not the images of {named.name} ({num_test:,} test images, {named.num_test:,} expected)"
    return note


def title_of(images: str) -> str:
    """Return how images are called in a text: a named set by its title, and a note or any other name as it is.

    The name of a set tells it from a copy with other splits that is on record.
    """
    title = next((named.title for named in NAMED_SETS if named.name == images), images)
    return f"{title}, standard split" if any(copy.name == images and copy.note for copy in COPIES) else title


def _rest(decoded: Decoded, left_out: int) -> str:
    others = torch.arange(len(decoded.test)) != left_out
    return checksum(decoded.train, decoded.test.subset(others.nonzero().flatten()))
