"""Inference rules: from what the blocks say to class scores."""
# B batch, C classes, L scored blocks, N samples, D features of all blocks read

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Evidence, Evidences, InferenceRule
from onward.parts.activity import map_mean, widen


class SumGoodness(InferenceRule):
    """Adds the scores of all scored blocks from `start` on; Hinton 2022 leaves out the first (start=1).

    The last `leave_out` scored blocks do not count. With the label in the input, these scores come from trying every
    label. A network with no block beyond `start` is read at the last one that counts.
    """

    def __init__(self, start: int = 0, *, leave_out: int = 0):
        super().__init__()
        self.start = start
        self.leave_out = leave_out

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        scores = evidence.block_scores
        stop = len(scores) - self.leave_out
        return scores[min(self.start, stop - 1) : stop].sum(dim=0)


class LastGoodness(InferenceRule):
    """Reads the scores of the last block alone."""

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return evidence.block_scores[-1]


class BlockGoodness(InferenceRule):
    """Reads the scores of one scored block alone, counted from the end if `index` is negative."""

    def __init__(self, index: int):
        super().__init__()
        self.index = index

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return evidence.block_scores[self.index]

    def reach(self, num_scored: int) -> int | None:
        return self.index + 1 if self.index >= 0 else None


class BestBlock(InferenceRule):
    """Reads the one block that is most accurate on the validation split, the earliest of equals.

    The last `leave_out` scored blocks are not considered. Before `fit` it is the last that is.
    """

    chosen: Tensor

    def __init__(self, leave_out: int = 0):
        super().__init__()
        self.leave_out = leave_out
        self.register_buffer("chosen", torch.tensor(-1 - leave_out))

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return evidence.block_scores[int(self.chosen)]

    def reach(self, num_scored: int) -> int | None:
        return int(self.chosen) + 1 if self.chosen >= 0 else None

    @torch.no_grad()
    def fit(self, train: Evidences, validation: Evidences) -> None:
        correct = sum((seen.block_scores.argmax(dim=2) == y).sum(dim=1) for seen, y in validation())
        assert isinstance(correct, Tensor)
        self.chosen.fill_(int(correct[: len(correct) - self.leave_out].argmax()))


class BestRange(InferenceRule):
    """Adds the scores of the contiguous range of blocks that is most accurate on the validation split.

    DeeperForward, eq. 12 and the released code: of equally accurate ranges the one with the earliest end wins, then
    the one with the earliest start. Before `fit` the range is all blocks but the first.
    """

    first: Tensor
    last: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("first", torch.tensor(1))
        self.register_buffer("last", torch.tensor(-1))

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        scores = evidence.block_scores
        stop = self.reach(len(scores))
        return scores[min(int(self.first), stop - 1) : stop].sum(dim=0)

    def reach(self, num_scored: int) -> int:
        return num_scored if self.last < 0 else int(self.last) + 1

    @torch.no_grad()
    def fit(self, train: Evidences, validation: Evidences) -> None:
        correct = sum(_correct_by_range(evidence.block_scores, y) for evidence, y in validation())
        assert isinstance(correct, Tensor)
        best = int(correct.argmax())  # ends are rows, starts are columns: the first maximum is the documented tie-break
        self.last.fill_(best // correct.shape[1])
        self.first.fill_(best % correct.shape[1])


class LinearReadout(InferenceRule):
    """A linear softmax read-out of what blocks hand on from a neutral view, in one pass (Hinton 2022).

    Reads all blocks from `start` on, maps averaged, or in `grid` x `grid` cells; fitted on the training split by
    `steps` steps of AdamW on features that are computed once, in fp32. The features' scale is taken as it comes, or
    each is brought to mean 0 and variance 1 over the training split, features that hardly vary to less. Their number
    is known once it is fitted. Raises ValueError if it is asked before that.
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
        standardise: bool = False,
    ):
        super().__init__()
        self.start = start
        self.grid = grid
        self.standardise = standardise
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
        with torch.no_grad():
            seen = [(self._features(evidence), y) for evidence, y in train()]
        features, labels = torch.cat([f for f, _ in seen]), torch.cat([y for _, y in seen])
        # Autocast would keep its first bf16 copy of the weights, which are zero, for all steps.
        with torch.enable_grad(), torch.autocast(features.device.type, enabled=False):
            if self.standardise:
                self._descend_standardised(features, labels)
            else:
                self._descend(features, labels)

    def _descend_standardised(self, features: Float[Tensor, "N D"], labels: Int64[Tensor, "N"]) -> None:
        """Fit on standardised features, which are overwritten, and write their scale into the weights."""
        mean, variance = features.mean(dim=0), features.var(dim=0, correction=0)
        scale = (variance + 0.01 * variance.mean()).rsqrt()
        self._descend(features.sub_(mean).mul_(scale), labels)
        self.weight = self.weight * scale
        self.bias = self.bias - self.weight @ mean

    def _descend(self, features: Float[Tensor, "N D"], labels: Int64[Tensor, "N"]) -> None:
        generator = torch.Generator().manual_seed(0)
        weight = features.new_zeros(len(self.bias), features.shape[1], requires_grad=True)
        bias = features.new_zeros(len(self.bias), requires_grad=True)
        optimizer = torch.optim.AdamW([weight, bias], lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        chosen = [torch.randint(len(features), (250,), generator=generator) for _ in range(self.steps)]
        for index in torch.stack(chosen).to(features.device):  # at once: a GPU would wait for a copy in every step
            loss = F.cross_entropy(F.linear(features[index], weight, bias), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        self.weight, self.bias = weight.detach(), bias.detach()

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        stored = state_dict.get(f"{prefix}weight")
        if stored is not None and stored.ndim == 2:  # as many features as there were when it was fitted
            self.weight = self.weight.new_zeros(len(self.bias), stored.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _features(self, evidence: Evidence) -> Float[Tensor, "B D"]:
        return torch.cat([widen(self._cells(activity)) for activity in evidence.handed_on[self.start :]], dim=1)

    def _cells(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B D"]:
        if activity.ndim < 4 or self.grid == 1:
            return map_mean(activity)
        return F.adaptive_avg_pool2d(activity, self.grid).flatten(1)


def _correct_by_range(scores: Float[Tensor, "L B C"], labels: Int64[Tensor, "B"]) -> Int64[Tensor, "L L"]:
    """Count right predictions of each range, ends in rows and starts in columns; impossible ranges count -1."""
    columns = []
    for start in range(len(scores)):
        correct = (scores[start:].cumsum(dim=0).argmax(dim=2) == labels).sum(dim=1)
        columns.append(F.pad(correct, (start, 0), value=-1))
    return torch.stack(columns, dim=1)
