"""Turns: successive steps train different spans."""

import copy
import re
from itertools import chain
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from core_toys import batch, head, make_learner, same, train, weights

from onward.core import LocalTrainer, Span, TrainerSettings, alternating, each, pairs
from onward.core.span import as_turns

SGD = TrainerSettings(optimizer="sgd", learning_rate=0.1)


@pytest.mark.parametrize(
    ("num_blocks", "even", "odd"),
    [
        (2, [(0, 1)], [(0, 0)]),
        (3, [(0, 1)], [(0, 0), (1, 2)]),
        (4, [(0, 1), (2, 3)], [(0, 0), (1, 2)]),
        (5, [(0, 1), (2, 3)], [(0, 0), (1, 2), (3, 4)]),
    ],
)
def test_alternating_pairs_begin_one_block_later_on_odd_steps(num_blocks: int, even: list, odd: list):
    assert alternating(num_blocks) == (tuple(Span(*s) for s in even), tuple(Span(*s) for s in odd))


@pytest.mark.parametrize("num_blocks", range(2, 9))
def test_every_block_ends_a_span_in_exactly_one_of_the_turns(num_blocks: int):
    ends = [span.last for turn in alternating(num_blocks) for span in turn]
    assert sorted(ends) == list(range(num_blocks))


def test_alternating_needs_two_blocks():
    with pytest.raises(ValueError, match="at least 2 blocks, got 1"):
        alternating(1)


def test_spans_that_stay_the_same_are_one_turn():
    assert as_turns(each(3), 3) == (each(3),)
    assert as_turns(alternating(3), 3) == alternating(3)


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ((), "at least one span"),
        (((Span(0, 0),), ()), "at least one span"),
        (((Span(0, 0),), (Span(1, 3),)), "does not fit a network of 3 blocks"),
        (((Span(0, 0),), (Span(1, 1), Span(0, 0))), "must move forward"),
        ((Span(0, 0), (Span(1, 1),)), "not both"),
    ],
)
def test_turns_that_do_not_fit_are_refused(turns: tuple, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_learner(lambda _: turns)


def test_a_learner_names_each_span_once_in_the_order_of_the_blocks_they_end_at():
    learner = make_learner(alternating, depth=4)
    assert learner.turns == alternating(4)
    assert learner.spans == (Span(0, 0), Span(0, 1), Span(1, 2), Span(2, 3))
    assert make_learner(lambda _: (pairs(3), pairs(3))).spans == pairs(3)


def test_steps_take_turns_and_equal_a_loop_by_hand():
    learner = make_learner(alternating)
    bodies = copy.deepcopy([block.body for block in learner.blocks])
    heads = copy.deepcopy([head(block) for block in learner.blocks])
    optimizers = [
        [torch.optim.SGD(part.parameters(), lr=0.1, momentum=0.9, fused=True) for part in pair]
        for pair in zip(bodies, heads, strict=True)
    ]
    trainer = LocalTrainer(learner, SGD)
    for step in range(5):
        x, y = batch(seed=step)
        losses = trainer.step(x, y, step=step)
        expected = []
        for first, last in [(0, 1)] if step % 2 == 0 else [(0, 0), (1, 2)]:
            for k in range(first, last + 1):
                x = bodies[k](x)
            loss = F.cross_entropy(heads[last](x), y, reduction="none").mean()
            loss.backward()
            for optimizer in chain.from_iterable(optimizers[first : last + 1]):
                optimizer.step()
                optimizer.zero_grad()
            x = x.detach()
            expected.append(loss.detach())
        assert torch.equal(losses, torch.stack(expected))
    for block, body, readout in zip(learner.blocks, bodies, heads, strict=True):
        assert same(weights(block.body), weights(body))
        assert same(weights(head(block)), weights(readout))


def test_the_turn_is_decided_by_the_number_of_the_step_alone():
    one, other = make_learner(alternating), make_learner(alternating)
    train(LocalTrainer(one, SGD), range(1, 2))
    trainer = LocalTrainer(other, SGD)
    stream, target = trainer.enter(*batch(seed=1), step=1)
    trainer.update(stream, target, alternating(3)[1], step=1)
    assert same(weights(one), weights(other))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_goodness_that_is_trained_in_some_turns_only_is_no_problem(optimizer: Literal["sgd", "adam", "adamw"]):
    learner = make_learner(alternating, depth=4)
    before = weights(learner)
    train(LocalTrainer(learner, TrainerSettings(optimizer=optimizer, clip_norm=1.0)), range(4))
    assert all(not torch.equal(old, new) for old, new in zip(before, weights(learner), strict=True))
