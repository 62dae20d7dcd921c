"""A learner without the blocks that an inference rule does not read."""

import pytest
import torch
from torch import nn

from onward.algorithms import Backprop, DeeperForward
from onward.core import (
    Learner,
    LocalBlock,
    LocalTrainer,
    Span,
    TrainerSettings,
    alternating,
    chunks,
    each,
    pairs,
    whole,
)
from onward.core.span import clip
from onward.nets import MLP, ResNet17
from onward.parts.goodness.means import ClassMean
from onward.parts.inference.scores import BestBlock, BestRange, HeadGoodness, LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

SHAPE = (1, 8, 8)


def _learner(first: int, last: int, depth: int = 5) -> Learner:
    """A learner whose best range is set by hand."""
    torch.manual_seed(1)
    learner = DeeperForward()(MLP(width=8, depth=depth)(SHAPE, 4), 4)
    _set_range(learner, first, last)
    return learner


def _set_range(learner: Learner, first: int, last: int) -> None:
    rule = learner.rules["best_range"]
    assert isinstance(rule, BestRange)
    rule.choose(first, last)


@pytest.mark.parametrize(("first", "last", "kept"), [(0, 0, 1), (1, 2, 3), (3, 3, 4), (2, 4, 5), (1, -1, 5)])
def test_it_keeps_the_blocks_up_to_the_end_of_the_range_and_predicts_the_same(first: int, last: int, kept: int):
    learner, images = _learner(first, last), torch.rand(7, *SHAPE)
    shorter = learner.truncated()
    assert len(shorter.blocks) == kept
    assert list(shorter.rules) == ["best_range"]
    assert torch.equal(shorter.predict_scores(images), learner.predict_scores(images))
    assert torch.equal(shorter.score_blocks(images), learner.score_blocks(images)[:kept])
    assert len(learner.blocks) == 5 and len(learner.rules) == 3


def test_skip_connections_that_go_on_are_no_hindrance():
    learner = DeeperForward()(ResNet17(width=4)(SHAPE, 4), 4).eval()
    _set_range(learner, 1, 7)
    shorter, images = learner.truncated(), torch.rand(3, *SHAPE)
    assert len(shorter.blocks) == 8
    assert not shorter.training
    assert torch.equal(shorter.predict_scores(images), learner.predict_scores(images))


@pytest.mark.parametrize("rule", ["all_blocks", "last_block"])
def test_a_rule_without_a_range_says_so(rule: str):
    with pytest.raises(ValueError, match=f"rule {rule} reads all blocks.*that end at a block: best_range$"):
        _learner(0, 1).truncated(rule)


def test_backprop_has_no_rule_with_a_range():
    learner = Backprop()(MLP(width=8, depth=2)(SHAPE, 4), 4)
    with pytest.raises(ValueError, match=r"rule last_block reads all blocks.*that end at a block: none$"):
        learner.truncated()


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="unknown inference rule 'nothing'; this learner has best_range, all_blocks"):
        _learner(0, 1).truncated("nothing")


@pytest.mark.parametrize("blocks", [0, 6, -1])
def test_blocks_that_are_not_there_cannot_be_kept(blocks: int):
    with pytest.raises(ValueError, match=f"^{blocks} of 5 blocks"):
        _learner(0, 1).shortened(blocks)


def test_a_shorter_learner_can_go_on_learning():
    learner = _learner(1, 2).truncated()
    before = [p.detach().clone() for p in learner.parameters()]
    losses = LocalTrainer(learner, TrainerSettings()).step(torch.rand(8, *SHAPE), torch.arange(8) % 4, step=0)
    assert losses.shape == (3,)
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.parameters(), strict=True))


def test_rules_know_how_far_they_read():
    """None where the answer would change with the number of blocks."""
    fitted = BestBlock()
    fitted.choose(2)
    open_ended = (SumGoodness(), LastGoodness(), BestBlock(), HeadGoodness())
    assert [rule.blocks_needed(6) for rule in open_ended] == [None] * 4
    assert [rule.blocks_needed(6) for rule in (fitted, BestRange())] == [3, 6]


@pytest.mark.parametrize(
    ("turns", "blocks", "expected"),
    [
        ((each(5),), 3, (each(3),)),
        ((pairs(5),), 3, (pairs(3),)),
        ((pairs(5),), 1, ((Span(0, 0),),)),
        ((chunks(5, 2),), 3, ((Span(0, 1), Span(2, 2)),)),
        ((whole(5, deep=True),), 2, (whole(2, deep=True),)),
        (alternating(5), 3, ((Span(0, 1), Span(2, 2)), (Span(0, 0), Span(1, 2)))),
        (alternating(5), 5, alternating(5)),
    ],
)
def test_spans_are_clipped_to_the_blocks_that_are_left(turns, blocks: int, expected):
    assert clip(turns, blocks) == expected


def test_blocks_without_a_goodness_are_counted():
    """The rule counts scored blocks; what is kept are blocks."""

    def scored() -> LocalBlock:
        return LocalBlock(nn.Linear(4, 4), goodness=ClassMean(4, 4), objective=CrossEntropy())

    blocks = [LocalBlock(nn.Linear(4, 4)), scored(), LocalBlock(nn.Linear(4, 4)), scored(), scored()]
    rules = {"best_range": BestRange()}
    learner = Learner(blocks, supervision=LabelInLoss(), spans=[Span(0, 1), Span(2, 3), Span(4, 4)], rules=rules)
    _set_range(learner, 0, 1)
    shorter, x = learner.truncated(), torch.rand(5, 4)
    assert len(shorter.blocks) == 4
    assert torch.equal(shorter.predict_scores(x), learner.predict_scores(x))
