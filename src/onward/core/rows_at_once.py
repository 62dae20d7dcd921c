"""How many rows of a batch an operation computes at once, if the whole batch would need too much memory."""
# B batch

import math

from jaxtyping import Shaped
from torch import Tensor

_NUMBERS = {"cuda": 2**26}  # few launches
_OTHERWISE = 2**18  # a copy in fp32 fits a processor's cache


def rows_at_once(batch: Shaped[Tensor, "B ..."], numbers: int = _OTHERWISE) -> int:
    """Return how many inputs of a batch, at least one, to compute at once, so that copies of them stay small.

    Together they have at most so many numbers; on CUDA more.
    """
    return max(1, _NUMBERS.get(batch.device.type, numbers) // max(1, math.prod(batch.shape[1:])))
