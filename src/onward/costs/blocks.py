"""The cost of each block in a step, and the bytes sent if a pipeline is cut before it."""
# B batch, K numbers or labels of a target

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from onward.core import LocalTrainer, Stream, split
from onward.measure import MemoryMeter, Phases, clock, step_flops

Balance = Literal["measured", "flops"]
"""measured: seconds of a few steps of the whole network on the first rank; flops: operations, counted in one step."""

_STEPS = 3


@dataclass(frozen=True)
class BlockCosts:
    """Costs per block: seconds (or operations) of a step, bytes that enter it, bytes of weights and optimizer state,
    and the peak of further bytes in a step of its spans."""

    step: list[float]
    entering: list[int]
    state: list[int]
    working: list[int]
    unit: str = "seconds"

    def memory(self, stage: range, *, first: bool, last: bool) -> int:
        """Return the bytes of tensors that a stage holds: its state, its largest span's step, and waiting messages.

        On each side one message waits and one is on its way. The first stage has its batch instead.
        """
        incoming = self.entering[0] if first else 2 * self.entering[stage.start]
        outgoing = 0 if last else 2 * self.entering[stage.stop]
        return sum(self.state[k] for k in stage) + max(self.working[k] for k in stage) + incoming + outgoing

    def plain(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def block_costs(
    trainer: LocalTrainer, x: Float[Tensor, "B ..."], y: Shaped[Tensor, "B *K"], *, balance: Balance = "measured"
) -> BlockCosts:
    """Train a few steps on one batch and return the cost of each block; the trainer cannot be used afterwards."""
    count = len(trainer.learner.blocks)
    entering = _entering(trainer, x, y)
    if balance == "flops":
        flops = step_flops(trainer, x, y)
        step = [float(flops.of_block(k)) for k in range(count)]
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
    states = [_state(trainer, k) for k in range(count)]
    return BlockCosts(step, entering, states, _working(trainer, x, y), unit)


def unique_bytes(stream: Stream) -> int:
    """Return the bytes of a stream; a tensor that occurs twice is sent once."""
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


def _working(trainer: LocalTrainer, x: Tensor, y: Tensor) -> list[int]:
    """Return, for each block, the peak bytes of a step of its spans, without weights and optimizer state."""
    working = [0] * len(trainer.learner.blocks)
    for span in trainer.learner.spans:
        stream, target = trainer.enter(x, y, step=0)
        stream = trainer.advance(stream, 0, span.first, step=0)
        pieces = split(stream, target, trainer.settings.micro_batches)
        del stream
        with MemoryMeter(trainer, (x, y)) as meter:
            trainer.update_pieces(pieces, (span,), step=0, at=span.first)
        held = sum(size for name, size in meter.by_category.items() if name not in ("parameters", "optimizer", "batch"))
        for k in range(span.first, span.last + 1):
            working[k] = max(working[k], held)
    return working


def _state(trainer: LocalTrainer, k: int) -> int:
    weights = sum(p.nbytes for p in trainer.learner.blocks[k].parameters())
    return weights + sum(value.nbytes for value in trainer.optimizers[k].state().values())
