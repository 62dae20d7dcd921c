"""How many rows of a batch an operation computes together, where it works on one input after another."""
# B batch

import math

from jaxtyping import Shaped
from torch import Tensor

_NUMBERS = {"cuda": 2**26}  # few launches; elsewhere a processor's cache
_OTHERWISE = 2**20


def rows_at_once(batch: Shaped[Tensor, "B ..."]) -> int:
    """Return how many inputs of a batch, at least one, are computed together, so that copies of them stay small."""
    return max(1, _NUMBERS.get(batch.device.type, _OTHERWISE) // max(1, math.prod(batch.shape[1:])))
