"""Metrics of predictions: classes, numbers and several labels."""
# N samples, C classes, K numbers or labels of a row

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor


def confusion_of(labels: Int64[Tensor, "N"], predicted: Int64[Tensor, "N"], num_classes: int) -> Int64[Tensor, "C C"]:
    """Count predictions: true classes in rows, predicted ones in columns."""
    places = labels.cpu() * num_classes + predicted.cpu()
    return torch.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True, eq=False)
class ClassMetrics:
    """Metrics of a confusion matrix, as fractions. A class without samples has a recall of NaN."""

    confusion: Int64[Tensor, "C C"]

    @property
    def accuracy(self) -> float:
        """Share of samples whose class was predicted."""
        return float(self.confusion.diagonal().sum()) / max(int(self.confusion.sum()), 1)

    @property
    def recall(self) -> tuple[float, ...]:
        """Share of each class's samples that were predicted as that class."""
        return tuple((self.confusion.diagonal().double() / self.confusion.sum(1)).tolist())

    @property
    def precision(self) -> tuple[float, ...]:
        """Share of right predictions among those of each class; NaN for a class that was never predicted."""
        return tuple((self.confusion.diagonal().double() / self.confusion.sum(0)).tolist())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have samples: chance is one over their number, however rare some are."""
        found = [recall for recall in self.recall if recall == recall]
        return sum(found) / max(len(found), 1)


class RunningError:
    """Squared errors of numbers, batch by batch: mean squared error and R2, the mean over the numbers of a row."""

    def __init__(self, count: int):
        self.rows = 0
        self.error = torch.zeros(count, dtype=torch.float64)
        self.mean = torch.zeros(count, dtype=torch.float64)
        self.spread = torch.zeros(count, dtype=torch.float64)

    def add(self, targets: Float[Tensor, "B K"], predicted: Float[Tensor, "B K"]) -> None:
        """Count a batch."""
        targets, predicted = targets.double().cpu(), predicted.double().cpu()
        self.error += (targets - predicted).square().sum(0)
        rows, mean = len(targets), targets.mean(0)
        whole, gap = self.rows + rows, mean - self.mean
        self.spread += (targets - mean).square().sum(0) + gap.square() * self.rows * rows / whole
        self.mean += gap * rows / whole
        self.rows = whole

    @property
    def mse(self) -> float:
        """Mean squared error."""
        return float((self.error / max(self.rows, 1)).mean())

    @property
    def r2(self) -> float:
        """1 - error / variance: 1 is perfect, 0 is that of predicting the mean. Of constant targets 1 if right, else
        0."""
        exact = (self.error == 0).double()
        return float(torch.where(self.spread > 0, 1 - self.error / self.spread.clamp_min(1e-300), exact).mean())


def label_f1(targets: Shaped[Tensor, "N K"], predicted: Bool[Tensor, "N K"]) -> tuple[float, ...]:
    """Return F1 of each label, 2 hits / (2 hits + misses + false alarms); 0 for a label that never occurs."""
    wanted = targets.bool().cpu()
    predicted = predicted.cpu()
    hits, wrong = (wanted & predicted).sum(0).double(), (wanted ^ predicted).sum(0).double()
    return tuple((2 * hits / (2 * hits + wrong).clamp_min(1)).tolist())


def rightly(task: str, scores: Float[Tensor, "B K"], targets: Shaped[Tensor, "B *K"]) -> Bool[Tensor, "B"]:
    """Return which samples are predicted correctly: their class, or all of their labels."""
    if task == "labels":
        return ((scores > 0) == targets.bool()).all(dim=1)
    return scores.argmax(dim=1) == targets
