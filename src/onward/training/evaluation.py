"""Evaluation: accuracy of every inference rule and of every block on one split."""
# N inference rules, then scored blocks; C classes

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Int64
from torch import Tensor

from onward.core import (
    CollectedEvidence,
    Evidence,
    Evidences,
    InferenceRule,
    Learner,
    ObservedEvidence,
    TrainerSettings,
)
from onward.data import Source, batches
from onward.parts.inference.numbers import MeanValues
from onward.training.metrics import RunningError, confusion_of, rightly

Seen = Iterable[tuple[Evidence, Tensor]]

Watch = Callable[[str, int, int], None]
"""Told what is done, how far it is, and how far it goes."""

LARGEST_BATCH = 500
"""Images that are evaluated together, unless fewer are trained together."""


def evaluated_together(settings: TrainerSettings, batch_size: int) -> int:
    """Return how many images are evaluated together: what a device can train on at once, it can evaluate."""
    return min(LARGEST_BATCH, max(1, batch_size // settings.micro_batches))


def unwatched(what: str, done: int, whole: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Accuracy:
    """Fractions of right predictions: by inference rule, the headline first, and by scored block. Of numbers R2."""

    by_rule: dict[str, float]
    by_block: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...] = field(default=(), compare=False, repr=False)
    """How often samples of each true class (row) were taken for each class (column) by the headline rule.

    Empty where it was not asked for, and of numbers and several labels.
    """

    @property
    def headline(self) -> float:
        return next(iter(self.by_rule.values()))


class Evaluator:
    """Runs a learner over data splits in the arithmetic of its training, batch by batch; `watch` is told how far it is.

    `batch_size` is that of the training.
    """

    def __init__(
        self,
        learner: Learner,
        settings: TrainerSettings,
        *,
        batch_size: int = LARGEST_BATCH,
        watch: Watch = unwatched,
    ):
        self.learner = learner
        self.settings = settings
        self.batch_size = evaluated_together(settings, batch_size)
        self.watch = watch

    def validate(self, train: Source, validation: Source) -> Accuracy:
        """Fit the headline rule and report it and every block on the validation split.

        Scores of blocks are kept and not computed twice; a rule that reads more goes over the images again.
        """
        name = self.learner.headline
        rule, what = self.learner.rules[name], "validating"
        assert isinstance(rule, InferenceRule)
        with self._evaluating():
            kept = [] if rule.reads_handed_on or not rule.pipelined else list(self._scores(validation, what))

            def seen() -> Seen:
                return kept or self._evidence(validation, what)

            fit_rule(self.learner, name, lambda: self._evidence(train, f"fitting {name}"), seen, self.watch)
            return tally(self.learner, seen(), [name], len(validation))

    def fit_rules(self, train: Source, validation: Source) -> None:
        """Let every inference rule fit what it has to fit; what selects sees the validation split alone."""
        with self._evaluating():
            for name in self.learner.rules:
                what = f"fitting {name}"
                known, checked = (partial(self._evidence, images, what) for images in (train, validation))
                fit_rule(self.learner, name, known, checked, self.watch)

    def accuracy(self, images: Source, what: str = "evaluating") -> Accuracy:
        """Report every inference rule and every block on one split."""
        with self._evaluating():
            pairs: list[Tensor] = []
            found = tally(self.learner, self._evidence(images, what), list(self.learner.rules), len(images), pairs)
        if self.learner.task != "classes":
            return found
        true, taken = torch.cat(pairs, dim=1).cpu()
        most = int(torch.maximum(true.max(), taken.max())) + 1
        confusion = confusion_of(true, taken, max(most, len(self.learner.class_names)))
        return replace(found, confusion=tuple(map(tuple, confusion.tolist())))

    def read(self, images: Source, rule: str | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, batch by batch, what a rule makes of images [B, C], and the scores of every block [L, B, C].

        The network runs once. Raises ValueError for an unknown rule.
        """
        read = self.learner._rule(rule)
        with self._evaluating():
            for evidence, _ in self._evidence(images, "predicting"):
                yield read(evidence), evidence.block_scores

    def confusion(self, images: Source) -> Int64[Tensor, "C C"]:
        """Count, for each true class (row), what the headline rule takes its images for (column)."""
        rule = self.learner.rules[self.learner.headline]
        with self._evaluating():
            classes, pairs = 0, []
            for evidence, y in self._evidence(images, "evaluating"):
                scores = rule(evidence)
                classes = scores.shape[1]
                pairs.append(torch.stack([y, scores.argmax(dim=1)]))
        true, taken = torch.cat(pairs, dim=1).cpu()
        return confusion_of(true, taken, classes)

    def _evidence(self, images: Source, what: str) -> Iterator[tuple[Evidence, Tensor]]:
        done = 0
        for x, y in batches(images, batch_size=self.batch_size, device=self.learner.device):
            self.watch(what, done, len(images))
            yield ObservedEvidence(self.learner, x), y
            done += len(y)
            del x, y  # or they would wait beside the next batch
        self.watch(what, len(images), len(images))

    def _scores(self, images: Source, what: str) -> Iterator[tuple[Evidence, Tensor]]:
        for evidence, y in self._evidence(images, what):
            yield CollectedEvidence(evidence.block_scores), y

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.learner.training
        self.learner.eval()
        try:
            with torch.no_grad(), self.settings.arithmetic(self.learner.device):
                yield
        finally:
            self.learner.train(training)


def fit_rule(learner: Learner, name: str, train: Evidences, validation: Evidences, watch: Watch = unwatched) -> None:
    """Let one inference rule fit what it has to fit; `watch` is told of the steps that it takes."""
    rule = learner.rules[name]
    assert isinstance(rule, InferenceRule)
    told = [part for part in rule.modules() if isinstance(part, InferenceRule)]
    try:
        for part in told:
            part.tell = partial(watch, f"fitting {name}, steps")
        rule.fit(train, validation)
    finally:
        for part in told:
            del part.tell


def tally(learner: Learner, seen: Seen, names: list[str], count: int, pairs: list[Tensor] | None = None) -> Accuracy:
    """Return the accuracy of some inference rules and of every block on `count` images; of numbers their R2.

    True classes and those of the first rule are added to `pairs`, batch by batch [2, B].
    """
    if learner.task == "values":
        return _explained(learner, seen, names)
    correct = torch.stack([_correct(learner, evidence, y, names, pairs) for evidence, y in seen]).sum(dim=0)
    fractions = (correct.double() / count).tolist()
    return Accuracy(dict(zip(names, fractions, strict=False)), tuple(fractions[len(names) :]))


def _correct(
    learner: Learner, evidence: Evidence, y: Tensor, names: list[str], pairs: list[Tensor] | None
) -> Int64[Tensor, "N"]:
    scores = [learner.rules[name](evidence) for name in names]
    if pairs is not None and y.ndim == 1:
        pairs.append(torch.stack([y, scores[0].argmax(dim=1)]))
    return torch.stack([rightly(learner.task, s, y).sum() for s in [*scores, *evidence.block_scores]])


def _explained(learner: Learner, seen: Seen, names: list[str]) -> Accuracy:
    """Return R2 of some inference rules and of every block: negative where the mean would be nearer."""
    errors: list[RunningError] = []
    rule = learner.rules[learner.headline]
    assert isinstance(rule, MeanValues)
    for evidence, y in seen:
        blocks = [rule.in_units(scores) for scores in evidence.block_scores]
        found = [*(learner.rules[name](evidence) for name in names), *blocks]
        errors = errors or [RunningError(y.shape[1]) for _ in found]
        for error, scores in zip(errors, found, strict=True):
            error.add(y, scores)
    explained = [error.r2 for error in errors]
    return Accuracy(dict(zip(names, explained, strict=False)), tuple(explained[len(names) :]))
