"""One optimizer step over all blocks: the same updates as block by block, in fewer operations."""

import copy
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from onward.core.learner import Learner
from onward.core.muon import Muon
from onward.core.optimizer import BlockOptimizer, OptimizerPart
from onward.core.span import Span


class JointStep:
    """Steps the optimizers of several blocks at once where kind, learning rate and other numbers agree.

    State stays in the blocks' own optimizers, which save and load it. The updates equal those of each block alone, bit
    for bit, as they are computed weight by weight. A weight that two blocks share moves once, by the optimizer of the
    first.
    """

    def __init__(self) -> None:
        self._joined: dict[Hashable, torch.optim.Optimizer] = {}
        self._sharing: dict[Hashable, bool] = {}

    def step(self, optimizers: Sequence[Any]) -> None:
        """Clip the gradients of each block, apply all, drop them, and move the averages of the weights.

        Other optimizers, such as those of replicas in a pipeline, step one after the other.
        """
        if len(optimizers) == 1 or not self._may_join(optimizers):
            for optimizer in optimizers:  # the first one of a weight drops its gradient
                optimizer.step()
            return
        alike: dict[Hashable, list[OptimizerPart]] = defaultdict(list)
        for optimizer in optimizers:
            optimizer.clip()
            for part in optimizer.parts:
                part.begin()
                alike[_numbers(part)].append(part)
        for parts in alike.values():
            self._of(parts).step()
        for optimizer in optimizers:
            for parameter in optimizer.parameters:
                parameter.grad = None
            if not optimizer.average_later:
                optimizer.follow_average()

    def _may_join(self, optimizers: Sequence[Any]) -> bool:
        """Whether these are optimizers of blocks that share no weight."""
        if not all(isinstance(optimizer, BlockOptimizer) for optimizer in optimizers):
            return False
        key = tuple(map(id, optimizers))
        if key not in self._sharing:
            weights = [id(parameter) for optimizer in optimizers for parameter in optimizer.parameters]
            self._sharing[key] = len(set(weights)) < len(weights)
        return not self._sharing[key]

    def _of(self, parts: Sequence[OptimizerPart]) -> torch.optim.Optimizer:
        """Return one optimizer of the weights of all parts, which uses the state of their own optimizers."""
        first = parts[0].optimizer
        if len(parts) == 1:
            return first
        key = (type(first), *map(id, parts))
        if key not in self._joined:
            self._joined[key] = copy.copy(first)
        joined = self._joined[key]
        every = [parameter for part in parts for parameter in part.parameters]
        joined.param_groups = [first.param_groups[0] | {"params": every}]
        joined.state = defaultdict(dict)
        for part in parts:
            for parameter in part.parameters:
                joined.state[parameter] = part.optimizer.state[parameter]
        return joined


class HeldSteps:
    """Steps the optimizers of blocks that are trained one after the other; those of small blocks wait for each other.

    At most `room` bytes of gradients wait, so that a step of small blocks has fewer operations and one of large blocks
    no more memory. The updates are the same, bit for bit, where no block reads the weights of another.
    """

    def __init__(self, room: float):
        self.room = room
        self.moved = False  # whether a weight has moved since `begin`
        self._joint = JointStep()
        self._waiting: list[BlockOptimizer] = []
        self._bytes = 0

    def begin(self) -> None:
        """Begin a step; optimizers that still wait, as after an error, are forgotten."""
        self._waiting, self._bytes, self.moved = [], 0, False

    def add(self, optimizers: Sequence[BlockOptimizer]) -> None:
        """Step these blocks, now or together with the next ones."""
        more = sum(optimizer.gradient_bytes for optimizer in optimizers)
        if self._bytes + more > self.room:
            self.flush()
        self._waiting += optimizers
        self._bytes += more
        if more > self.room:
            self.flush()

    def flush(self) -> None:
        """Step all blocks that wait."""
        if self._waiting:
            self._joint.step(self._waiting)
            self._waiting, self._bytes, self.moved = [], 0, True


def check_joint_step(learner: Learner) -> None:
    """Raise ValueError for spans of which two train the same block or weight in one step: the second needs the first.

    Its update is computed with weights that the first has moved.
    """
    for spans in learner.turns:
        trained: set[int] = set()
        for span in spans:
            own = set(range(span.first, span.last + 1))
            if trained & own:
                raise ValueError(
                    f"step_together holds all updates until the end of a step, but two spans train block "
                    f"{min(trained & own)} in one step, the second with its new weights: leave it off"
                )
            trained |= own
        name = weight_of_two(spans, learner)
        if name is not None:
            raise ValueError(
                f"step_together holds all updates until the end of a step, but two spans train the weight {name} in "
                "one step, the second with its new value: leave it off"
            )


def weight_of_two(spans: Sequence[Span], learner: Learner) -> str | None:
    """Return the name, in a later block, of a weight that blocks of two spans train; None if there is none."""
    span_of: dict[int, Span] = {}
    for span in spans:
        for k in range(span.first, span.last + 1):
            for name, weight in learner.blocks[k].named_parameters():
                if weight.requires_grad and span_of.setdefault(id(weight), span) is not span:
                    return f"blocks.{k}.{name}"
    return None


def _numbers(part: OptimizerPart) -> Hashable:
    own = part.optimizer
    (group,) = own.param_groups
    lean = group.get("fused") or isinstance(own, Muon)  # others have intermediate results for all weights at once
    if not lean or own._optimizer_step_pre_hooks or own._optimizer_step_post_hooks:
        return id(part)  # alone
    numbers = ((name, id(n) if isinstance(n, Tensor) else n) for name, n in group.items() if name != "params")
    return type(part.optimizer), tuple(numbers)
