"""The losses of an epoch: summed by block, and checked for NaN and infinity."""
# S spans trained in a step

from collections import Counter
from collections.abc import Iterable
from itertools import chain

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Turns


class LossLog:
    """Sums the loss of every block that ends a span, and stores the first step where it was not finite."""

    def __init__(self, num_blocks: int, device: torch.device):
        self.sum = torch.zeros(num_blocks, dtype=torch.float64, device=device)
        self.first_bad = torch.full_like(self.sum, -1, dtype=torch.int64)

    def note(self, losses: Float[Tensor, "S"], ends: Int64[Tensor, "S"], step: int) -> None:
        """Add the losses of one step; `ends` are the blocks that the spans end at."""
        self.sum.index_add_(0, ends, losses.double())
        first = self.first_bad[ends]
        self.first_bad[ends] = torch.where(~torch.isfinite(losses) & (first < 0), step, first)

    def check(self, steps_per_epoch: int) -> None:
        """Raise ValueError if a loss was not finite, naming the block and the step where that first happened."""
        for block, step in enumerate(self.first_bad.tolist()):
            if step >= 0:
                raise ValueError(
                    f"the loss of block {block} is not finite since step {step} (epoch {step // steps_per_epoch}); "
                    "lower the learning rate (--trainer.learning-rate) or clip gradients (--trainer.clip-norm 1)"
                )

    def means(self, turns: Turns, steps: Iterable[int]) -> dict[int, float]:
        """Return the mean loss over `steps` of every block that ended a span in them."""
        counts = Counter(chain.from_iterable([span.last for span in turns[step % len(turns)]] for step in steps))
        sums = self.sum.tolist()  # waits for the device
        return {block: sums[block] / counts[block] for block in sorted(counts)}


def ends_of(turns: Turns, device: torch.device) -> list[Int64[Tensor, "S"]]:
    """Return, for each turn, the blocks that its spans end at."""
    return [torch.tensor([span.last for span in turn], dtype=torch.int64, device=device) for turn in turns]
