"""Evaluation through a pipeline: every stage adds what its blocks say, the last one has it all."""
# B batch, L scored blocks

from collections.abc import Iterable

import torch
from torch import Tensor

from onward.core import CollectedEvidence, Evidence, Evidences, InferenceRule, Learner, Stream, TrainerSettings
from onward.data import Source, Splits, batches
from onward.pipeline import Message, Ranks, StageForward, evaluating
from onward.training.evaluation import Accuracy, Watch, evaluated_together, fit_rule, tally, unwatched

Seen = list[tuple[Evidence, Tensor]]


class StageEvaluation:
    """One stage's part in looking at data splits, in the arithmetic of the training.

    All stages call the same methods in the same order; nothing comes back, so that none waits for a later one.
    """

    def __init__(self, learner: Learner, settings: TrainerSettings, ranks: Ranks, owned: range, *, batch_size: int):
        self.learner, self.settings, self.ranks = learner, settings, ranks
        self.batch_size = evaluated_together(settings, batch_size)
        self.watch: Watch = unwatched
        self.device = learner.device
        self.forward = StageForward(learner, owned)

    def validate(self, data: Splits) -> Accuracy | None:
        """Look at the validation split; on the last stage fit the headline rule and report it and every block."""
        name, rule = next(iter(self._rules().items()))
        train = self._look(data.train, rule.reads_handed_on) if rule.fits_on_training else []
        seen = self._look(data.validation, rule.reads_handed_on)
        if not self.ranks.last:
            return None
        with evaluating(self.learner), self.settings.arithmetic(self.device):
            fit_rule(self.learner, name, _told(name, rule, train), lambda: seen)
            return tally(self.learner, seen, [name], len(data.validation))

    def finish(self, data: Splits) -> tuple[Accuracy, Accuracy] | None:
        """Look at all splits; on the last stage fit every rule and report validation and test accuracy."""
        rules = self._rules()
        fitted = [rule for rule in rules.values() if rule.fits_on_training]
        whole = any(rule.reads_handed_on for rule in rules.values())
        train = self._look(data.train, any(rule.reads_handed_on for rule in fitted)) if fitted else []
        validation, test = self._look(data.validation, whole), self._look(data.test, whole)
        if not self.ranks.last:
            return None
        with evaluating(self.learner), self.settings.arithmetic(self.device):
            for name, rule in rules.items():
                fit_rule(self.learner, name, _told(name, rule, train), lambda: validation, self.watch)
            names = list(rules)
            return (
                tally(self.learner, validation, names, len(data.validation)),
                tally(self.learner, test, names, len(data.test)),
            )

    def _rules(self) -> dict[str, InferenceRule]:
        return {name: rule for name, rule in self.learner.rules.items() if isinstance(rule, InferenceRule)}

    def _look(self, images: Source, handed_on: bool) -> Seen:
        """Carry a split through this stage; return what the learner says of it, if this is the last stage."""
        seen = _Collected()
        with evaluating(self.learner), self.settings.arithmetic(self.device), self.ranks.watch.work.expected():
            for message in self._coming(images, handed_on):
                self.ranks.watch.work.moved()
                work = self.forward.scores if message.kind == "scores" else self.forward.handed_on
                stream, found = work(tuple(message.stream))
                message = Message(message.kind, list(stream), [*message.exact, *found], message.notes)
                if self.ranks.outbox is not None:
                    self.ranks.outbox.put(message)
                else:
                    seen.add(message)
                    self.watch("carrying images through the stages", seen.count, len(images))
        if self.ranks.outbox is not None:
            self.ranks.outbox.put(Message("passed"))
        return seen.batches

    def _coming(self, images: Source, handed_on: bool) -> Iterable[Message]:
        if self.ranks.inbox is not None:
            while (message := self.ranks.inbox.get("scores", "handed_on", "passed")).kind != "passed":
                yield message
            return
        supervision = self.learner.supervision
        for x, y in batches(images, batch_size=self.batch_size, device=self.device):
            x = self.learner.prepare(x)
            for view, last in _marked(supervision.test_views(x)):
                yield _entering("scores", view, y, supervision.signed, last and not handed_on)
            if handed_on:
                yield _entering("handed_on", supervision.neutral_view(x), y, supervision.signed, True)


class _Collected:
    """Puts together what arrives at the end of the pipeline, batch by batch."""

    def __init__(self):
        self.batches: Seen = []
        self.count = 0
        self._views: list[Tensor] = []

    def add(self, message: Message) -> None:
        y, *found = message.exact
        if message.kind == "scores":
            self._views.append(torch.stack(found))
        if message.notes["complete"]:
            scores = self._scores(y, signed=message.notes["signed"])
            handed_on = found if message.kind == "handed_on" else []
            self.batches.append((CollectedEvidence(scores, handed_on), y))
            self.count += len(y)
            self._views = []

    def _scores(self, y: Tensor, *, signed: bool) -> Tensor:
        if not self._views:  # without labels in training no block says anything about classes
            return torch.zeros(0, len(y), 0, device=y.device)
        return torch.stack(self._views, dim=-1) if signed else self._views[0]


def _marked(views: Iterable[Stream]) -> Iterable[tuple[Stream, bool]]:
    """Yield each view, and whether it is the last."""
    views = iter(views)
    view = next(views, None)
    while view is not None:
        following = next(views, None)
        yield view, following is None
        view = following


def _entering(kind: str, stream: Stream, y: Tensor, signed: bool, complete: bool) -> Message:
    return Message(kind, list(stream), [y], {"signed": signed, "complete": complete})


def _told(name: str, rule: InferenceRule, train: Seen) -> Evidences:
    """Return how a rule goes over the training split, which it has to announce: nobody waits for its wishes."""

    def go() -> Seen:
        if not rule.fits_on_training:
            raise ValueError(
                f"the inference rule {name} goes over the training split; set fits_on_training in "
                f"{type(rule).__name__}, so that a pipeline sends it along"
            )
        return train

    return go
