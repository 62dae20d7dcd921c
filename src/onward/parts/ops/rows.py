"""Rows of features on disk: written once, in order, and read in any order; memory does not grow with their number."""
# B rows in a batch, D features, N rows

import tempfile
import weakref
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

_BATCH = 256  # rows read at once


class Rows:
    """Features of all images of a split, in an unnamed temporary file that is deleted with this object.

    Raises OSError if the folder for temporary files is full.
    """

    def __init__(self) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the rows exist)
        weakref.finalize(self, self._file.close)
        self._like: Tensor | None = None
        self._map: np.ndarray | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Number of features of a row."""
        return self._first.shape[1]

    @property
    def device(self) -> torch.device:
        """The device of the rows."""
        return self._first.device

    @property
    def dtype(self) -> torch.dtype:
        return self._first.dtype

    def append(self, rows: Float[Tensor, "B D"]) -> None:
        """Append rows; not possible after the first read."""
        assert self._map is None, "rows were read already"
        self._like = rows.new_empty(0, rows.shape[1]) if self._like is None else self._like
        self._file.write(rows.detach().cpu().contiguous().numpy().data)
        self._count += len(rows)

    def take(self, index: Int64[Tensor, "B"]) -> Float[Tensor, "B D"]:
        """Read rows in the order of an index, bit for bit as they were added."""
        if self._map is None:
            self._file.flush()
            kind = str(self.dtype).removeprefix("torch.")
            self._map = np.memmap(self._file, dtype=kind, mode="r", shape=(len(self), self.size))
        return torch.from_numpy(self._map[index.numpy()]).to(self.device)

    def batches(self, index: Int64[Tensor, "N"] | None = None) -> Iterator[Float[Tensor, "B D"]]:
        """Read all rows, or those of an index, in order, a few at a time."""
        for part in (torch.arange(len(self)) if index is None else index).split(_BATCH):
            yield self.take(part)

    def moments(self) -> tuple[Float[Tensor, "D"], Float[Tensor, "D"]]:
        """Return mean and variance of each feature, added up in fp64."""
        mean = sum(rows.double().sum(dim=0) for rows in self.batches()) / len(self)
        variance = sum((rows.double() - mean).square().sum(dim=0) for rows in self.batches()) / len(self)
        assert isinstance(mean, Tensor) and isinstance(variance, Tensor)
        return mean.to(self.dtype), variance.to(self.dtype)

    @property
    def _first(self) -> Tensor:
        if self._like is None:
            raise ValueError("there is no image to fit a read-out on")
        return self._like
