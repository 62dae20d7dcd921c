"""Locality: an objective trains the blocks of its span and nothing else, and leaves nothing behind."""

import copy
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from core_toys import ScaledCrossEntropy, batch, head, linear, linear_body, make_learner, same, train, weights
from torch import nn

from onward.core import LocalTrainer, Span, Target, TrainerSettings, chunks, each, pairs, update_span, whole
from onward.core.micro_batches import split

SGD = TrainerSettings(optimizer="sgd", learning_rate=0.1)


def test_scaling_the_last_objective_leaves_earlier_blocks_bit_identical():
    plain, scaled = make_learner(), make_learner(last_objective=ScaledCrossEntropy(7.0))
    for learner in (plain, scaled):
        train(LocalTrainer(learner, SGD), range(3))
    for before, after in zip(plain.blocks[:-1], scaled.blocks[:-1], strict=True):
        assert same(weights(before), weights(after))
    assert not torch.equal(linear(plain.blocks[-1]).weight, linear(scaled.blocks[-1]).weight)


def test_with_one_span_the_last_objective_reaches_the_first_block():
    plain, scaled = make_learner(whole), make_learner(whole, last_objective=ScaledCrossEntropy(7.0))
    for learner in (plain, scaled):
        train(LocalTrainer(learner, SGD), range(1))
    assert not torch.equal(linear(plain.blocks[0]).weight, linear(scaled.blocks[0]).weight)


@pytest.mark.parametrize("span", [Span(0, 0), Span(1, 2), Span(2, 2), Span(0, 3)])
def test_a_span_changes_exactly_its_own_blocks(span: Span):
    learner = make_learner(lambda _: (span,), depth=4)
    before = [weights(block.body) for block in learner.blocks]
    train(LocalTrainer(learner, SGD), range(1))
    changed = [k for k, block in enumerate(learner.blocks) if not same(before[k], weights(block.body))]
    assert changed == list(range(span.first, span.last + 1))


@pytest.mark.parametrize("spans", [each, whole, pairs, lambda n: chunks(n, 2)])
def test_nothing_of_a_step_stays_behind(spans):
    learner = make_learner(spans)
    trainer = LocalTrainer(learner, SGD)
    losses = trainer.step(*batch(), step=0)
    assert all(p.grad is None for p in learner.parameters())
    assert not losses.requires_grad
    assert losses.shape == (len(learner.spans),)


def test_the_stream_handed_on_carries_no_graph():
    learner = make_learner(whole)
    handed_on = []
    for block in learner.blocks:
        block.handoff.register_forward_hook(lambda _, args, out: handed_on.append(out[0]))
    trainer = LocalTrainer(learner, SGD)
    trainer.step(*batch(), step=0)
    inside, at_the_end = handed_on[0], handed_on[-1]
    assert inside.requires_grad  # within a span the graph has to go on
    assert not at_the_end.requires_grad


def test_an_update_sends_no_gradient_to_where_its_stream_comes_from():
    learner = make_learner()
    trainer = LocalTrainer(learner, SGD)
    x, y = batch()
    x.requires_grad_()
    skip = torch.rand(16, 3, requires_grad=True)
    pieces = split((x * 2, skip * 2), Target(y), 1)
    update_span(list(learner.blocks[:1]), pieces, trainer.optimizers[:1], [lambda _: nullcontext()])
    assert x.grad is None
    assert skip.grad is None
    assert not any(tensor.requires_grad for tensor in pieces[0].stream)


def test_the_stream_is_computed_with_the_weights_from_before_the_update():
    learner = make_learner(lambda n: chunks(n, 2), depth=4)
    original = copy.deepcopy(learner)
    entered = []
    learner.blocks[2].body.register_forward_pre_hook(lambda _, args: entered.append(args[0].clone()))
    x, y = batch()
    LocalTrainer(learner, SGD).step(x, y, step=0)
    assert torch.equal(entered[0], original.blocks[1].body(original.blocks[0].body(x)))
    assert not torch.equal(entered[0], learner.blocks[1].body(learner.blocks[0].body(x)))


