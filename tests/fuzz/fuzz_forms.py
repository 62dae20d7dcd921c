"""The same images and labels in other forms that must mean the same, and forms that must be refused."""
# N images, H W map

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from fuzz_case import Case

Form = Callable[[np.ndarray], Any]

SAME: dict[str, Form] = {
    "uint8 [N 1 H W]": lambda x: x,
    "uint8 [N H W]": lambda x: x[:, 0],
    "uint8 [N H W 1]": lambda x: x.transpose(0, 2, 3, 1),
    "uint8 tensor": lambda x: torch.from_numpy(x.copy()),
    "float32": lambda x: (x / 255).astype("f4"),
    "float64": lambda x: x / 255,
    "float64 tensor": lambda x: torch.from_numpy(x / 255),
    "float32 tensor with gradient": lambda x: torch.from_numpy((x / 255).astype("f4")).requires_grad_(),
    "float32 tensor, strided": lambda x: torch.from_numpy(np.repeat((x / 255).astype("f4"), 2, axis=3))[..., ::2],
    "float64 big-endian": lambda x: (x / 255).astype(">f8"),
    "float32 big-endian": lambda x: (x / 255).astype(">f4"),
    "long double": lambda x: (x / 255).astype(np.longdouble),
    "negative strides": lambda x: x[::-1, :, ::-1].copy()[::-1, :, ::-1],
    "Fortran order": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "list of arrays": lambda x: list(x),
    "list of tensors": lambda x: [torch.from_numpy(image.copy()) for image in x],
    "tuple of arrays": lambda x: tuple(x[:, 0]),
    "nested lists": lambda x: (x / 255).tolist(),
    "read only": lambda x: _locked(x),
    "sparse": lambda x: torch.from_numpy(x / 255).to_sparse(),
    "uint16": lambda x: x.astype("u2") * 257,
    "uint16 big-endian": lambda x: (x.astype("u2") * 257).astype(">u2"),
    "uint16 tensor": lambda x: torch.from_numpy(x.astype("u2") * 257),
    "list of uint16 arrays": lambda x: list(x.astype("u2") * 257),
    "list of uint16 tensors": lambda x: list(torch.from_numpy(x.astype("u2") * 257)),
    "channels last": lambda x: torch.from_numpy(x.copy()).contiguous(memory_format=torch.channels_last),
}
"""By name: what makes another form of uint8 images [N 1 H W]; it must be taken for the same or be refused."""

ROUNDED: dict[str, Form] = {
    "float16": lambda x: (x / 255).astype("f2"),
    "bfloat16 tensor": lambda x: torch.from_numpy(x / 255).bfloat16(),
}
"""Likewise, but what is taken may differ by rounding."""

OTHER: dict[str, Form] = {
    "integers": lambda x: x.astype("i8"),
    "nested lists of integers": lambda x: x.tolist(),
    "a negative value": lambda x: _with(x, -0.25),
    "a value above one": lambda x: _with(x, 1.5),
    "floats to 255": lambda x: np.maximum(x.astype("f4"), 2.0),
    "float64 to 1e6": lambda x: x * 4000.1,
    "negative integers": lambda x: -1 - x.astype("i4"),
    "large integers": lambda x: x.astype("i4") + 256,
    "booleans": lambda x: x > 127,
    "three channels": lambda x: np.repeat(x, 3, axis=1),
    "another height": lambda x: np.concatenate([x, x], axis=2),
    "another width": lambda x: x[..., :-1],
    "flat": lambda x: x.reshape(len(x), -1),
}
"""Other inputs: to be learned from as they are, and refused by a learner of images [1 H W] in [0, 1]."""

REFUSED: dict[str, Form] = {
    "a NaN": lambda x: _with(x, np.nan),
    "an infinity": lambda x: _with(x, np.inf),
    "minus infinity": lambda x: _with(x, -np.inf),
    "a NaN in a tensor": lambda x: torch.from_numpy(_with(x, np.nan)),
    "a NaN in lists": lambda x: _with(x, np.nan).tolist(),
    "complex": lambda x: x.astype("c8"),
    "complex tensor": lambda x: torch.from_numpy(x / 255).to(torch.complex64),
    "objects": lambda x: x.astype(object),
    "text": lambda x: x.astype(str),
    "bytes": lambda x: x.tobytes(),
    "dates": lambda x: x.astype("datetime64[s]"),
    "records": lambda x: np.zeros(len(x), dtype=[("a", "u1"), ("b", "f4")]),
    "two channels": lambda x: np.repeat(x, 2, axis=1),
    "five axes": lambda x: x[None],
    "no axis": lambda x: np.array(3, dtype="u1"),
    "a number": lambda x: 7,
    "a float": lambda x: 0.5,
    "nothing": lambda x: None,
    "a string": lambda x: "images.npy",
    "a dict": lambda x: {"images": x},
    "a set": lambda x: {1, 2},
    "ragged lists": lambda x: [image[0, : 1 + k % 2] for k, image in enumerate(x)] if len(x) > 1 else [[0.1], 2],
    "lists of text": lambda x: [["a"] * 8] * len(x),
    "lists of nothing": lambda x: [None] * len(x),
    "no height": lambda x: x[:, :, :0],
    "a generator": lambda x: (image for image in x),
    "on no device": lambda x: torch.from_numpy(x / 255).to("meta"),
    "quantized": lambda x: torch.quantize_per_tensor(torch.from_numpy((x / 255).astype("f4")), 0.1, 0, torch.quint8),
}
"""Likewise, but each must be refused."""


