"""Metrics of a model's outputs, accumulated batch by batch."""
# B batch, C classes or values, N rows that count

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import IGNORED
from onward.modules.batch import Task


class Metrics:
    """Accumulates the sums that metrics need; single rows are not kept.

    classes, pixels: loss, accuracy, balanced_accuracy, class_recall, and up to 100 classes confusion (rows are the
    truth); tokens also perplexity and bits (per token); labels: loss, accuracy (per label), exact (rows that are right
    in all), f1 (over all labels); values: mse, mae, r2.
    """

    def __init__(self, task: Task, outputs: int):
        self.task = task
        self.confusion = torch.zeros(outputs, outputs, dtype=torch.int64) if outputs <= 1000 else None
        self.sums: dict[str, float] = {}
        self.count = 0
        self.targets = torch.zeros(3, outputs, dtype=torch.float64)  # sum, sum of squares, squared error; per value

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
            raise ValueError("there is nothing to evaluate: the loader gave no row that counts")
        found: dict[str, Any] = {name: total / self.count for name, total in self.sums.items()}
        if self.task == "values":
            total, squares, errors = self.targets
            spread = squares - total.square() / self.count
            found["r2"] = float((1 - errors / spread.clamp_min(1e-30)).mean())
        elif self.task == "labels":
            hits, told, truth = (self.sums[name] for name in ("hits", "told", "truth"))
            found = {name: value for name, value in found.items() if name not in ("hits", "told", "truth")}
            found["f1"] = 2 * hits / (told + truth) if told + truth else 1.0
        else:
            loss = self.sums["loss"] / self.count
            if self.task in ("tokens", "next_token"):
                found["perplexity"], found["bits"] = math.exp(min(loss, 700.0)), loss / math.log(2)
            if self.confusion is not None:
                there = self.confusion.sum(dim=1)
                recall = self.confusion.diagonal() / there.clamp_min(1)
                found["balanced_accuracy"] = float(recall[there > 0].mean())
                found |= {"confusion": self.confusion.tolist()} if len(self.confusion) <= 100 else {}
                found["class_recall"] = [float(r) if n else math.nan for r, n in zip(recall, there, strict=True)]
        return found

    def _add_classes(self, scores: Tensor, target: Tensor) -> None:
        keep = target != IGNORED
        scores, target = scores[keep], target[keep]
        self._count("loss", torch.nn.functional.cross_entropy(scores, target, reduction="sum") if len(target) else 0)
        told = scores.argmax(dim=1)
        self._count("accuracy", (told == target).sum())
        if self.confusion is not None:
            size = len(self.confusion)
            self.confusion += torch.bincount(target * size + told, minlength=size**2).view(size, size)
        self.count += len(target)

    def _add_labels(self, scores: Tensor, target: Tensor) -> None:
        told, truth = scores > 0, target > 0.5
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, target.float(), reduction="none")
        self._count("loss", loss.mean(dim=1).sum())
        self._count("accuracy", (told == truth).float().mean(dim=1).sum())
        self._count("exact", (told == truth).all(dim=1).sum())
        for name, found in (("hits", told & truth), ("told", told), ("truth", truth)):
            self._count(name, found.sum())
        self.count += len(target)

    def _add_values(self, scores: Tensor, target: Tensor) -> None:
        told = ~target.isnan().any(dim=1)
        scores, target = scores[told], target[told]
        difference = (scores - target).double()
        self._count("mse", difference.square().mean(dim=1).sum())
        self._count("mae", difference.abs().mean(dim=1).sum())
        wide = target.double()
        self.targets += torch.stack([wide.sum(0), wide.square().sum(0), difference.square().sum(0)])
        self.count += len(target)

    def _count(self, name: str, value: Tensor | int) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(value)
