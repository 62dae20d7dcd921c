"""Inference rules: class scores from the scores and outputs of blocks."""
# B batch, C classes, K images that are learned from, L scored blocks, N samples, D features of all blocks read

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Evidence, Evidences, InferenceRule
from onward.core.renamed import removed_argument
from onward.parts.ops.rows import Rows

_without_leave_out = removed_argument(
    "leave_out", default=0, remedy="mark the head, LocalBlock(..., head=True), and it is left out"
)


class SumGoodness(InferenceRule):
    """Adds the scores of all scored blocks from `start` on; Hinton 2022 leaves out the first (start=1).

    Heads do not count. With the label in the input, these scores come from trying every label. If no block is left from
    `start` on, the last one is read.
    """

    reads_head = False

    @_without_leave_out
    def __init__(self, start: int = 0):
        super().__init__()
        self.start = start

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        scores = evidence.local_scores
        return scores[min(self.start, len(scores) - 1) :].sum(dim=0)


class LastGoodness(InferenceRule):
    """Reads the scores of the last block alone, heads not counted."""

    reads_head = False

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return evidence.local_scores[-1]


class HeadGoodness(InferenceRule):
    """Reads the scores of the head: the classifier behind the blocks of the network."""

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return evidence.block_scores[-1]


class BestBlock(InferenceRule):
    """Reads the one block that is most accurate on the validation split, the earliest if several are.

    Heads are not considered. Before `fit` it is the last block. The choice is also kept as a Python number beside the
    buffer in the state_dict, as an exported program needs a constant.
    """

    reads_head = False

    chosen: Tensor

    @_without_leave_out
    def __init__(self):
        super().__init__()
        self.register_buffer("chosen", torch.tensor(-1))
        self.index = -1  # what `chosen` holds

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return evidence.local_scores[self.index]

    def blocks_needed(self, num_scored: int) -> int | None:
        return self.index + 1 if self.index >= 0 else None

    @torch.no_grad()
    def fit(self, train: Evidences, validation: Evidences) -> None:
        correct = sum((seen.local_scores.argmax(dim=2) == y).sum(dim=1) for seen, y in validation())
        assert isinstance(correct, Tensor)
        self.choose(int(correct.argmax()))

    def choose(self, index: int) -> None:
        """Read this scored block from now on; -1: the last. Raises ValueError for another negative number."""
        if index < -1:
            raise ValueError(f"index is the number of a scored block, or -1 for the last, got {index}")
        self.index = index
        self.chosen.fill_(index)

    def _load_from_state_dict(self, *stored) -> None:
        super()._load_from_state_dict(*stored)
        self.choose(max(int(self.chosen), -1))  # files of before 0.1 counted a head: -2 was the last block before it


