"""The form of a network's inputs: their kind, their shape and the unit of their numbers."""
# N rows, C channels, H W map, T time steps or tokens, D features

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from onward.core.columns import Column, columns_of, is_frame, numbers_of
from onward.core.inputs import Shape, as_numbers, channels_first, check_finite, check_images

Kind = Literal["images", "table", "windows", "tokens", "array"]
"""images [N, C, H, W], table [N, D], windows of signals [N, C, T], tokens [N, T], or floats of any other shape."""

KINDS: tuple[Kind, ...] = get_args(Kind)
_RANKS = {"images": (3, 4), "table": (2,), "windows": (3,), "tokens": (2,)}
_WRITTEN = {
    "images": "[N, H, W], [N, C, H, W] or [N, H, W, C]",
    "table": "[N, D]",
    "windows": "[N, C, T]",
    "tokens": "[N, T]",
    "array": "[N, ...]",
}
_NOUNS: dict[Kind, str] = {
    "images": "images",
    "table": "rows",
    "windows": "windows",
    "tokens": "sequences",
    "array": "arrays",
}
_FAR = 16.0  # a largest value that no data in [0, 1] have


@dataclass(frozen=True)
class InputForm:
    """The inputs of a network: their kind, the shape of one input, and the unit of the numbers.

    `unit`: images with values in [0, 1], of which uint8 and uint16 are levels. Elsewhere numbers are taken at their
    face value. `columns` are those of a table that came with names. `level` is the largest magnitude of the training
    inputs, if known.
    """

    kind: Kind
    shape: Shape
    unit: bool = False
    columns: tuple[Column, ...] = ()
    level: float = 0.0

    @property
    def noun(self) -> str:
        """The plural noun for such inputs."""
        return _NOUNS[self.kind]

    def check(self, values: Any, what: str = "images") -> Tensor:
        """Return inputs [N, *shape] of an array, tensor or table. Raises ValueError with the value and the remedy."""
        if self.unit:
            return check_images(levels(values, what), what, shape=self.shape)
        if is_frame(values) and self.columns:
            return numbers_of(values, self.columns, what)
        tensor = check_finite(values, what)
        if self.kind == "images" and len(tensor):
            tensor = channels_first(tensor, self.shape)
        if len(tensor) == 0:
            return tensor.new_zeros(0, *self.shape)
        if tuple(tensor.shape[1:]) != self.shape:
            raise ValueError(self._of_other_shape(tensor, what))
        if self.kind == "tokens":
            return check_tokens(tensor, what)
        tensor = tensor if tensor.is_floating_point() else tensor.double()
        if self.kind == "images" and self.level >= _FAR and _between(tensor) and bool((tensor != tensor.round()).any()):
            raise ValueError(
                f"{what} lie in [0, 1], but those of the training reach beyond {self.level:g}: give them in the unit "
                "of the training"
            )
        if self.kind == "images" and self.level and float(tensor.abs().max()) > _FAR * max(self.level, 1):
            raise ValueError(
                f"{what} reach to {float(tensor.abs().max()):g}, but those of the training only to {self.level:g}: "
                "give them in the unit of the training"
            )
        return tensor

    def _of_other_shape(self, tensor: Tensor, what: str) -> str:
        shape = tuple(tensor.shape[1:])
        remedy = "resize or convert them first"
        if self.columns:
            remedy = f"give a DataFrame with the columns {', '.join(column.name for column in self.columns)[:200]}"
        if tuple(tensor.shape) == self.shape:
            remedy = f"a single one is {what}[None]"
        elif not self.columns and math.prod(shape) == math.prod(self.shape) and len(shape) != len(self.shape):
            remedy = f"reshape them, {what}.reshape(-1, {', '.join(str(size) for size in self.shape)})"
        return f"{what} of shape {shape} given, but this network takes {self.shape} ({_WRITTEN[self.kind]}); {remedy}"


