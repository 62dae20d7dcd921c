"""Early exits (after BTS-EE, arXiv 2509.08318): images exit at the first block that is confident.

Slots, supervision and training are those of the algorithm `of`; one inference rule is added and comes first. Every
block of a local algorithm scores the classes anyway, so an exit adds no cost. Thresholds per exit and class are
calibrated on the validation split after the training.

BTS-EE trains heads for the exits of a network that backpropagation trained, each on what earlier exits let through:
`heads="trained"`. With `heads="own"` blocks are their own heads and learn from all images.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

from onward.algorithms.algorithm import Algorithm
from onward.algorithms.deeper_forward import DeeperForward
from onward.core import InferenceRule, Learner, Range
from onward.nets.net import Net
from onward.parts.inference.early_exit import EarlyExit
from onward.parts.inference.exit_heads import ExitHeads


@dataclass(frozen=True)
class EarlyExits(Algorithm):
    """An algorithm with an exit at every block, calibrated per class on validation images."""

    of: Algorithm = field(default_factory=DeeperForward)
    """The algorithm whose blocks are exits; its blocks score classes in one pass."""
    margin: Annotated[float, Range(-1, 1)] = 0.01
    """Accuracy an exit may lose per class, relative to the full network. Negative: it must exceed it by that much."""
    heads: Literal["own", "trained"] = "own"
    """own: an exit reads the scores of its blocks; trained: it has a linear classifier, fitted on the remaining
    images."""

    @property
    def standardize(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the local algorithm takes standardized images."""
        return self.of.standardize

    @property
    def passes_gradients(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether gradients of later blocks could reach earlier ones."""
        return self.of.passes_gradients

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots. Raises ValueError for an algorithm without class scores in one pass, or with one block."""
        local = self.of(net, num_classes)
        scored = sum(block.goodness is not None for block in local.blocks)
        exits = scored if self.heads == "own" else len(local.blocks)
        if local.supervision.signed or exits < 2:
            raise ValueError(
                f"early exits need at least 2 blocks that score classes in one pass, which "
                f"{type(self.of).__name__} does not have"
            )
        exit_rule = EarlyExit if self.heads == "own" else ExitHeads
        rules = {"early_exit": exit_rule(exits, num_classes, margin=self.margin)}
        return Learner(
            list(local.blocks),
            supervision=local.supervision,
            spans=local.turns,
            rules={**rules, **{name: cast(InferenceRule, rule) for name, rule in local.rules.items()}},
            prepare=local.prepare,
        )
