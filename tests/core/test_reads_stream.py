"""A body may read the stream: skip connections reach it as its input does, and all else is as with a join."""
# B batch, D features

import pytest
import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, TrainerSettings, each, pairs, whole
from onward.nets.measuring import measure
from onward.nets.net import Carry, Net
from onward.parts.goodness.linear import LinearHead
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

WIDTH, CLASSES = 6, 3


class _Reader(nn.Module):
    """Reads its input and the first skip connection, side by side."""

    reads_stream = True

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.Tanh())

    def forward(self, x: Tensor, skip: Tensor, *more: Tensor) -> Tensor:
        return self.inner(torch.cat([x, skip], dim=1))


class _Joined(nn.Module):
    """The same put together by the join of the block before."""

    def forward(self, x: Tensor, skip: Tensor) -> tuple[Tensor, ...]:
        return (torch.cat([x, skip], dim=1),)


class _Fork(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x, x)


class _End(nn.Module):
    def forward(self, x: Tensor, *skips: Tensor) -> tuple[Tensor, ...]:
        return (x,)


def _parts(reads: bool) -> tuple[list[nn.Module], list[nn.Module]]:
    torch.manual_seed(0)
    first = [nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU()) for inputs in (5, WIDTH)]
    reader = _Reader()
    return [*first, reader if reads else reader.inner], [_Fork(), Carry() if reads else _Joined(), _End()]


def _learner(reads: bool, spans) -> Learner:
    bodies, joins = _parts(reads)
    blocks = [
        LocalBlock(
            body, goodness=LinearHead(CLASSES, WIDTH), objective=CrossEntropy(), handoff=Handoff(UnitLength(), join)
        )
        for body, join in zip(bodies, joins, strict=True)
    ]
    return Learner(blocks, supervision=LabelInLoss(), spans=spans, rules={"last_block": LastGoodness()})


@pytest.mark.parametrize(
    "spans",
    [each(3), pairs(3), whole(3), whole(3, deep=True), (Span(0, 0, end=0.5), Span(1, 1), Span(2, 2)), (Span(2, 2),)],
    ids=["each", "pairs", "whole", "deep", "windows", "last"],
)
@pytest.mark.parametrize("settings", [{}, {"recompute": True}, {"micro_batches": 3}], ids=str)
def test_a_body_that_reads_the_stream_trains_as_one_behind_a_join(spans, settings: dict):
    x, y = torch.randn(9, 5, generator=torch.Generator().manual_seed(1)), torch.arange(9) % CLASSES
    learners = [_learner(reads, spans) for reads in (True, False)]
    trainers = [LocalTrainer(one, TrainerSettings(learning_rate=0.05, **settings), seed=2) for one in learners]
    for step in range(3):
        assert torch.equal(*(trainer.step(x, y, step=step) for trainer in trainers))
    assert torch.equal(*(one.eval().predict_scores(x) for one in learners))
    assert torch.equal(*(one.score_blocks(x) for one in learners))
    for one, other in zip(learners[0].parameters(), learners[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_body_that_returns_a_skip_connection_does_not_have_it_overwritten():
    class _Passing(nn.Module):
        reads_stream = True

        def forward(self, x: Tensor, skip: Tensor) -> Tensor:
            return skip

    learner = _learner(True, each(3))
    learner.blocks[2].body = _Passing()
    learner.blocks[2].handoff = Handoff(UnitLength(), Carry())
    skip = 3 * torch.ones(2, WIDTH)
    block = nn.ModuleList([learner.blocks[2]])
    alone = Learner(list(block), supervision=LabelInLoss(), spans=each(1), rules={"last": LastGoodness()})  # pyright: ignore
    with torch.no_grad():
        list(alone.readings((torch.zeros(2, WIDTH), skip), lambda *_: None))
    assert torch.equal(skip, 3 * torch.ones(2, WIDTH))


def test_its_activity_is_measured_with_the_stream():
    bodies, joins = _parts(reads=True)
    net = Net(bodies, joins, [WIDTH] * 3, [nn.Identity()] * 3)
    measure(net, (5,))
    assert [body.activity_layout for body in bodies] == ["vector"] * 3


def test_one_inside_another_body_is_refused():
    with pytest.raises(ValueError, match=r"_Reader reads the stream, but is inside Sequential \(as 1\)"):
        LocalBlock(nn.Sequential(UnitLength(), _Reader()))
