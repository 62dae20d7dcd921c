"""Replicas: processes that share the batches of one stage, and step with the gradient of the whole batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from onward.core import BlockOptimizer, Learner, LocalBlock
from onward.pipeline.progress_tracker import ProgressTracker


class Peers:
    """The replicas of one stage and their collective operations; waiting for the others counts as waiting, not work."""

    def __init__(self, group: Any, work: ProgressTracker):
        self.group, self.work = group, work
        self.number, self.rank = dist.get_world_size(group), dist.get_rank(group)

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all replicas, stacked in their order."""
        own = tensor.detach().contiguous()
        shares = [torch.empty_like(own) for _ in range(self.number)]
        with self.work.waiting("peers"):  # as bytes: so any type can be sent
            dist.all_gather([share.view(torch.uint8) for share in shares], own.view(torch.uint8), group=self.group)
        return torch.stack(shares)

    def combine(self, tensor: Tensor, how: Any = dist.ReduceOp.SUM) -> None:
        """All-reduce a tensor in place."""
        with self.work.waiting("peers"):
            dist.all_reduce(tensor, how, group=self.group)


class SharedOptimizer:
    """Wraps a block's optimizer; adds up the gradients of all replicas before each step.

    Each replica's loss is its share of the batch's mean, so that the sum is the gradient of the whole batch. Clipping
    comes after it. All replicas get the same bits, and stay equal.
    """

    def __init__(self, own: BlockOptimizer, peers: Peers):
        self.own, self.peers = own, peers

    @property
    def block(self):
        return self.own.block

    @property
    def average(self):
        return self.own.average

    def set_learning_rate(self, value: float) -> None:
        self.own.set_learning_rate(value)

    def step(self) -> None:
        """Add up the gradients, then step."""
        add_up([p.grad for p in self.own.parameters if p.grad is not None], self.peers)
        self.own.step()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with self.own.averaged():
            yield

    def state(self) -> dict[str, Tensor]:
        return self.own.state()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.own.load_state(tensors)


def add_up(tensors: list[Tensor], peers: Peers) -> None:
    """Replace tensors by their sums over all replicas, in one message."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    peers.combine(flat)
    for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(total.view(tensor.shape))


def greatest(values: list[int], peers: Peers) -> list[int]:
    """Return the greatest of each value over all replicas."""
    most = torch.tensor(values)
    peers.combine(most, dist.ReduceOp.MAX)
    return most.tolist()


def check_replicas(learner: Learner, replicas: int, batch_size: int, micro_batches: int) -> None:
    """Raise ValueError where the shares of a batch would not add up to the batch, naming the remedy."""
    if replicas == 1:
        return
    if batch_size % (replicas * micro_batches):
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared evenly by {replicas} replicas of {micro_batches} "
            f"micro-batches; choose a --batch-size that is a multiple of {replicas * micro_batches}"
        )
    for k, block in enumerate(learner.blocks):
        for name in _couplings(block):
            raise ValueError(
                f"{name} of block {k} compares the images of a whole batch, and a replica has only its share; "
                "use --replicas 1 and more stages, or a method without it"
            )


def _couplings(block: LocalBlock) -> Iterator[str]:
    """Name parts that compare images of a batch and cannot be split over replicas; see `whole_batch` for those that
    can."""
    for module in block.goodness.modules() if block.goodness is not None else ():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            yield type(module).__name__
    if block.objective is not None and block.objective.couples_samples:
        yield type(block.objective).__name__
