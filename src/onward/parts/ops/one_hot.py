"""Labels as rows of zeros with a single one."""
# B batch, C classes

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import constant


def one_hot(labels: Int64[Tensor, "B"], num_classes: int, dtype: torch.dtype) -> Float[Tensor, "B C"]:
    """Return a row for each label, without reading the labels' values, so that the step can be traced or captured.

    A label outside of the classes gives zeros; the loss must refuse it.
    """
    return (labels[:, None] == class_numbers(num_classes, labels.device)).to(dtype)


def class_numbers(num_classes: int, device: torch.device) -> Int64[Tensor, "C"]:
    """Return 0, 1, ... up to the last class; it must not be written to."""
    return constant(_numbers, num_classes, device)


def _numbers(count: int, device: torch.device) -> Int64[Tensor, "C"]:
    return torch.arange(count, device=device)
