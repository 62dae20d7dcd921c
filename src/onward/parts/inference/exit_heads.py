"""Exit heads: linear classifiers at the exits of a network, each fitted on images that take no earlier exit."""
# B batch, C classes, N samples

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from onward.core import CollectedEvidence, Evidence, Evidences, InferenceRule, Learner
from onward.parts.inference.early_exit import confidence, lowest_threshold
from onward.parts.inference.scores import LinearReadout
from onward.parts.ops.rows import Rows


class ExitHeads(InferenceRule):
    """Reads each image at the first block whose head is confident; other images are classified by the full network.

    A head is a linear softmax classifier of a block's output. Heads are fitted one after the other, each on the
    training images that take no earlier exit. Then its threshold for each class is found as in `EarlyExit`: the lowest
    confidence at which exiting images are right at least as often as the full network when it predicts that class,
    less `margin`, on the remaining validation images. Images that take no exit get the sum of the blocks' own scores.
    The network is not changed, and may have been trained in any way.

    After BTS-EE (arXiv 2509.08318; only the abstract was read). Before `fit` no image exits early.
    Raises ValueError for fewer than 2 blocks, or a margin outside [-1, 1].
    """

    reads_handed_on: ClassVar[bool] = True
    fits_on_training: ClassVar[bool] = True

    thresholds: Tensor

    def __init__(self, num_blocks: int, num_classes: int, *, margin: float = 0.01, steps: int = 2000, grid: int = 1):
        super().__init__()
        if num_blocks < 2 or not -1 <= margin <= 1:
            raise ValueError(f"exits need at least 2 blocks and a margin in [-1, 1], got {num_blocks} and {margin}")
        self.margin = margin
        self.grid = grid
        self.pipelined = grid == 1
        heads = [LinearReadout(num_classes, start=0, steps=steps, grid=grid) for _ in range(num_blocks - 1)]
        self.heads: Sequence[LinearReadout] = nn.ModuleList(heads)  # pyright: ignore[reportAttributeAccessIssue]
        self.register_buffer("thresholds", torch.full((num_blocks - 1, num_classes), float("inf")))

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return self._scores_and_exits(evidence)[0]

    def exits(self, evidence: Evidence) -> Int64[Tensor, "B"]:
        """Return the block at which each image exits."""
        return self._scores_and_exits(evidence)[1]

    def head_scores(self, k: int, handed_on: Float[Tensor, "B ..."]) -> Float[Tensor, "B C"]:
        """Return the scores of head k for the output of block k."""
        return self.heads[k](CollectedEvidence(handed_on.new_zeros(0, handed_on.shape[0], 0), [handed_on]))

    def leaves(self, k: int, scores: Float[Tensor, "B C"]) -> Bool[Tensor, "B"]:
        """Return which images exit at head k."""
        sure, predicted = confidence(scores[None])
        return sure[0] >= self.thresholds[k].to(scores.device)[predicted[0]]

    def fit(self, train: Evidences, validation: Evidences) -> None:
        with torch.no_grad():
            known, checked = (_Split.of(split, self.grid) for split in (train, validation))
        for k, head in enumerate(self.heads):
            inside = known.inside if known.inside.any() else torch.ones_like(known.inside)
            head.report_progress = self._progress_of_head(k)
            head.learn(known.handed_on[k], known.labels, inside.nonzero()[:, 0])
            with torch.no_grad():
                self._calibrate(k, checked)
                for split in (known, checked):
                    split.inside.logical_and_(~self.leaves(k, self._scores_of(k, split)))

    def _progress_of_head(self, k: int) -> Callable[[int, int], None]:
        return lambda done, steps: self.report_progress(k * steps + done, len(self.heads) * steps)

    def _scores_of(self, k: int, split: "_Split") -> Float[Tensor, "N C"]:
        return torch.cat([self.head_scores(k, rows).cpu() for rows in split.handed_on[k].batches()])

    def _calibrate(self, k: int, checked: "_Split") -> None:
        sure, predicted = (values[0] for values in confidence(self._scores_of(k, checked)[None]))
        right = predicted == checked.labels
        for c in range(self.thresholds.shape[1]):
            own = checked.final == c
            whole = float((checked.labels[own] == c).double().mean()) if own.any() else 1.0 + self.margin
            here = checked.inside & (predicted == c)
            self.thresholds[k, c] = lowest_threshold(sure[here], right[here], whole - self.margin)

    def _scores_and_exits(self, evidence: Evidence) -> tuple[Float[Tensor, "B C"], Int64[Tensor, "B"]]:
        scores = evidence.block_scores.sum(dim=0)
        left = torch.full((scores.shape[0],), len(self.heads), device=scores.device)
        for k in reversed(range(len(self.heads))):
            if torch.compiler.is_exporting() or self.thresholds[k].isfinite().any():  # not so before it is fitted
                own = self.head_scores(k, evidence.cells(self.grid)[k])
                out = self.leaves(k, own)
                scores, left = torch.where(out[:, None], own, scores), left.masked_fill(out, k)
        return scores, left


@torch.no_grad()
def predict_through_heads(
    learner: Learner, images: Tensor, rule: ExitHeads
) -> tuple[Float[Tensor, "B C"], Int64[Tensor, "B"]]:
    """Return scores and exits of images, without computing later blocks for images that have exited.

    Put the learner into evaluation mode first.
    """
    stream = learner.supervision.neutral_view(learner.prepare(images))
    waiting = torch.arange(len(images), device=images.device)
    scores = torch.zeros(len(images), rule.thresholds.shape[1], device=images.device)
    left, total = torch.full_like(waiting, len(rule.heads)), torch.zeros_like(scores)
    for k, block in enumerate(learner.blocks):
        activity, stream = block(*stream)
        if block.goodness is not None:
            total = total + block.goodness(activity).float()
        if k == len(rule.heads):
            scores[waiting] = total
            break
        own = rule.head_scores(k, stream[0])
        out = rule.leaves(k, own)
        scores[waiting[out]], left[waiting[out]] = own[out], k
        waiting, total, stream = waiting[~out], total[~out], tuple(tensor[~out] for tensor in stream)
        if not len(waiting):
            break
    return scores, left


class _Split(NamedTuple):
    """The outputs of every block on a data split, the predictions of the full network, and the images left."""

    handed_on: list[Rows]
    final: Tensor
    labels: Tensor
    inside: Tensor

    @classmethod
    def of(cls, split: Evidences, grid: int) -> "_Split":
        blocks: list[Rows] = []
        final, labels = [], []
        for evidence, y in split():
            cells = evidence.cells(grid)
            blocks = blocks or [Rows() for _ in cells]
            for rows, own in zip(blocks, cells, strict=True):
                rows.append(own)
            final.append(evidence.block_scores.sum(dim=0).argmax(dim=1).cpu())
            labels.append(y.cpu())
        targets = torch.cat(labels)
        return cls(blocks, torch.cat(final), targets, torch.ones_like(targets, dtype=torch.bool))
