"""Metrics of predictions: classes, numbers and several labels."""
# N samples, C classes, K numbers or labels of a row

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from onward.core.labels import Task

MEASURES: dict[Task, str] = {"classes": "accuracy", "values": "R2", "labels": "exact match"}
"""The metric by which a learner of each task is judged: of several labels, the share of samples with all right."""


_FURTHER = {
    "balanced_accuracy": ("balanced accuracy", "{:.2%}"),
    "mse": ("mean squared error", "{:.4g}"),
    "mae": ("mean absolute error", "{:.4g}"),
    "label_accuracy": ("single labels right", "{:.2%}"),
    "f1": ("F1", "{:.4f}"),
}
"""Further metrics by their key in results: name and format."""


def further_metrics(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the name and the formatted value of each further metric; an unknown one keeps its key as name."""
    known = [(*_FURTHER.get(key, (key, "{:.4g}")), value) for key, value in metrics.items()]
    return [(name, form.format(value)) for name, form, value in known]


def measure_key(task: Task) -> str:
    """Return the name of a task's metric in logs and tables: accuracy, r2 or exact_match."""
    return MEASURES[task].lower().replace(" ", "_")


def format_metric(task: Task, value: float) -> str:
    """Write a value of the task's metric: a share as a percentage, R2 as it is."""
    return f"{value:.4f}" if task == "values" else f"{value:.2%}"


def confusion_of(labels: Int64[Tensor, "N"], predicted: Int64[Tensor, "N"], num_classes: int) -> Int64[Tensor, "C C"]:
    """Count predictions: true classes in rows, predicted ones in columns."""
    cells = labels.cpu() * num_classes + predicted.cpu()
    return torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


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
        recalls = [recall for recall in self.recall if recall == recall]
        return sum(recalls) / max(len(recalls), 1)


class RunningError:
    """Errors of numbers, batch by batch: squared, absolute and R2; each is the mean over the numbers of a row."""

    def __init__(self, count: int):
        self.rows = 0
        self.error = torch.zeros(count, dtype=torch.float64)
        self.absolute = torch.zeros(count, dtype=torch.float64)
        self.mean = torch.zeros(count, dtype=torch.float64)
        self.spread = torch.zeros(count, dtype=torch.float64)
        self.low = torch.full((count,), torch.inf, dtype=torch.float64)
        self.high = -self.low

    def add(self, targets: Float[Tensor, "B K"], predicted: Float[Tensor, "B K"]) -> None:
        """Count a batch, which may be empty."""
        if not len(targets):
            return
        targets, predicted = targets.double().cpu(), predicted.double().cpu()
        difference = targets - predicted
        self.error += difference.square().sum(0)
        self.absolute += difference.abs().sum(0)
        rows, mean = len(targets), targets.mean(0)
        whole, gap = self.rows + rows, mean - self.mean
        self.spread += (targets - mean).square().sum(0) + gap.square() * self.rows * rows / whole
        self.mean += gap * rows / whole
        self.low, self.high = self.low.minimum(targets.amin(0)), self.high.maximum(targets.amax(0))
        self.rows = whole

    @property
    def mse(self) -> float:
        """Mean squared error."""
        return float((self.error / max(self.rows, 1)).mean())

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return float((self.absolute / max(self.rows, 1)).mean())

    @property
    def r2(self) -> float:
        """1 - error / variance: 1 is perfect, 0 is that of predicting the mean.

        Constant targets have no variance: 1 if all are predicted exactly, else 0, as in scikit-learn.
        """
        exact = (self.error == 0).double()
        varied = self.low < self.high  # rounding gives constants a spread above 0
        return float(torch.where(varied, 1 - self.error / self.spread.clamp_min(1e-300), exact).mean())


class RunningLabels:
    """Counts of correct labels, batch by batch, for samples with several labels."""

    def __init__(self):
        self.samples = self.cells = self.right = self.exact = self.hits = self.marked = 0

    def add(self, targets: Bool[Tensor, "B K"], predicted: Bool[Tensor, "B K"]) -> None:
        """Count a batch."""
        self.samples += len(targets)
        self.cells += targets.numel()
        self.right += int((predicted == targets).sum())
        self.exact += int(are_right(predicted, targets).sum())
        self.hits += int((predicted & targets).sum())
        self.marked += int(predicted.sum() + targets.sum())

    @property
    def accuracy(self) -> float:
        """Share of labels that are right."""
        return self.right / max(self.cells, 1)

    @property
    def exact_match(self) -> float:
        """Share of samples with all labels right."""
        return self.exact / max(self.samples, 1)

    @property
    def f1(self) -> float:
        """2 hits / (2 hits + misses + false alarms) over all labels; 0 if no label was there or predicted."""
        return 2 * self.hits / max(self.marked, 1)


def are_right(predicted: Shaped[Tensor, "B *K"], targets: Shaped[Tensor, "B *K"]) -> Bool[Tensor, "B"]:
    """Return which samples are predicted correctly: their class, or all of their labels."""
    right = predicted == targets
    return right if right.ndim == 1 else right.all(dim=1)


def predicted_correctly(task: str, scores: Float[Tensor, "B K"], targets: Shaped[Tensor, "B *K"]) -> Bool[Tensor, "B"]:
    """Return which samples their scores predict correctly: the class of the largest, or all labels above 0."""
    if task == "labels":
        return are_right(scores > 0, targets.bool())
    return are_right(scores.argmax(dim=1), targets)
