"""Floating-point operations of a training step: products of convolutions and linear layers, two for a multiply-add."""
# B batch, K numbers or labels of a target

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from onward.core import LocalTrainer
from onward.measure.phases import Phases, Shares


class Flops(NamedTuple):
    """Operations of one step; `shares`: by block and phase; `ideal`: the lower bound of a greedy step."""

    total: int
    ideal: int
    shares: Shares

    def of_block(self, block: int) -> int:
        """Return the operations of one block, all phases together."""
        return int(sum(count for (index, _), count in self.shares.items() if index == block))


def step_flops(trainer: LocalTrainer, x: Float[Tensor, "B ..."], y: Shaped[Tensor, "B *K"]) -> Flops:
    """Train one step and count its operations; if spans take turns, the mean over one step of each turn.

    The ideal is one forward pass of every body, and as much again for the gradient of its weights: no gradient of any
    input, no read-out, nothing computed twice. Backpropagation needs about three forward passes, greedy learning two.
    """
    turns = range(len(trainer.learner.turns))
    counted = _count(trainer, lambda: [trainer.step(x, y, step=turn) for turn in turns])
    whole = {key: count / len(turns) for key, count in counted.items()}
    alone = _count(trainer, lambda: trainer.advance(trainer.enter(x, y, step=0)[0], 0, len(trainer.optimizers), step=0))
    forward = sum(count for (_, phase), count in alone.items() if phase == "forward")
    return Flops(int(sum(whole.values())), int(2 * forward), whole)


def _count(trainer: LocalTrainer, work: Callable[[], object]) -> Shares:
    with FlopCounterMode(display=False) as counter, Phases(trainer, counter.get_total_flops) as phases:
        return phases.of(work)
