"""What each block of a recipe costs in a step, and what is sent where a pipeline is cut before it."""
# B batch

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import LocalTrainer, Stream
from onward.measure import Phases, clock, step_flops

Balance = Literal["measured", "flops"]
"""measured: seconds of a few steps of the whole network on the first rank; flops: operations, counted in one step."""

_STEPS = 3


@dataclass(frozen=True)
class BlockCosts:
    """Per block: seconds (or operations) of a step, bytes that enter it, bytes of weights and optimizer state."""

    step: list[float]
    entering: list[int]
    state: list[int]
    unit: str = "seconds"

    def plain(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def block_costs(
    trainer: LocalTrainer, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], *, balance: Balance = "measured"
) -> BlockCosts:
    """Train a few steps on one batch and return what each block costs; the trainer is used up by it."""
    count = len(trainer.learner.blocks)
    entering = _entering(trainer, x, y)
    if balance == "flops":
        found = step_flops(trainer, x, y)
        step = [float(found.of_block(k)) for k in range(count)]
    else:
        turns = len(trainer.learner.turns)
        shares = []
        with Phases(trainer, clock(x.device)) as phases:
            for number in range(turns * (_STEPS + 1)):
                share = phases.of(lambda: trainer.step(x, y, step=number))  # noqa: B023 (called at once)
                shares += [share] if number >= turns else []
        by_block = [[sum(v for (block, _), v in share.items() if block == k) for share in shares] for k in range(count)]
        step = [median(seconds) if turns == 1 else sum(seconds) / len(seconds) for seconds in by_block]
    unit = "operations" if balance == "flops" else "seconds"
    return BlockCosts(step, entering, [_state(trainer, k) for k in range(count)], unit)


def unique_bytes(stream: Stream) -> int:
    """Return the bytes of a stream; what stands in it twice is sent once."""
    return sum({(tensor.data_ptr(), tensor.stride()): tensor.nbytes for tensor in stream}.values())


@torch.no_grad()
def _entering(trainer: LocalTrainer, x: Tensor, y: Tensor) -> list[int]:
    stream, target = trainer.enter(x, y, step=0)
    labels = target.label.nbytes + (0 if target.sign is None else target.sign.nbytes)
    sizes = []
    for k in range(len(trainer.learner.blocks)):
        sizes.append(unique_bytes(stream) + labels)
        stream = trainer.advance(stream, k, k + 1, step=0)
    return sizes


def _state(trainer: LocalTrainer, k: int) -> int:
    weights = sum(p.nbytes for p in trainer.learner.blocks[k].parameters())
    return weights + sum(value.nbytes for value in trainer.optimizers[k].state().values())
