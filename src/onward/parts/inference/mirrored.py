"""Mirrored: an inference rule applied to each image and to its mirror image."""
# B batch, C classes

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from onward.core import Evidence, Evidences, InferenceRule


class Mirrored(InferenceRule):
    """Averages the class probabilities of an image and its mirror image: twice the computation.

    Test-time augmentation by flipping, as in Jordan 2024 (arXiv 2404.00498), which averages logits. The inner rule
    is fitted on unmirrored images.
    """

    reads_mirrored: ClassVar[bool] = True

    def __init__(self, rule: InferenceRule):
        super().__init__()
        self.rule = rule
        self.reads_head = rule.reads_head
        self.pipelined = False  # a pipeline computes no mirror images

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        both = [self.rule(seen).float().softmax(dim=1) for seen in (evidence, evidence.mirrored)]
        return (both[0] + both[1]) / 2

    def fit(self, train: Evidences, validation: Evidences) -> None:
        self.rule.fit(train, validation)

    def probabilities(self, scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return scores  # they are probabilities

    def blocks_needed(self, num_scored: int) -> int | None:
        return self.rule.blocks_needed(num_scored)


def mirrored(rules: Mapping[str, InferenceRule], wanted: bool) -> dict[str, InferenceRule]:
    """Return the rules, wrapped so that they read mirror images too if that is `wanted`."""
    return {name: Mirrored(rule) if wanted else rule for name, rule in rules.items()}
