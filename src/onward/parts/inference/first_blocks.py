"""First blocks: an inference rule that leaves out what stands behind the blocks, such as a softmax head."""
# B batch, C classes

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from onward.core import CollectedEvidence, Evidence, Evidences, InferenceRule


class FirstBlocks(InferenceRule):
    """Another rule that sees the scores of the first `count` scored blocks alone.

    Raises ValueError for a rule that reads more than scores.
    """

    def __init__(self, rule: InferenceRule, count: int):
        super().__init__()
        if rule.reads_handed_on or rule.fits_on_training:
            raise ValueError(f"{type(rule).__name__} reads more than the scores of blocks, so none can be left out")
        self.rule = rule
        self.count = count
        self.pipelined = rule.pipelined

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return self.rule(self._first(evidence))

    def fit(self, train: Evidences, validation: Evidences) -> None:
        def seen() -> Iterator[tuple[Evidence, Tensor]]:
            return ((self._first(evidence), y) for evidence, y in validation())

        self.rule.fit(train, seen)

    def probabilities(self, scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return self.rule.probabilities(scores)

    def blocks_needed(self, num_scored: int) -> int | None:
        first = min(num_scored, self.count)
        return self.rule.blocks_needed(first) or first

    def _first(self, evidence: Evidence) -> Evidence:
        return CollectedEvidence(evidence.block_scores[: self.count])
