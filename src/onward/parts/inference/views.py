"""Inference rules applied to several views of each image: its mirror image, and the image shifted by some pixels."""
# B batch, C classes

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from onward.core import Evidence, Evidences, InferenceRule, Range

Shift = Annotated[int, Range(0, 64)]


class Views(InferenceRule, ABC):
    """Averages the class probabilities that a rule gives the views of an image, at the cost of one reading each.

    Test-time augmentation as in Jordan 2024 (arXiv 2404.00498), which averages logits. The inner rule is fitted on the
    images as they are.
    """

    def __init__(self, rule: InferenceRule):
        super().__init__()
        self.rule = rule
        self.reads_head = rule.reads_head
        self.pipelined = False  # a pipeline computes no other views

    @abstractmethod
    def views(self, evidence: Evidence) -> Iterable[Evidence]:
        """Yield the evidence about every view, one by one, so that only one is in memory."""

    @abstractmethod
    def same_views(self, rule: InferenceRule) -> InferenceRule:
        """Return another rule, applied to the same views."""

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        total, count = None, 0
        for view in self.views(evidence):
            probabilities = self.rule.probabilities(self.rule(view).float())
            total, count = probabilities if total is None else total + probabilities, count + 1
        assert total is not None
        return total / count

    def fit(self, train: Evidences, validation: Evidences) -> None:
        self.rule.fit(train, validation)

    def probabilities(self, scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return scores  # they are probabilities

    def blocks_needed(self, num_scored: int) -> int | None:
        return self.rule.blocks_needed(num_scored)


class Mirrored(Views):
    """Reads an image and its mirror image: twice the computation."""

    def views(self, evidence: Evidence) -> Iterable[Evidence]:
        yield evidence
        yield evidence.mirrored

    def same_views(self, rule: InferenceRule) -> InferenceRule:
        return Mirrored(self.rule.same_views(rule))


class Shifted(Views):
    """Reads an image as it is and moved by `pixels` along both diagonals, either way: five times the computation.

    What comes in at the borders is the image reflected.
    """

    def __init__(self, rule: InferenceRule, pixels: int = 1):
        super().__init__(rule)
        assert pixels > 0
        self.pixels = pixels

    def extra_repr(self) -> str:
        return f"pixels={self.pixels}"

    def views(self, evidence: Evidence) -> Iterable[Evidence]:
        yield evidence
        for down in (-self.pixels, self.pixels):
            for right in (-self.pixels, self.pixels):
                yield evidence.shifted(down, right)

    def same_views(self, rule: InferenceRule) -> InferenceRule:
        return Shifted(self.rule.same_views(rule), self.pixels)


def from_views(
    rules: Mapping[str, InferenceRule], *, mirrored: bool, shifted: int = 0, predict: str | None = None
) -> dict[str, InferenceRule]:
    """Return the rules, wrapped so that they read mirror images and images shifted by some pixels too, if wanted.

    `predict`: name of the rule that comes first, a learner's default; None: the order stays.
    """
    wrapped = {name: Mirrored(rule) if mirrored else rule for name, rule in rules.items()}
    wrapped = {name: Shifted(rule, shifted) if shifted else rule for name, rule in wrapped.items()}
    return wrapped if predict is None else {predict: wrapped[predict], **wrapped}
