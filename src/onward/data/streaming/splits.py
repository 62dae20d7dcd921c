"""The splits of a streamed set: training images stay in their shards, all others are decoded once and cached."""
# N training images, V of validation, K in the sample

import hashlib
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from ..cache import cached
from ..carve import carve
from ..images import Decoded, Splits, checksum
from ..named import NamedSet
from ..samples import Images
from .images import Streamed
from .shards import PieceReader, Shards, known_shards

SAMPLE = 10_000  # training images from which statistics are computed

_LARGEST_PIECE = 4096


def streamed_splits(
    named: NamedSet,
    files: tuple[list[str], list[str]],
    identity: list[Any],
    *,
    remedy: str,
    size: int,
    fraction: float,
    seed: int,
    buffer: int,
    workers: int,
) -> Splits:
    """Splits of train and test shards: the same images as in memory, but training images are decoded when needed.

    Validation is carved by class and seed as in memory. It, the test split, and a sample of training images for
    statistics are decoded once and kept in the cache. `identity` changes when a shard does. The checksum covers labels
    and footers of all shards and the pixels of the test split. Raises ValueError naming file and row at fault.
    """
    train, test = (known_shards(named, split, identity, remedy=remedy) for split in files)
    _check_pieces(train, buffer)
    kept, carved = carve(train.labels, fraction, seed, class_names=train.class_names)
    sample = _sample(train, kept, seed)

    def stream(shards: Shards) -> Streamed:
        reader = PieceReader(shards, named.channels, (size, size), remedy)
        return Streamed(reader, torch.arange(len(shards)), buffer=buffer, workers=workers)

    def decode() -> Decoded:
        held = stream(train).subset(torch.cat([carved, sample]))
        return Decoded(held, stream(test).subset(torch.arange(len(test))), train.class_names)

    decoded, _ = cached(f"{named.name}-held", [identity, size, fraction, seed, SAMPLE], decode)
    held, count = decoded.train, len(carved)
    validation, sampled = (Images(held.pixels[part], held.labels[part]) for part in (slice(count), slice(count, None)))
    known = [train.digest, test.digest, size, checksum(decoded.test)]
    return Splits(
        name=named.name,
        train=Streamed(
            PieceReader(train, named.channels, (size, size), remedy),
            kept,
            buffer=buffer,
            workers=workers,
            sample=sampled,
        ),
        validation=validation,
        test=decoded.test,
        class_names=train.class_names,
        checksum=hashlib.sha256(repr(known).encode()).hexdigest(),
    )


def _sample(shards: Shards, kept: Int64[Tensor, "N"], seed: int) -> Int64[Tensor, "K"]:
    """Return rows of training images from whole pieces, drawn by seed, so that few pieces have to be read."""
    piece_of = shards.piece_of(kept)
    drawn = torch.randperm(len(shards.first), generator=torch.Generator().manual_seed(seed))
    return kept[drawn[piece_of].argsort(stable=True)[:SAMPLE]].sort().values


def _check_pieces(shards: Shards, buffer: int):
    sizes = torch.cat([shards.first[1:], torch.tensor([len(shards)])]) - shards.first
    largest, most = int(sizes.argmax()), max(buffer, _LARGEST_PIECE)
    if sizes[largest] > most:
        file, group = shards.pieces[largest].tolist()
        raise ValueError(
            f"{shards.files[file]}, row group {group} holds {int(sizes[largest])} images, which have to be decoded at "
            f"once: write it with row groups of about 100, or choose a larger --data.buffer"
        )
