"""Wrappers of an objective: weights of classes, one label per token, numbers at each position."""
# B batch, C classes, T tokens, N rows that count

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from onward.core import IGNORED, NonNegative, Target, WrappedObjective, numbers


@dataclass(frozen=True)
class PerPosition(WrappedObjective):
    """Another objective with numbers at each position, [B, ..., C] floats: scores have a row per position.

    A position with NaN among its numbers gives no term. Raises ValueError if every position of a batch has NaN.
    """

    def __call__(self, scores: Float[Tensor, "BT C"], target: Target) -> Float[Tensor, "N"]:
        label = target.label.flatten(0, -2)
        return self.objective(*_where(~label.isnan().any(dim=1), scores, label, target, "target", "NaN"))


@dataclass(frozen=True)
class ClassWeights(WrappedObjective):
    """Another objective's terms, each times the weight of its class. Raises ValueError for a negative weight.

    The weighted terms are averaged over the batch, not divided by the sum of its weights, so that micro-batches add up
    to the same gradient.
    """

    weights: tuple[NonNegative, ...]

    def __post_init__(self):
        super().__post_init__()
        if not any(self.weights):
            raise ValueError(f"class weights must not all be 0, got {self.weights}")

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        terms = self.objective(scores, target)
        return terms * numbers(self.weights, terms.dtype, terms.device)[target.label]


@dataclass(frozen=True)
class PerToken(WrappedObjective):
    """Another objective with one label per token [B, T]: scores have a row per token, ignored ones give no terms.

    The ignored label is -100. Raises ValueError if every label of a batch is ignored.
    """

    def __call__(self, scores: Float[Tensor, "BT C"], target: Target) -> Float[Tensor, "N"]:
        rows, labels = counted(scores, target)
        return self.objective(rows, labels)


def counted(rows: Float[Tensor, "BT ..."], target: Target) -> tuple[Float[Tensor, "N ..."], Target]:
    """Return the rows whose label is not ignored, and their target. Raises ValueError if there are none."""
    label = target.label.flatten()
    return _where(label != IGNORED, rows, label, target, "label", f"{IGNORED}, which is ignored")


def _where(
    keep: Bool[Tensor, "BT"], rows: Tensor, label: Tensor, target: Target, noun: str, left_out: str
) -> tuple[Tensor, Target]:
    """Return the rows and labels to keep; the host waits for their indices once, not for each tensor."""
    indices = keep.nonzero().squeeze(1)
    if not len(indices):
        raise ValueError(f"every {noun} of this batch is {left_out}: there is nothing to learn from")
    # Their gradient is added up in less time than that of `rows[indices]`, with the same bits.
    return rows.index_select(0, indices), target._replace(label=label[indices])