def kind_of(values: Any, kind: str | None, what: str) -> Kind:
    """Return the kind of inputs: `kind` if given, else by rank: 2 a table, 3 and 4 images, more an array.

    Raises ValueError for an unknown kind, and for a rank that the kind does not have.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind is {kind!r}: choose one of {', '.join(KINDS)}, or leave it out")
    if is_frame(values):
        if kind not in (None, "table"):
            raise ValueError(f"kind is {kind!r} but {what} is a table with named columns: give {what}.to_numpy()")
        return "table"
    rank = as_numbers(values, what).ndim
    if rank < 2:
        raise ValueError(f"{what} has one dimension: give a row for each input, for example {what}.reshape(-1, 1)")
    if kind is None:
        return "table" if rank == 2 else "images" if rank <= 4 else "array"
    if kind != "array" and rank not in _RANKS[kind]:
        raise ValueError(f"{what} has shape {tuple(as_numbers(values, what).shape)}, but {kind} are {_WRITTEN[kind]}")
    return next(known for known in KINDS if known == kind)


def measured(values: Any, kind: str | None, what: str) -> tuple[InputForm, Tensor]:
    """Return the form of inputs to train on, and the inputs themselves, numbers as they come.

    Raises ValueError for inputs without numbers, NaN, infinity, and shapes or types that the kind does not have.
    """
    kind_of_values = kind_of(values, kind, what)
    if kind_of_values == "images":
        return _measured_images(values, what, declared=kind is not None)
    columns: tuple[Column, ...] = ()
    if is_frame(values):
        columns = columns_of(values, what)
        tensor = numbers_of(values, columns, what)
    else:
        tensor = check_finite(values, what)
    if tensor.numel() == 0:
        raise ValueError(f"{what} of shape {tuple(tensor.shape)} is empty: give at least one number for each row")
    tensor = check_tokens(tensor, what) if kind_of_values == "tokens" else tensor
    return InputForm(kind_of_values, tuple(tensor.shape[1:]), columns=columns), tensor


def levels(values: Any, what: str = "images") -> Tensor:
    """Return images as a tensor: of 16 bits as floats in [0, 1], which hold them exactly; others as they are."""
    tensor = as_numbers(values, what)
    return tensor.to(torch.float32) / 65535 if tensor.dtype == torch.uint16 else tensor


def check_tokens(tensor: Tensor, what: str) -> Tensor:
    """Return token ids as int64. Raises ValueError for other values."""
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise ValueError(f"{what} has dtype {tensor.dtype}: token ids are integers, for example .astype(int)")
    ids = tensor.to(torch.int64)
    if ids.numel() and int(ids.min()) < 0:
        raise ValueError(f"{what} holds the id {int(ids.min())}: token ids are numbered from 0")
    return ids


def _measured_images(values: Any, what: str, *, declared: bool) -> tuple[InputForm, Tensor]:
    tensor = levels(values, what)
    if tensor.ndim == 4 and tensor.numel() and not {1, 3} & {tensor.shape[1], tensor.shape[3]}:
        if not declared:
            raise ValueError(
                f"{what} has shape {tuple(tensor.shape)}: bring it to [N, C, H, W] or [N, H, W, C] with C = 1 or 3 "
                "channels; for another number of channels give kind='images'"
            )
        tensor = check_finite(tensor, what)
        if tensor.shape[3] < min(tensor.shape[1:3]):  # an axis smaller than both others holds the channels
            tensor = tensor.permute(0, 3, 1, 2).contiguous()
    elif tensor.is_floating_point() and tensor.numel() and not _between(tensor):
        tensor = channels_first(check_finite(tensor, what), None)
    elif tensor.dtype == torch.uint8 or tensor.is_floating_point():
        tensor = check_images(tensor, what)
    else:
        tensor = channels_first(tensor, None)
    unit = tensor.dtype == torch.uint8 or (tensor.is_floating_point() and _between(tensor))
    level = 0.0 if unit or not tensor.numel() else float(tensor.double().abs().max())
    return InputForm("images", tuple(tensor.shape[1:]), unit, level=level), tensor


def _between(tensor: Tensor) -> bool:
    if not tensor.numel():
        return True
    low, high = (float(bound) for bound in tensor.aminmax())
    return low >= 0 and high <= 1
