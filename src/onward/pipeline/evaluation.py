"""Evaluation through a pipeline: every stage adds the scores of its blocks, and the last stage has them all."""
# B batch, L scored blocks

from collections.abc import Iterable

import torch
from torch import Tensor

from onward.core import CollectedEvidence, Evidence, Learner, Stream
from onward.data import Source, batches
from onward.pipeline import Message, Ranks, StageForward
from onward.training.evaluation import Watch

Seen = list[tuple[Evidence, Tensor]]


class StageEvaluation:
    """The evaluation of data splits by one stage.

    All stages call it in the same order; nothing is sent back, so that no stage waits for a later one.
    """

    def __init__(self, learner: Learner, ranks: Ranks, owned: range):
        self.learner, self.ranks, self.last = learner, ranks, ranks.last
        self.heads = learner.num_heads
        self.forward = StageForward(learner, owned)

    def collect(self, images: Source, *, handed_on: bool, batch_size: int, watch: Watch) -> Seen:
        """Run this stage's blocks on a split; return the evidence of all blocks if this is the last stage."""
        seen = _Collected(self.heads)
        with self.ranks.watch.work.expected():
            for message in self._coming(images, handed_on, batch_size):
                self.ranks.watch.work.tick()
                work = self.forward.scores if message.kind == "scores" else self.forward.handed_on
                stream, results = work(tuple(message.stream))
                message = Message(message.kind, list(stream), [*message.exact, *results], message.notes)
                if self.ranks.outbox is not None:
                    self.ranks.outbox.put(message)
                else:
                    seen.add(message)
                    watch("carrying images through the stages", seen.count, len(images))
        if self.ranks.outbox is not None:
            self.ranks.outbox.put(Message("passed"))
        return seen.batches

    def _coming(self, images: Source, handed_on: bool, batch_size: int) -> Iterable[Message]:
        if self.ranks.inbox is not None:
            while (message := self.ranks.inbox.get("scores", "handed_on", "passed")).kind != "passed":
                yield message
            return
        supervision = self.learner.supervision
        for x, y in batches(images, batch_size=batch_size, device=self.learner.device):
            x = self.learner.prepare(x)
            for view, last in _marked(supervision.test_views(x)):
                yield _entering("scores", view, y, supervision.signed, last and not handed_on)
            if handed_on:
                yield _entering("handed_on", supervision.neutral_view(x), y, supervision.signed, True)


class _Collected:
    """Collects the evidence that arrives at the last stage, batch by batch."""

    def __init__(self, heads: int):
        self.heads = heads
        self.batches: Seen = []
        self.count = 0
        self._views: list[Tensor] = []

    def add(self, message: Message) -> None:
        y, *results = message.exact
        if message.kind == "scores":
            self._views.append(torch.stack(results))
        if message.notes["complete"]:
            scores = self._scores(y, signed=message.notes["signed"])
            handed_on = results if message.kind == "handed_on" else []
            self.batches.append((CollectedEvidence(scores, handed_on, heads=self.heads), y))
            self.count += len(y)
            self._views = []

    def _scores(self, y: Tensor, *, signed: bool) -> Tensor:
        if not self._views:  # blocks trained without labels score no classes
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
