"""Images that are decoded when they are needed: for a set that does not fit in memory."""
# N images, K of them, B images in a batch, C channels, H W map

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ..samples import Gathered, Images, Source
from .order import stream_order
from .shards import PieceReader, Request
from .workers import decoded

_CHUNK = 512  # images that are put together at a time where there are no batches


class Streamed(Source):
    """Some rows of parquet shards, in their order; numbered as they would be in memory.

    `buffer` images are shuffled among, `workers` processes decode. `sample` is what statistics are taken from. Reading
    raises ValueError naming file and row where an image is damaged, OSError if a process that decodes was killed.
    """

    def __init__(
        self,
        reader: PieceReader,
        rows: Int64[Tensor, "N"],
        *,
        buffer: int,
        workers: int,
        sample: Images | None = None,
    ):
        self.reader, self.rows, self.buffer, self.workers = reader, rows, buffer, workers
        self.piece_of = reader.shards.piece_of(rows)
        self._labels, self._sample = reader.shards.labels[rows], sample

    @property
    def labels(self) -> Int64[Tensor, "N"]:
        return self._labels

    @property
    def pixels(self) -> UInt8[Tensor, "N C H W"]:
        """A stream has none: raises ValueError with the remedy."""
        raise ValueError("a streamed set holds no pixels in memory: leave --data.buffer out, or take a subset")

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.reader.channels, *self.reader.size)

    @property
    def sample(self) -> Images:
        assert self._sample is not None, "a stream to train on is made with a sample"
        return self._sample

    def placed(self, device: torch.device) -> "Streamed":
        """The stream itself: nothing of it stays on a device."""
        return self

    def subset(self, index: Int64[Tensor, "K"]) -> Images:
        """The images at these positions, in this order, decoded into memory."""
        pixels = torch.empty(len(index), *self.shape, dtype=torch.uint8)
        ascending, position = index.sort()
        for part, (gathered, _) in zip(position.split(_CHUNK), self.take(ascending.split(_CHUNK)), strict=True):
            pixels[part] = gathered
        return Images(pixels, self._labels[index])

    def order(self, batch_size: int, seed: int) -> list[Int64[Tensor, "B"]]:
        """Which images each batch of an epoch takes; see `stream_order`."""
        return list(stream_order(self.piece_of, batch_size=batch_size, buffer=self.buffer, seed=seed))

    def in_order(self, batch_size: int) -> Iterator[Gathered]:
        return self.take(torch.arange(len(self)).split(batch_size))

    def take(self, batches: Sequence[Int64[Tensor, "_"]], own: slice | None = None) -> Iterator[Gathered]:
        """Pixels and labels of each batch in turn; with `own`, pixels outside these rows are black, and not decoded."""
        if not batches:
            return
        own = own or slice(None)
        journey = _journey([self.rows[batch[own]].numpy() for batch in batches], self)
        incoming = zip(journey.positions, decoded(self.reader, journey.requests, workers=self.workers), strict=True)
        store = torch.empty(journey.capacity, *self.shape, dtype=torch.uint8)
        free, slots, arrived, position = list(range(journey.capacity)), np.empty(journey.ends[-1], np.int64), 0, 0
        for batch, due, end in zip(batches, journey.due, journey.ends, strict=True):
            while arrived < due:
                positions, images = next(incoming)
                slots[positions] = [free.pop() for _ in positions]
                store[slots[positions]] = torch.from_numpy(images)
                arrived += 1
            used = slots[position:end]
            pixels = torch.zeros(len(batch), *self.shape, dtype=torch.uint8)
            pixels[own] = store[used]
            free += used.tolist()
            position = end
            yield pixels, self._labels[batch]


@dataclass(frozen=True)
class _Journey:
    """The schedule of a stream: the requests in order, and the largest number of waiting images.

    All batches one after the other have positions 0, 1, ...; batch k ends before position `ends[k]`, and the first
    `due[k]` requests must have arrived for it. `positions` are those of each request's images.
    """

    requests: list[Request]
    positions: list[np.ndarray]
    due: np.ndarray
    ends: np.ndarray
    capacity: int


def _journey(wanted: list[np.ndarray], source: Streamed) -> _Journey:
    """Request every piece once, when the first of its images is needed, and only its needed rows."""
    rows = np.concatenate(wanted)
    lengths = np.array([len(part) for part in wanted])
    batch_of = np.repeat(np.arange(len(wanted)), lengths)
    shards = source.reader.shards
    pieces, firsts, inverse = np.unique(
        shards.piece_of(torch.from_numpy(rows)).numpy(), return_index=True, return_inverse=True
    )
    within = rows - shards.first.numpy()[pieces][inverse]
    positions = np.split(np.argsort(inverse, kind="stable"), np.bincount(inverse).cumsum()[:-1])
    sequence = np.argsort(firsts)
    needed = batch_of[firsts]
    come, gone = np.bincount(needed[inverse], minlength=len(wanted)), lengths
    return _Journey(
        [(int(pieces[k]), within[positions[k]]) for k in sequence],
        [positions[k] for k in sequence],
        np.bincount(needed, minlength=len(wanted)).cumsum(),
        lengths.cumsum(),
        int((come.cumsum() - gone.cumsum() + gone).max()),
    )
