"""Evaluation: accuracy of every inference rule and of every block on one split."""
# N inference rules, then scored blocks; C classes

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from onward.core import Evidence, Evidences, InferenceRule, Learner, TrainerSettings
from onward.data import Source, batches

Seen = Iterable[tuple[Evidence, Tensor]]


@dataclass(frozen=True)
class Accuracy:
    """Fractions of right predictions: by inference rule, the headline first, and by scored block."""

    by_rule: dict[str, float]
    by_block: tuple[float, ...]

    @property
    def headline(self) -> float:
        return next(iter(self.by_rule.values()))


class Evaluator:
    """Runs a learner over data splits in the arithmetic of its training, batch by batch."""

    def __init__(self, learner: Learner, settings: TrainerSettings, *, batch_size: int = 500):
        self.learner = learner
        self.settings = settings
        self.batch_size = batch_size

    def validate(self, train: Source, validation: Source) -> Accuracy:
        """Fit the headline rule and report it and every block on the validation split, in one pass over it."""
        with self._evaluating():
            seen = list(self._evidence(validation))  # keeps each batch's scores, so that nothing is computed twice
            rule = self.learner.headline
            fit_rule(self.learner, rule, lambda: self._evidence(train), lambda: seen)
            return tally(self.learner, seen, [rule], len(validation))

    def fit_rules(self, train: Source, validation: Source) -> None:
        """Let every inference rule fit what it has to fit; what selects sees the validation split alone."""
        with self._evaluating():
            for name in self.learner.rules:
                fit_rule(self.learner, name, lambda: self._evidence(train), lambda: self._evidence(validation))

    def accuracy(self, images: Source) -> Accuracy:
        """Report every inference rule and every block on one split."""
        with self._evaluating():
            return tally(self.learner, self._evidence(images), list(self.learner.rules), len(images))

    def read(self, images: Source, rule: str | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, batch by batch, what a rule makes of images [B, C], and the scores of every block [L, B, C].

        The network runs once. Raises ValueError for an unknown rule.
        """
        read = self.learner._rule(rule)
        with self._evaluating():
            for evidence, _ in self._evidence(images):
                yield read(evidence), evidence.block_scores

    def confusion(self, images: Source) -> Int64[Tensor, "C C"]:
        """Count, for each true class (row), what the headline rule takes its images for (column)."""
        rule = self.learner.rules[self.learner.headline]
        with self._evaluating():
            pairs = torch.cat(
                [torch.stack([y, rule(evidence).argmax(dim=1)]) for evidence, y in self._evidence(images)], 1
            )
            classes = rule(next(self._evidence(images))[0]).shape[1]
        true, taken = pairs.cpu()
        return torch.bincount(true * classes + taken, minlength=classes**2).reshape(classes, classes)

    def _evidence(self, images: Source) -> Iterator[tuple[Evidence, Tensor]]:
        for x, y in batches(images, batch_size=self.batch_size, device=self.learner.device):
            yield Evidence(self.learner, x), y

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.learner.training
        self.learner.eval()
        try:
            with torch.no_grad(), self.settings.arithmetic(self.learner.device):
                yield
        finally:
            self.learner.train(training)


def fit_rule(learner: Learner, name: str, train: Evidences, validation: Evidences) -> None:
    """Let one inference rule fit what it has to fit."""
    rule = learner.rules[name]
    assert isinstance(rule, InferenceRule)
    rule.fit(train, validation)


def tally(learner: Learner, seen: Seen, names: list[str], count: int) -> Accuracy:
    """Return the accuracy of some inference rules and of every block on `count` images."""
    correct = torch.stack([_correct(learner, evidence, y, names) for evidence, y in seen]).sum(dim=0)
    fractions = (correct.double() / count).tolist()
    return Accuracy(dict(zip(names, fractions, strict=False)), tuple(fractions[len(names) :]))


def _correct(learner: Learner, evidence: Evidence, y: Tensor, names: list[str]) -> Int64[Tensor, "N"]:
    scores = [learner.rules[name](evidence) for name in names]
    return torch.stack([(s.argmax(dim=1) == y).sum() for s in [*scores, *evidence.block_scores]])