def test_overlapping_pairs_equal_a_loop_by_hand():
    """Block 1 trains twice per step; the second pair starts from what block 0 handed on before it was updated."""
    learner = make_learner(pairs)
    bodies = copy.deepcopy([block.body for block in learner.blocks])
    heads = copy.deepcopy([head(block) for block in learner.blocks])
    optimizers = [
        torch.optim.SGD([*body.parameters(), *readout.parameters()], lr=0.1, momentum=0.9, fused=True)
        for body, readout in zip(bodies, heads, strict=True)
    ]
    trainer = LocalTrainer(learner, SGD)
    for step in range(4):
        x, y = batch(seed=step)
        trainer.step(x, y, step=step)
        entering = x
        for first in (0, 1):
            with torch.no_grad():
                leaving = bodies[first](entering)
            activity = bodies[first + 1](bodies[first](entering))
            F.cross_entropy(heads[first + 1](activity), y, reduction="none").mean().backward()
            for optimizer in optimizers[first : first + 2]:
                optimizer.step()
                optimizer.zero_grad()
            entering = leaving
    for block, body, readout in zip(learner.blocks, bodies, heads, strict=True):
        assert same(weights(block.body), weights(body))
        assert same(weights(head(block)), weights(readout))


def test_a_span_can_be_trained_alone_from_the_input_or_from_where_it_begins():
    from_input, from_middle = make_learner(), make_learner()
    x, y = batch()
    trainer = LocalTrainer(from_input, SGD)
    stream, target = trainer.enter(x, y, step=0)
    trainer.update(stream, target, [Span(2, 2)], step=0)
    other = LocalTrainer(from_middle, SGD)
    other.update(other.advance(stream, 0, 2, step=0), target, [Span(2, 2)], step=0, at=2)
    assert same(weights(from_input), weights(from_middle))
    assert same(weights(from_input.blocks[0]), weights(make_learner().blocks[0]))


class _DropThenLinear(nn.Sequential):
    def __init__(self, index: int):
        super().__init__(linear_body(index).get_submodule("0"), nn.Dropout(0.5))


def _masks(trainer: LocalTrainer, *, step: int) -> list[list[torch.Tensor]]:
    """Which units each block dropped in one step, once per computation."""
    seen: list[list[torch.Tensor]] = [[] for _ in trainer.learner.blocks]
    hooks = [
        block.body.register_forward_hook(lambda _, args, out, k=k: seen[k].append(out == 0))
        for k, block in enumerate(trainer.learner.blocks)
    ]
    trainer.step(*batch(), step=step)
    for hook in hooks:
        hook.remove()
    return seen


def test_dropout_depends_on_seed_step_and_block():
    def draw(seed: int, step: int) -> list[torch.Tensor]:
        trainer = LocalTrainer(make_learner(body=_DropThenLinear), SGD, seed=seed)
        return [masks[0] for masks in _masks(trainer, step=step)]

    reference = draw(0, 5)
    assert same(reference, draw(0, 5))
    assert not same(reference, draw(1, 5))
    assert not same(reference, draw(0, 6))
    assert not torch.equal(reference[0], reference[1])


def test_dropout_depends_on_nothing_else():
    trainer = LocalTrainer(make_learner(body=_DropThenLinear), SGD)
    reference = _masks(trainer, step=5)
    torch.manual_seed(99)
    train(trainer, range(2))
    assert same([m[0] for m in reference], [m[0] for m in _masks(trainer, step=5)])


def test_a_block_that_is_computed_twice_drops_the_same_units():
    trainer = LocalTrainer(make_learner(pairs, body=_DropThenLinear), SGD)
    first, second = _masks(trainer, step=0)[1]
    assert torch.equal(first, second)


def test_a_step_leaves_the_global_random_state_alone():
    trainer = LocalTrainer(make_learner(body=_DropThenLinear), SGD)
    before = torch.get_rng_state()
    trainer.step(*batch(), step=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_bf16_computes_activities_in_bf16_and_stays_close_to_fp32():
    losses: dict[str, torch.Tensor] = {}
    kinds: dict[str, torch.dtype] = {}
    for precision in ("fp32", "bf16"):
        learner = make_learner()

        def note(_: nn.Module, args: tuple, out: torch.Tensor, precision: str = precision) -> None:
            kinds[precision] = out.dtype

        learner.blocks[1].body.register_forward_hook(note)
        trainer = LocalTrainer(learner, TrainerSettings(optimizer="sgd", learning_rate=0.1, precision=precision))
        losses[precision] = torch.stack([trainer.step(*batch(seed=step), step=step) for step in range(5)])
        assert {p.dtype for p in learner.parameters()} == {torch.float32}
    assert kinds == {"fp32": torch.float32, "bf16": torch.bfloat16}
    assert losses["bf16"].dtype == torch.float32
    assert not torch.equal(losses["bf16"], losses["fp32"])
    torch.testing.assert_close(losses["bf16"], losses["fp32"], rtol=0.02, atol=0.0)
