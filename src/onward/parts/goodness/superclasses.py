"""Superclasses: a goodness per group of classes, spread over its members so that all blocks score the same classes."""
# B batch, C classes, S superclasses

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Goodness, Target, WrappedGoodness


class Superclasses(WrappedGoodness):
    """One score per class: the goodness of its superclass, less the logarithm of its number of members.

    Their softmax is that over superclasses, divided evenly among the members. So the cross-entropy of a class is that
    of its superclass plus a constant, and scores of blocks with and without superclasses add up like logarithms of
    probabilities. CwComp's class groups (released code) and HCL-FF's hierarchy are trained on superclasses themselves.

    Raises ValueError for a goodness without class scores, or superclasses that are not numbered 0, 1, ... without gaps.
    """

    per_class: ClassVar[bool] = True
    member_of: Tensor
    offset: Tensor

    def __init__(self, goodness: Goodness, member_of: Sequence[int]):
        """`goodness` scores superclasses; `member_of` names the superclass of each class."""
        super().__init__(goodness)
        members = list(member_of)
        if not members or set(members) != set(range(max(members) + 1)):
            raise ValueError(f"superclasses must be numbered from 0 without gaps, got {members}")
        sizes = torch.tensor([members.count(group) for group in members], dtype=torch.float64)
        self.register_buffer("member_of", torch.tensor(members), persistent=False)
        self.register_buffer("offset", sizes.log(), persistent=False)

    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B C"]:
        scores = self.goodness(activity)
        spread = scores.gather(1, self.member_of.expand(len(scores), -1))
        return spread - self.offset.to(scores.dtype)

    def update_statistics(self, activity: Float[Tensor, "B ..."], target: Target) -> None:
        if not isinstance(self.goodness, MergedClasses):  # whose inner goodness scores classes
            target = target._replace(label=self.member_of[target.label])
        super().update_statistics(activity, target)

    @property
    def keeps_statistics(self) -> bool:
        return self.goodness.keeps_statistics


class MergedClasses(WrappedGoodness):
    """One score per superclass: the mean of its members' scores (HCL-FF, eq. of the hierarchical competition)."""

    per_class: ClassVar[bool] = True
    shares: Tensor

    def __init__(self, goodness: Goodness, member_of: Sequence[int]):
        """`goodness` scores classes; `member_of` names the superclass of each."""
        super().__init__(goodness)
        groups = torch.arange(max(member_of) + 1)
        members = (torch.tensor(list(member_of))[:, None] == groups).float()
        self.register_buffer("shares", members / members.sum(dim=0), persistent=False)

    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B S"]:
        scores = self.goodness(activity)
        with torch.autocast(scores.device.type, enabled=False):
            return scores @ self.shares.to(scores.dtype)


def even_superclasses(num_classes: int, count: int) -> tuple[int, ...]:
    """Return the superclass of each class: consecutive classes of equal number (CwComp: 20 of 5 in CIFAR-100).

    Raises ValueError if they cannot be equal.
    """
    if count < 1 or num_classes % count:
        raise ValueError(f"{num_classes} classes cannot be split into {count} equal superclasses")
    return tuple(label // (num_classes // count) for label in range(num_classes))
