"""Labels as rows of zeros with a single one."""
# B batch, C classes

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def one_hot(labels: Int64[Tensor, "B"], num_classes: int, dtype: torch.dtype) -> Float[Tensor, "B C"]:
    """Return a row for each label, without looking at the labels' values: a step that is traced or captured cannot.

    A label that is no class gives zeros; the loss beside it has to refuse it.
    """
    return (labels[:, None] == torch.arange(num_classes, device=labels.device)).to(dtype)
