"""Metrics of a model's outputs, accumulated batch by batch."""
# B batch, C classes or values, N rows that count

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import IGNORED
from onward.core.metrics import ClassMetrics, RunningError, RunningLabels, confusion_of
from onward.modules.batch import Task


class Metrics:
    """Accumulates the sums that metrics need; single rows are not kept.

    classes, pixels: loss, accuracy, balanced_accuracy, class_recall, and up to 100 classes confusion (rows are the
    truth); tokens also perplexity and bits (per token); labels: loss, accuracy (per label), exact (rows, or places,
    that are right in all), f1 (over all labels); values: mse, mae, r2.
    """

    def __init__(self, task: Task, outputs: int):
        self.task = task
        self.confusion = torch.zeros(outputs, outputs, dtype=torch.int64) if outputs <= 1000 else None
        self.sums: dict[str, float] = {}
        self.count = 0
        self.labels = RunningLabels()
        self.errors = RunningError(outputs)

    def add(self, scores: Float[Tensor, "N C"], target: Tensor) -> None:
        """Count a batch: scores in rows, and their targets."""
        scores = scores.detach().float().cpu()
        target = target.detach().cpu()
        if self.task == "labels":
            self._add_labels(scores, target)
        elif self.task == "values":
            self._add_values(scores, target)
        else:
            self._add_classes(scores, target.flatten())

    def result(self) -> dict[str, Any]:
        """Return all metrics by name. Raises ValueError where nothing was counted."""
        if not self.count:
            raise ValueError(
                "there is nothing to evaluate: the loader gave no row that counts; give what can be gone through "
                "again, such as a DataLoader or a list, not a generator, with labels that are not all ignored"
            )
        if self.task == "values":
            return {"mse": self.errors.mse, "mae": self.errors.mae, "r2": self.errors.r2}
        loss = self.sums["loss"] / self.count
        if self.task == "labels":
            seen = self.labels
            return {"loss": loss, "accuracy": seen.accuracy, "exact": seen.exact_match, "f1": seen.f1}
        values: dict[str, Any] = {"loss": loss, "accuracy": self.sums["accuracy"] / self.count}
        if self.task in ("tokens", "next_token"):
            values["perplexity"], values["bits"] = math.exp(min(loss, 700.0)), loss / math.log(2)
        if self.confusion is not None:
            metrics = ClassMetrics(self.confusion)
            values["balanced_accuracy"] = metrics.balanced_accuracy
            values |= {"confusion": self.confusion.tolist()} if len(self.confusion) <= 100 else {}
            values["class_recall"] = [recall if recall == recall else None for recall in metrics.recall]
        return values

    def _add_classes(self, scores: Tensor, target: Tensor) -> None:
        keep = target != IGNORED
        scores, target = scores[keep], target[keep]
        self._count("loss", torch.nn.functional.cross_entropy(scores, target, reduction="sum") if len(target) else 0)
        predicted = scores.argmax(dim=1)
        self._count("accuracy", (predicted == target).sum())
        if self.confusion is not None:
            self.confusion += confusion_of(target, predicted, len(self.confusion))
        self.count += len(target)

    def _add_labels(self, scores: Tensor, target: Tensor) -> None:
        labeled = ~target.isnan().any(dim=1)
        scores, target = scores[labeled], target[labeled]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, target.float(), reduction="none")
        self._count("loss", loss.mean(dim=1).sum())
        self.labels.add(target > 0.5, scores > 0)
        self.count += len(target)

    def _add_values(self, scores: Tensor, target: Tensor) -> None:
        labeled = ~target.isnan().any(dim=1)
        self.errors.add(target[labeled], scores[labeled])
        self.count = self.errors.rows

    def _count(self, name: str, value: Tensor | int) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(value)
