"""Early exits: an image takes the first exit with enough confidence in its class."""
# B batch, C classes, K samples that calibrate, L scored blocks, M margins, N samples

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from onward.core import Evidence, Evidences, InferenceRule, Learner


class EarlyExit(InferenceRule):
    """Reads each image at the first exit whose confidence reaches the threshold of the class that it predicts.

    There is an exit at every scored block; it reads the sum of the scores up to that block. Its confidence is the
    probability of the best class less that of the second. `fit` finds, exit by exit and class by class, the lowest
    threshold on the validation split at which the exiting images are right at least as often as the full network when
    it predicts that class, less `margin`. They are not counted at later exits. All remaining images take the last exit.

    After BTS-EE (arXiv 2509.08318; only the abstract was read): thresholds per class from precision on validation data.
    There, exits have trained heads on a frozen network.
    Raises ValueError for a margin outside [-1, 1] or no exits. Before `fit` all images take the last exit.
    """

    thresholds: Tensor

    def __init__(self, num_exits: int, num_classes: int, *, margin: float = 0.01):
        super().__init__()
        if num_exits < 1 or not -1 <= margin <= 1:
            raise ValueError(f"early exits need at least 1 exit and a margin in [-1, 1], got {num_exits} and {margin}")
        self.margin = margin
        self.register_buffer("thresholds", torch.full((num_exits, num_classes), float("inf")))

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        scores = evidence.block_scores.cumsum(dim=0)
        chosen = self.exits(evidence.block_scores)
        return scores[chosen, torch.arange(scores.shape[1], device=scores.device)]

    def exits(self, scores: Float[Tensor, "L N C"]) -> Int64[Tensor, "N"]:
        """Return the exit of each image, from the scores of all blocks."""
        sure, predicted = confidence(scores.cumsum(dim=0))
        leaves = torch.stack([self._leaves(k, *seen) for k, seen in enumerate(zip(sure, predicted, strict=True))])
        return leaves.int().argmax(dim=0)

    @torch.no_grad()
    def fit(self, train: Evidences, validation: Evidences) -> None:
        seen = [(evidence.block_scores, y) for evidence, y in validation()]
        self.calibrate(torch.cat([scores for scores, _ in seen], dim=1), torch.cat([y for _, y in seen]))

    def calibrate(self, scores: Float[Tensor, "L N C"], labels: Int64[Tensor, "N"]) -> None:
        """Find the thresholds for these images. Raises ValueError for another number of exits."""
        if scores.shape[::2] != self.thresholds.shape:
            raise ValueError(
                f"{tuple(scores.shape[::2])} exits and classes given, but the thresholds are for "
                f"{tuple(self.thresholds.shape)}"
            )
        sure, predicted = confidence(scores.cumsum(dim=0))
        right = predicted == labels
        inside = torch.ones_like(labels, dtype=torch.bool)
        for k in range(len(scores) - 1):
            for c in range(scores.shape[2]):
                final = predicted[-1] == c
                wanted = right[-1][final].double().mean() - self.margin if final.any() else 1.0
                here = inside & (predicted[k] == c)
                self.thresholds[k, c] = lowest_threshold(sure[k][here], right[k][here], float(wanted))
            inside &= ~self._leaves(k, sure[k], predicted[k])

    def _leaves(self, k: int, sure: Float[Tensor, "N"], predicted: Int64[Tensor, "N"]) -> Tensor:
        if k == len(self.thresholds) - 1:
            return torch.ones_like(predicted, dtype=torch.bool)
        return sure >= self.thresholds[k, predicted]


def confidence(scores: Float[Tensor, "L N C"]) -> tuple[Float[Tensor, "L N"], Int64[Tensor, "L N"]]:
    """Return the probability of the best class less that of the second, and the best class."""
    probabilities = scores.softmax(dim=2)
    best = probabilities.topk(min(2, scores.shape[2]), dim=2).values
    return best[..., 0] - best[..., -1], probabilities.argmax(dim=2)


@torch.no_grad()
def block_costs(learner: Learner, images: Tensor) -> list[int]:
    """Return the floating-point operations of each scored block on these images, together with unscored blocks before
    it.

    Convolutions and matrix products count. Blocks behind the last scored one are left out.
    """
    costs, running = [], 0
    stream = learner.supervision.neutral_view(learner.prepare(images))
    for block in learner.blocks:
        with FlopCounterMode(display=False) as counter:
            activity, stream = block(*stream)
            if block.goodness is not None:
                block.goodness(activity)
        running += counter.get_total_flops()
        if block.goodness is not None:
            costs.append(running)
            running = 0
    return costs


@torch.no_grad()
def predict_early(learner: Learner, images: Tensor, rule: EarlyExit) -> tuple[Float[Tensor, "B C"], Int64[Tensor, "B"]]:
    """Return scores and exits of images, without computing later blocks for images that have exited.

    Put the learner into evaluation mode first.
    """
    stream = learner.supervision.neutral_view(learner.prepare(images))
    waiting = torch.arange(len(images), device=images.device)
    scores = torch.zeros(len(images), rule.thresholds.shape[1], device=images.device)
    left, total, k = torch.zeros_like(waiting), None, 0
    for block in learner.blocks:
        activity, stream = block(*stream)
        if block.goodness is None:
            continue
        own = block.goodness(activity).float()
        total = own if total is None else total + own
        sure, predicted = confidence(total[None])
        leaves = rule._leaves(k, sure[0], predicted[0])
        scores[waiting[leaves]], left[waiting[leaves]] = total[leaves], k
        waiting, total, stream = waiting[~leaves], total[~leaves], tuple(tensor[~leaves] for tensor in stream)
        k += 1
        if not len(waiting):
            break
    return scores, left


def trade_off(
    scores: tuple[Float[Tensor, "L K C"], Float[Tensor, "L N C"]],
    labels: tuple[Int64[Tensor, "K"], Int64[Tensor, "N"]],
    costs: Sequence[int] | Sequence[float],
    margins: Sequence[float],
) -> list[tuple[float, float, float]]:
    """Return the curve of accuracy against compute: for each margin (margin, accuracy, share of the full compute).

    `scores` and `labels` are those of validation images, for the calibration, and of the images to evaluate.
    """
    (known, counted), (known_labels, counted_labels) = scores, labels
    spent = torch.tensor(list(costs), dtype=torch.float64).cumsum(dim=0)
    curve = []
    for margin in margins:
        rule = EarlyExit(known.shape[0], known.shape[2], margin=margin).to(known.device)
        rule.calibrate(known, known_labels)
        chosen = rule.exits(counted)
        final = counted.cumsum(dim=0)[chosen, torch.arange(len(chosen), device=chosen.device)]
        accuracy = float((final.argmax(dim=1) == counted_labels).double().mean())
        curve.append((margin, accuracy, float(spent[chosen.cpu()].mean() / spent[-1])))
    return curve


def lowest_threshold(sure: Tensor, right: Tensor, wanted: float) -> float:
    """Return the lowest confidence above which a share `wanted` is right; infinity if there is none."""
    order = sure.argsort(descending=True)
    share = right[order].double().cumsum(dim=0) / torch.arange(1, len(order) + 1, device=sure.device)
    ends = torch.cat([sure[order][1:] != sure[order][:-1], sure.new_ones(min(1, len(order)), dtype=torch.bool)])
    fine = ((share >= wanted) & ends).nonzero()  # images of equal confidence exit together
    return float(sure[order][fine[-1, 0]]) if len(fine) else float("inf")