class BestRange(InferenceRule):
    """Adds the scores of the contiguous range of blocks that is most accurate on the validation split.

    DeeperForward, eq. 12 and the released code: of equally accurate ranges the one with the earliest end is taken, then
    the one with the earliest start. Before `fit` the range is all blocks but the first. Heads do not count.
    """

    reads_head = False

    first: Tensor
    last: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("first", torch.tensor(1))
        self.register_buffer("last", torch.tensor(-1))
        self.range = (1, -1)  # what `first` and `last` hold

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        scores = evidence.local_scores
        stop = self.blocks_needed(len(scores))
        return scores[min(self.range[0], stop - 1) : stop].sum(dim=0)

    def blocks_needed(self, num_scored: int) -> int:
        last = self.range[1]
        return num_scored if last < 0 else last + 1

    @torch.no_grad()
    def fit(self, train: Evidences, validation: Evidences) -> None:
        correct = sum(_correct_by_range(evidence.local_scores, y) for evidence, y in validation())
        assert isinstance(correct, Tensor)
        best = int(correct.argmax())  # ends are rows, starts are columns: the first maximum is the documented tie-break
        self.choose(best % correct.shape[1], best // correct.shape[1])

    def choose(self, first: int, last: int) -> None:
        """Add the scores of these scored blocks from now on; last -1: of all from the first on."""
        self.range = (first, last)
        self.first.fill_(first)
        self.last.fill_(last)

    def _load_from_state_dict(self, *stored) -> None:
        super()._load_from_state_dict(*stored)
        self.range = (int(self.first), int(self.last))


class LinearReadout(InferenceRule):
    """A linear softmax read-out of the blocks' outputs on a neutral view, in one pass (Hinton 2022).

    Reads all blocks from `start` on, with maps averaged in `grid` x `grid` cells; fitted on the training split by
    `steps` steps of AdamW on features that are computed once, in fp32, and stored on disk. With `standardize` each
    feature has mean 0 and variance 1 over the training split, or less if it hardly varies. A call before `fit`, which
    determines the number of features, raises ValueError.
    """

    reads_handed_on: ClassVar[bool] = True
    fits_on_training: ClassVar[bool] = True

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        start: int = 1,
        steps: int = 2000,
        learning_rate: float = 1e-3,
        grid: int = 1,
        standardize: bool = False,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.start = start
        self.grid = grid
        self.standardize = standardize
        self.pipelined = grid == 1
        self.steps = steps
        self.learning_rate = learning_rate
        self.register_buffer("weight", torch.zeros(num_classes, 0))
        self.register_buffer("bias", torch.zeros(num_classes))

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        if not self.weight.numel():
            raise ValueError("the linear read-out is not fitted yet; train the learner to the end, or call fit")
        features = self._features(evidence)
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(features, self.weight, self.bias)

    def fit(self, train: Evidences, validation: Evidences) -> None:
        rows, labels = Rows(), []
        with torch.no_grad():
            for evidence, y in train():
                rows.append(self._features(evidence))
                labels.append(y.cpu())
        self.learn(rows, torch.cat(labels))

    def learn(self, rows: Rows, labels: Int64[Tensor, "N"], among: Int64[Tensor, "K"] | None = None) -> None:
        """Fit on features of images, a row for each label; `among`: the rows to learn from, by default all."""
        among = torch.arange(len(rows)) if among is None else among
        # Autocast would keep its first bf16 copy of the weights, which are zero, for all steps.
        with torch.enable_grad(), torch.autocast(rows.device.type, enabled=False):
            if self.standardize:
                self._fit_standardized(rows, labels, among)
            else:
                self._fit(rows.take, rows, labels, among)

    def _fit_standardized(self, rows: Rows, labels: Int64[Tensor, "N"], among: Int64[Tensor, "K"]) -> None:
        """Fit on standardized features, and write their scale into the weights."""
        mean, variance = rows.moments()
        scale = (variance + 0.01 * variance.mean()).rsqrt()
        self._fit(lambda index: rows.take(index).sub_(mean).mul_(scale), rows, labels, among)
        self.weight = self.weight * scale
        self.bias = self.bias - self.weight @ mean

    def _fit(
        self,
        features: Callable[[Tensor], Tensor],
        rows: Rows,
        labels: Int64[Tensor, "N"],
        among: Int64[Tensor, "K"],
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        weight = torch.zeros(len(self.bias), rows.size, dtype=rows.dtype, device=rows.device, requires_grad=True)
        bias = torch.zeros(len(self.bias), dtype=rows.dtype, device=rows.device, requires_grad=True)
        optimizer = torch.optim.AdamW([weight, bias], lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for step in range(self.steps):
            index = among[torch.randint(len(among), (250,), generator=generator)]
            loss = F.cross_entropy(F.linear(features(index), weight, bias), labels[index].to(rows.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            self.report_progress(step + 1, self.steps)
        self.weight, self.bias = weight.detach(), bias.detach()

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        stored = state_dict.get(f"{prefix}weight")
        if stored is not None and stored.ndim == 2:  # as many features as there were when it was fitted
            self.weight = self.weight.new_zeros(len(self.bias), stored.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _features(self, evidence: Evidence) -> Float[Tensor, "B D"]:
        return torch.cat(evidence.cells(self.grid)[self.start :], dim=1)


def _correct_by_range(scores: Float[Tensor, "L B C"], labels: Int64[Tensor, "B"]) -> Int64[Tensor, "L L"]:
    """Count correct predictions of each range, ends in rows and starts in columns; impossible ranges count -1."""
    columns = []
    for start in range(len(scores)):
        correct = (scores[start:].cumsum(dim=0).argmax(dim=2) == labels).sum(dim=1)
        columns.append(F.pad(correct, (start, 0), value=-1))
    return torch.stack(columns, dim=1)