def _locked(x: np.ndarray) -> np.ndarray:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def _with(x: np.ndarray, value: float) -> np.ndarray:
    copy = (x / 255).astype("f4")
    copy.reshape(-1)[copy.size // 2] = value
    return copy


LABELS_SAME: dict[str, Form] = {
    "int64": lambda y: y,
    "int64 tensor": lambda y: torch.from_numpy(y.copy()),
    "int32 tensor": lambda y: torch.from_numpy(y.astype("i4")),
    "uint8": lambda y: y.astype("u1"),
    "int8": lambda y: y.astype("i1"),
    "uint64": lambda y: y.astype("u8"),
    "uint16 tensor": lambda y: torch.from_numpy(y.astype("u2")),
    "big-endian": lambda y: y.astype(">i4"),
    "reversed view": lambda y: y[::-1].copy()[::-1],
    "list": lambda y: y.tolist(),
    "tuple": lambda y: tuple(y.tolist()),
    "list of NumPy numbers": lambda y: list(y),
    "list of tensors": lambda y: [torch.tensor(int(label)) for label in y],
}

LABELS_NAMED: dict[str, Form] = {
    "text": lambda y: y.astype(str),
    "list of text": lambda y: [str(label) for label in y],
    "words": lambda y: np.array(["zebra", "ape", "\u00f6lm"])[y],
    "objects of words": lambda y: np.array(["zebra", "ape", "\u00f6lm"], dtype=object)[y],
    "series of words": lambda y: pd.Series(np.array(["zebra", "ape", "\u00f6lm"])[y]),
    "categories": lambda y: pd.Categorical(np.array(["zebra", "ape", "\u00f6lm"])[y]),
    "booleans": lambda y: y > 0,
    "boolean tensor": lambda y: torch.from_numpy(y > 0),
}
"""Names of classes: to be learned as such by `from_arrays`, and refused where class indices are asked for."""

LABELS_REFUSED: dict[str, Form] = {
    "one of -1": lambda y: _label(y, -1),
    "one too high": lambda y: _label(y, 3),
    "one of 99": lambda y: _label(y, 99),
    "one of 2**40": lambda y: _label(y, 2**40),
    "one of 2**63 - 1": lambda y: _label(y, 2**63 - 1),
    "-1 as uint32": lambda y: _label(y, -1).astype("u4"),
    "-1 as uint64": lambda y: _label(y, -1).astype("u8"),
    "a NaN": lambda y: np.where(np.arange(len(y)) == 0, np.nan, y),
    "halves": lambda y: y + 0.5,
    "floats": lambda y: y.astype("f4"),
    "float tensor": lambda y: torch.from_numpy(y).double(),
    "list of floats": lambda y: [float(label) for label in y],
    "complex": lambda y: y.astype("c8"),
    "list with nothing": lambda y: [None, *y.tolist()[1:]],
    "objects": lambda y: y.astype(object) * 2**70,
    "list of huge": lambda y: [2**70, *y.tolist()[1:]],
    "one hot": lambda y: np.eye(3, dtype="i8")[y],
    "a column": lambda y: y[:, None],
    "one too few": lambda y: y[:-1],
    "one too many": lambda y: np.append(y, 0),
    "none": lambda y: y[:0],
    "no axis": lambda y: np.array(1),
    "a number": lambda y: 1,
    "nothing": lambda y: None,
    "a string": lambda y: "012",
    "a dict": lambda y: dict(enumerate(y)),
    "ragged": lambda y: [[0], [1, 2]],
    "a generator": lambda y: (label for label in y),
}


def _label(y: np.ndarray, value: int) -> np.ndarray:
    copy = y.copy()
    copy[len(y) // 2] = value
    return copy


def images_of(case: Case, x: np.ndarray) -> tuple[Any, str]:
    """Return some form of images, and whether it is the same, rounded, other images or to be refused."""
    kinds = (("same", SAME), ("rounded", ROUNDED), ("other", OTHER), ("refused", REFUSED))
    return _some(case, x, kinds, (6, 1, 2, 3))


def labels_of(case: Case, y: np.ndarray) -> tuple[Any, str]:
    """Return some form of labels, and whether it is the same, named or to be refused."""
    return _some(case, y, (("same", LABELS_SAME), ("named", LABELS_NAMED), ("refused", LABELS_REFUSED)), (4, 1, 3))


def _some(case: Case, value: np.ndarray, kinds: Any, weights: tuple[int, ...]) -> tuple[Any, str]:
    kind, forms = case.draw.choices(kinds, weights)[0]
    name = case.draw.choice(list(forms))
    case.note(f"{name} of {len(value)} ({kind})")
    return forms[name](value), kind


def numbers_in(given: Any) -> np.ndarray:
    """Return the numbers of a form, in their own type where NumPy has it."""
    if isinstance(given, list | tuple) and isinstance(given[0], torch.Tensor):
        given = torch.stack(list(given))
    if isinstance(given, torch.Tensor):
        dense = given.detach().to_dense() if given.layout != torch.strided else given.detach()
        return (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()
    return np.asarray(given)
