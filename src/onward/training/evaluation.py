"""Evaluation: accuracy of every inference rule and of every block on one split, and further metrics."""
# N inference rules, then scored blocks; C classes

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, runtime_checkable

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
    Task,
    TrainerSettings,
)
from onward.core.metrics import ClassMetrics, RunningError, RunningLabels, confusion_of, predicted_correctly
from onward.core.renamed import Renamed
from onward.data import Source, batches
from onward.parts.inference.numbers import MeanValues

Seen = Iterable[tuple[Evidence, Tensor]]

Watch = Callable[[str, int, int], None]
"""Called with the name of a task, the steps done, and all steps."""

LARGEST_BATCH = 500
"""Batch size of an evaluation, unless that of the training is smaller."""


def evaluated_together(settings: TrainerSettings, batch_size: int) -> int:
    """Return the batch size of an evaluation: a batch that fits in training also fits in evaluation."""
    return min(LARGEST_BATCH, max(1, batch_size // settings.micro_batches))


def unwatched(what: str, done: int, whole: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Accuracy:
    """Fractions of correct predictions: by inference rule, the default rule first, and by scored block.

    In regression they are R2; with several labels, the share of samples with all labels correct (exact match).
    """

    by_rule: dict[str, float]
    by_block: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...] = field(default=(), compare=False, repr=False)
    """Predictions of the default rule: samples by true class (row) and predicted class (column).

    Empty unless requested, and for numbers and several labels.
    """
    task: Task = "classes"
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Further metrics of the default rule: balanced_accuracy; of numbers mse, mae; of labels label_accuracy, f1."""

    @property
    def of_default_rule(self) -> float:
        """Accuracy of the default inference rule."""
        return next(iter(self.by_rule.values()))

    @property
    def classes(self) -> ClassMetrics | None:
        """Balanced accuracy, and recall and precision of each class; None without a confusion matrix."""
        return ClassMetrics(torch.tensor(self.confusion)) if self.confusion else None

    headline = Renamed("of_default_rule")


_ELSEWHERE = Accuracy({}, ())
"""The accuracy in processes that do not have the last block."""


@runtime_checkable
class Through(Protocol):
    """Evaluation of blocks in several processes, which make the same calls in the same order."""

    last: bool
    """Whether the evidence of all blocks is collected here; other processes have none."""

    def collect(
        self, images: Source, *, handed_on: bool, batch_size: int, watch: Watch
    ) -> list[tuple[Evidence, Tensor]]:
        """Run all blocks on a split; where `last`, return their scores and, if requested, handed-on tensors."""
        ...


class Evaluator:
    """Runs a learner over data splits in the arithmetic of its training, batch by batch; `watch` gets the progress.

    `batch_size` is that of the training. `through` evaluates blocks in other processes; accuracies are empty except in
    the last of these.
    """

    def __init__(
        self,
        learner: Learner,
        settings: TrainerSettings,
        *,
        batch_size: int = LARGEST_BATCH,
        watch: Watch = unwatched,
        through: Through | None = None,
    ):
        self.learner = learner
        self.settings = settings
        self.batch_size = evaluated_together(settings, batch_size)
        self.watch = watch
        self.through = through

    def validate(self, train: Source, validation: Source) -> Accuracy:
        """Fit the default rule and report it and every block on the validation split.

        Scores of blocks are computed once; a rule that reads more needs another pass over the images.
        """
        name = self.learner.default_rule
        with self._evaluating():
            known = self._for_rules(train, [name], training=True)
            seen = self._again(validation, name)
            if not self._complete:
                return _ELSEWHERE
            fit_rule(self.learner, name, known(name), seen, self.watch)
            return tally(self.learner, seen(), [name], len(validation))

    def fit_rules(self, train: Source, validation: Source) -> None:
        """Fit every inference rule; selections use the validation split only."""
        names = list(self.learner.rules)
        with self._evaluating():
            known = self._for_rules(train, names, training=True)
            checked = self._for_rules(validation, names)
            for name in names if self._complete else ():
                fit_rule(self.learner, name, known(name), checked(name), self.watch)

    def accuracy(self, images: Source, what: str = "evaluating") -> Accuracy:
        """Report every inference rule and every block on one split."""
        names = list(self.learner.rules)
        with self._evaluating():
            seen = self._evidence(images, what) if self.through is None else self._collected(images, names)
            if not self._complete:
                return _ELSEWHERE
            pairs: list[Tensor] = []
            result = tally(self.learner, seen, names, len(images), pairs)
        if self.learner.task != "classes":
            return result
        true, taken = torch.cat(pairs, dim=1).cpu()
        most = int(torch.maximum(true.max(), taken.max())) + 1
        confusion = confusion_of(true, taken, max(most, len(self.learner.class_names)))
        further = {"balanced_accuracy": ClassMetrics(confusion).balanced_accuracy}
        return replace(result, confusion=tuple(map(tuple, confusion.tolist())), metrics=further)

    def read(self, images: Source, rule: str | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, batch by batch, the class scores of a rule [B, C], and the scores of every block [L, B, C].

        The network runs once. Raises ValueError for an unknown rule.
        """
        read = self.learner._rule(rule)
        with self._evaluating():
            for evidence, _ in self._evidence(images, "predicting"):
                yield read(evidence), evidence.block_scores

    def _evidence(self, images: Source, what: str) -> Iterator[tuple[Evidence, Tensor]]:
        done = 0
        for x, y in batches(images, batch_size=self.batch_size, device=self.learner.device):
            self.watch(what, done, len(images))
            yield ObservedEvidence(self.learner, x), y
            done += len(y)
            del x, y  # or they would stay in memory beside the next batch
        self.watch(what, len(images), len(images))

    @property
    def _complete(self) -> bool:
        return self.through is None or self.through.last

    def _for_rules(self, images: Source, names: list[str], *, training: bool = False) -> Callable[[str], Evidences]:
        """Return the passes of each rule over a split. Several processes make one common pass before the first rule."""
        if self.through is None:
            return lambda name: partial(self._evidence, images, f"fitting {name}")
        wanted = [name for name in names if not training or _rule(self.learner, name).fits_on_training]
        seen = self._collected(images, wanted) if wanted else []
        return lambda name: (lambda: seen) if name in wanted else partial(_refuse, name, _rule(self.learner, name))

    def _again(self, images: Source, name: str) -> Evidences:
        """Return the passes of a rule that reads a split more than once."""
        rule = _rule(self.learner, name)
        if self.through is not None:
            kept = self._collected(images, [name])
        elif rule.reads_handed_on or not rule.pipelined:
            return partial(self._evidence, images, "validating")
        else:
            kept = [
                (CollectedEvidence(seen.block_scores, heads=seen.heads), y)
                for seen, y in self._evidence(images, "validating")
            ]
        return lambda: kept

    def _collected(self, images: Source, names: list[str]) -> list[tuple[Evidence, Tensor]]:
        assert self.through is not None
        handed_on = any(_rule(self.learner, name).reads_handed_on for name in names)
        return self.through.collect(images, handed_on=handed_on, batch_size=self.batch_size, watch=self.watch)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.learner.training
        self.learner.eval()
        try:
            with torch.no_grad(), self.settings.arithmetic(self.learner.device):
                yield
        finally:
            self.learner.train(training)


def _rule(learner: Learner, name: str) -> InferenceRule:
    rule = learner.rules[name]
    assert isinstance(rule, InferenceRule)
    return rule


def _refuse(name: str, rule: InferenceRule) -> Seen:
    raise ValueError(
        f"the inference rule {name} goes over the training split; set fits_on_training in "
        f"{type(rule).__name__}, so that a pipeline sends it along"
    )


def fit_rule(learner: Learner, name: str, train: Evidences, validation: Evidences, watch: Watch = unwatched) -> None:
    """Fit one inference rule; `watch` gets the steps."""
    rule = _rule(learner, name)
    inference_rules = [part for part in rule.modules() if isinstance(part, InferenceRule)]
    try:
        for part in inference_rules:
            part.report_progress = partial(watch, f"fitting {name}, steps")
        rule.fit(train, validation)
    finally:
        for part in inference_rules:
            del part.report_progress


def tally(learner: Learner, seen: Seen, names: list[str], count: int, pairs: list[Tensor] | None = None) -> Accuracy:
    """Return the accuracy, or R2 in regression, of some inference rules and of every block on `count` images.

    True classes and those of the first rule are added to `pairs`, batch by batch [2, B].
    """
    if learner.task == "values":
        return _explained(learner, seen, names)
    labels = RunningLabels() if learner.task == "labels" else None
    correct = torch.stack([_correct(learner, evidence, y, names, pairs, labels) for evidence, y in seen]).sum(dim=0)
    fractions = (correct.double() / count).tolist()
    further = {} if labels is None else {"label_accuracy": labels.accuracy, "f1": labels.f1}
    by_rule, by_block = dict(zip(names, fractions, strict=False)), tuple(fractions[len(names) :])
    return Accuracy(by_rule, by_block, task=learner.task, metrics=further)


def _correct(
    learner: Learner,
    evidence: Evidence,
    y: Tensor,
    names: list[str],
    pairs: list[Tensor] | None,
    labels: RunningLabels | None,
) -> Int64[Tensor, "N"]:
    scores = [learner.rules[name](evidence) for name in names]
    if labels is not None:
        labels.add(y.bool(), scores[0] > 0)
    elif pairs is not None:
        pairs.append(torch.stack([y, scores[0].argmax(dim=1)]))
    return torch.stack([predicted_correctly(learner.task, s, y).sum() for s in [*scores, *evidence.block_scores]])


def _explained(learner: Learner, seen: Seen, names: list[str]) -> Accuracy:
    """Return R2 of some inference rules and of every block; negative if the mean would be a better prediction."""
    errors: list[RunningError] = []
    rule = learner.rules[learner.default_rule]
    assert isinstance(rule, MeanValues)
    for evidence, y in seen:
        blocks = [rule.in_units(scores) for scores in evidence.block_scores]
        estimates = [*(learner.rules[name](evidence) for name in names), *blocks]
        errors = errors or [RunningError(y.shape[1]) for _ in estimates]
        for error, scores in zip(errors, estimates, strict=True):
            error.add(y, scores)
    explained = [error.r2 for error in errors]
    further = {"mse": errors[0].mse, "mae": errors[0].mae}
    by_rule, by_block = dict(zip(names, explained, strict=False)), tuple(explained[len(names) :])
    return Accuracy(by_rule, by_block, task="values", metrics=further)
