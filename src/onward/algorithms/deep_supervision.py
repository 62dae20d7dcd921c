"""Deep supervision: all objectives of a local algorithm, with the gradient of their sum through all blocks.

Slots, supervision, inference rules and initial weights are those of the local algorithm; only gradients are not stopped
between blocks (the idea: Lee et al. 2015). The difference between the two accuracies is the cost of locality alone: the
objectives are the same.
"""

from dataclasses import dataclass, field
from typing import cast

from onward.algorithms.algorithm import Algorithm
from onward.algorithms.deeper_forward import DeeperForward
from onward.core import InferenceRule, Learner, whole
from onward.nets.net import Net


@dataclass(frozen=True)
class DeepSupervision(Algorithm):
    """The gradient of all local objectives through all blocks: the control that removes locality alone."""

    of: Algorithm = field(default_factory=DeeperForward)
    """The algorithm whose network and objectives are trained."""

    @property
    def standardize(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the local algorithm takes standardized images."""
        return self.of.standardize

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network.

        Raises ValueError where the local algorithm cannot train it, or has nothing that a gradient could pass through.
        """
        if not self.of.passes_gradients:
            raise ValueError(
                f"no gradient can pass between the blocks of {type(self.of).__name__}: deep supervision of it would be "
                "the local training again; compare it with backprop"
            )
        local = self.of(net, num_classes)
        return Learner(
            list(local.blocks),
            supervision=local.supervision,
            spans=whole(len(local.blocks), deep=True),
            rules={name: cast(InferenceRule, rule) for name, rule in local.rules.items()},
            prepare=local.prepare,
        )
