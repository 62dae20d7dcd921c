"""The update: deep spans, overlapping spans, batch statistics, and losses on the activity itself."""
# B batch, D features

import copy
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from core_toys import CLASSES, FEATURES, WIDTH, batch, head, linear_body, make_learner, same, train, weights
from torch import Tensor, nn

from onward.core import (
    Auxiliary,
    BlockOptimizer,
    Learner,
    LocalBlock,
    LocalTrainer,
    Span,
    Target,
    TrainerSettings,
    each,
    local_update,
    pairs,
    update_span,
    whole,
)
from onward.core.micro_batches import split
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean, MeanSquare
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy, Threshold
from onward.parts.supervision.labels import LabelInLoss

SGD = TrainerSettings(optimizer="sgd", learning_rate=0.1)
PLAIN = TrainerSettings(optimizer="sgd", learning_rate=0.1, momentum=0.0)


def _normal_body(index: int) -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH if index else FEATURES, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU())


def _gradients(learner: Learner, spans: tuple[Span, ...]) -> list[Tensor]:
    """What one step of plain gradient descent with learning rate 1 takes away, in float64."""
    learner = copy.deepcopy(learner).double()
    before = weights(learner)
    trainer = LocalTrainer(learner, TrainerSettings(optimizer="sgd", learning_rate=1.0, momentum=0.0))
    x, y = batch()
    stream, target = trainer.enter(x.double(), y, step=0)
    trainer.update(stream, target, spans, step=0)
    return [old - new for old, new in zip(before, weights(learner), strict=True)]


def test_a_deep_span_descends_the_sum_of_all_objectives():
    learner = make_learner(lambda n: whole(n, deep=True))
    by_hand = copy.deepcopy(learner).double()
    activity, y = batch()[0].double(), batch()[1]
    total = torch.zeros((), dtype=torch.float64)
    for block in by_hand.blocks:
        activity = block.body(activity)
        total = total + F.cross_entropy(head(block)(activity), y)
    expected = torch.autograd.grad(total, list(by_hand.parameters()))
    torch.testing.assert_close(_gradients(learner, learner.spans), list(expected))


def test_the_loss_of_a_deep_span_is_the_sum_of_the_losses_of_its_blocks():
    deep, plain = make_learner(lambda n: whole(n, deep=True)), make_learner(each)
    total = LocalTrainer(deep, SGD).step(*batch(), step=0)
    parts = LocalTrainer(plain, SGD).step(*batch(), step=0)
    assert total.shape == (1,)
    torch.testing.assert_close(total[0], parts.sum())


def test_a_deep_span_passes_over_blocks_without_an_objective():
    learner = make_learner(whole)
    learner.blocks[1].goodness = learner.blocks[1].objective = None
    deep = _gradients(learner, whole(3, deep=True))
    assert all(bool(g.any()) for g in deep)
    loss = LocalTrainer(learner, SGD).update((batch()[0],), Target(batch()[1]), whole(3, deep=True), step=0)
    single = LocalTrainer(make_learner(each), SGD).step(*batch(), step=0)
    torch.testing.assert_close(loss[0], single[0] + single[2])


def test_a_deep_span_of_one_block_is_a_span_of_one_block():
    deep, plain = make_learner(lambda n: tuple(Span(k, k, True) for k in range(n))), make_learner(each)
    for learner in (deep, plain):
        train(LocalTrainer(learner, SGD), range(3))
    assert same(weights(deep), weights(plain))


def test_a_deep_span_refuses_an_objective_inside_that_the_supervision_does_not_suit():
    blocks = [
        LocalBlock(linear_body(0), goodness=MeanSquare(), objective=Threshold()),
        LocalBlock(linear_body(1), goodness=ClassMean(CLASSES, WIDTH), objective=CrossEntropy()),
    ]
    rules = {"last": LastGoodness()}
    Learner(blocks, supervision=LabelInLoss(), spans=whole(2), rules=rules)
    with pytest.raises(ValueError, match="Threshold needs real and contrastive views, which LabelInLoss"):
        Learner(blocks, supervision=LabelInLoss(), spans=whole(2, deep=True), rules=rules)


@pytest.mark.parametrize("handoff_from", [0, 1, 2, None])
def test_the_stream_left_behind_is_that_of_the_block_asked_for_with_the_weights_from_before(handoff_from: int | None):
    learner = make_learner(whole)
    original = copy.deepcopy(learner)
    trainer = LocalTrainer(learner, SGD)
    (stream, target) = trainer.enter(*batch(), step=0)
    contexts = [trainer._context(k, target, 0) for k in range(3)]
    pieces = split(stream, target, 1)
    update_span(list(learner.blocks), pieces, trainer.optimizers, contexts, handoff_from=handoff_from)
    left, expected = pieces[0].stream, stream[0]
    for block in original.blocks[: 3 if handoff_from is None else handoff_from]:
        expected = block.body(expected)
    assert torch.equal(left[0], expected)
    assert not left[0].requires_grad
    assert not same(weights(learner), weights(original))


@pytest.mark.parametrize("later", [Span(0, 2), Span(1, 2), Span(2, 2)])
def test_what_the_next_span_reads_is_from_before_the_update_wherever_it_begins(later: Span):
    """Two spans in one step: the blocks before the second one's first are not computed again after the first update."""
    learner = make_learner(lambda _: (Span(0, 1), later))
    original = copy.deepcopy(learner)
    entered: list[Tensor] = []
    learner.blocks[later.first].body.register_forward_pre_hook(lambda _, args: entered.append(args[0].clone()))
    x, y = batch()
    LocalTrainer(learner, SGD).step(x, y, step=0)
    for block in original.blocks[: later.first]:
        x = block.body(x)
    assert torch.equal(entered[-1], x)


def _loop_of_pairs(learner: Learner, steps: int) -> tuple[list[nn.Module], list[nn.Linear]]:
    """Overlapping pairs by hand; a block's second computation in a step leaves its statistics alone."""
    bodies = copy.deepcopy([block.body for block in learner.blocks])
    heads = copy.deepcopy([head(block) for block in learner.blocks])
    optimizers = [
        torch.optim.SGD([*body.parameters(), *readout.parameters()], lr=0.1, momentum=0.9, fused=True)
        for body, readout in zip(bodies, heads, strict=True)
    ]
    for step in range(steps):
        x, y = batch(seed=step)
        for first in range(len(bodies) - 1):
            statistics = copy.deepcopy(dict(bodies[first].named_buffers()))
            leaving = bodies[first](x)
            if first:
                for name, buffer in bodies[first].named_buffers():
                    buffer.data.copy_(statistics[name])
            activity = bodies[first + 1](leaving)
            F.cross_entropy(heads[first + 1](activity), y, reduction="none").mean().backward()
            for optimizer in optimizers[first : first + 2]:
                optimizer.step()
                optimizer.zero_grad()
            x = leaving.detach()
    return bodies, heads


def test_pairs_with_batch_norm_equal_a_loop_by_hand_and_count_a_batch_once():
    learner = make_learner(pairs, depth=4, body=_normal_body)
    bodies, heads = _loop_of_pairs(learner, steps=3)
    train(LocalTrainer(learner, SGD), range(3))
    for block, body, readout in zip(learner.blocks, bodies, heads, strict=True):
        assert same(weights(block.body), weights(body))
        assert same(weights(head(block)), weights(readout))
        assert same(list(block.body.buffers()), list(body.buffers()))
        assert int(block.body.get_buffer("1.num_batches_tracked")) == 3


class _Counter(nn.Module):
    """Counts its calls in a buffer that it replaces, and changes another one in place."""

    calls: Tensor
    seen: Tensor

    def __init__(self, *, norm: nn.Module):
        super().__init__()
        self.norm = norm
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls = self.calls + 1
            self.seen += x.detach().mean(dim=0)
        return self.norm(x[:, :, None]).squeeze(2) if isinstance(self.norm, nn.InstanceNorm1d) else self.norm(x)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("spans", [each, pairs, whole, lambda n: (Span(0, 1), Span(0, 2))])
def test_every_kind_of_running_statistic_counts_a_batch_once(spans: Callable, recompute: bool):
    def body(index: int) -> nn.Module:
        inputs = WIDTH if index else FEATURES
        return nn.Sequential(nn.Linear(inputs, WIDTH), _Counter(norm=nn.BatchNorm1d(WIDTH, momentum=None)), nn.ReLU())

    learner = make_learner(spans, body=body)
    settings = TrainerSettings(optimizer="sgd", learning_rate=0.0, momentum=0.0, recompute=recompute)
    train(LocalTrainer(learner, settings), range(2))
    reference = make_learner(each, body=body)
    train(LocalTrainer(reference, TrainerSettings(optimizer="sgd", learning_rate=0.0, momentum=0.0)), range(2))
    for block, other in zip(learner.blocks, reference.blocks, strict=True):
        assert float(block.body.get_buffer("1.calls")) == 2
        assert same(list(block.buffers()), list(other.buffers()))


class _Pull(Auxiliary):
    """Pulls every activity towards a learned value: a term per unit."""

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.value = nn.Parameter(torch.ones(()))
        self.weight = weight

    def forward(self, activity: Tensor, target: Target) -> Tensor:
        assert len(activity) == len(target.label)
        return self.weight * (activity - self.value).square().flatten()


def _with_auxiliary(learner: Learner, auxiliary: Auxiliary, spans: tuple[Span, ...]) -> Learner:
    first = learner.blocks[0]
    pulled = LocalBlock(first.body, goodness=first.goodness, objective=first.objective, auxiliary=auxiliary)
    rules = {"last": LastGoodness()}
    return Learner([pulled, *learner.blocks[1:]], supervision=LabelInLoss(), spans=spans, rules=rules)


@pytest.mark.parametrize("deep", [False, True])
def test_the_terms_of_an_auxiliary_are_averaged_and_added(deep: bool):
    spans = whole(2, deep=True) if deep else each(2)
    learner = _with_auxiliary(make_learner(depth=2), _Pull(), spans)
    by_hand = copy.deepcopy(learner).double()
    x, y = batch()
    activity = by_hand.blocks[0].body(x.double())
    pull = by_hand.blocks[0].auxiliary
    assert isinstance(pull, _Pull)
    losses = [F.cross_entropy(head(by_hand.blocks[0])(activity), y) + (activity - pull.value).square().mean()]
    activity = by_hand.blocks[1].body(activity if deep else activity.detach())
    losses.append(F.cross_entropy(head(by_hand.blocks[1])(activity), y))
    expected = torch.autograd.grad(torch.stack(losses).sum(), list(by_hand.parameters()))
    torch.testing.assert_close(_gradients(learner, spans), list(expected))
    found = LocalTrainer(learner, SGD).step(x, y, step=0).double()
    wanted = torch.stack(losses).detach()
    torch.testing.assert_close(found, wanted.sum()[None] if deep else wanted, rtol=1e-5, atol=0.0)


def test_an_auxiliary_inside_a_shallow_span_is_silent():
    learner = _with_auxiliary(make_learner(depth=2), _Pull(), whole(2))
    train(LocalTrainer(learner, PLAIN), range(1))
    pull = learner.blocks[0].auxiliary
    assert isinstance(pull, _Pull)
    assert float(pull.value.detach()) == 1.0


def test_an_auxiliary_needs_an_objective_to_add_to():
    with pytest.raises(ValueError, match="_Pull adds to an objective"):
        LocalBlock(linear_body(0), auxiliary=_Pull())
    LocalBlock(linear_body(0), goodness=LinearHead(CLASSES, WIDTH), objective=CrossEntropy(), auxiliary=_Pull())


class _Halving(nn.Module):
    """Divides by two, in place where it may."""

    overwrites = True

    def forward(self, activity: Tensor, *, overwrite: bool = False) -> tuple[Tensor, ...]:
        return (activity.mul_(0.5) if overwrite else activity * 0.5,)


@pytest.mark.parametrize("body", [nn.Identity(), nn.Flatten(), nn.Linear(FEATURES, FEATURES)])
def test_a_spent_activity_may_be_overwritten_but_never_what_the_caller_holds(body: nn.Module):
    x, y = batch()
    block = LocalBlock(body, goodness=LinearHead(CLASSES, FEATURES), objective=CrossEntropy(), handoff=_Halving())
    learner = Learner([block], supervision=LabelInLoss(), spans=each(1), rules={"last": LastGoodness()})
    given, pieces = x.clone(), split((x,), Target(y), 1)
    expected = body(x).detach() / 2
    update_span([block], pieces, LocalTrainer(learner, PLAIN).optimizers, [lambda _: nullcontext()])
    assert torch.equal(pieces[0].stream[0], expected)
    assert torch.equal(x, given)


def test_a_step_that_would_teach_nothing_is_an_error():
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    learner = make_learner(depth=1, body=lambda _: Detached(FEATURES, WIDTH))
    assert learner.blocks[0].goodness is not None
    learner.blocks[0].goodness.requires_grad_(False)
    with pytest.raises(ValueError, match="the loss of CrossEntropy depends on no weight that is trained"):
        LocalTrainer(learner, TrainerSettings()).step(*batch(), step=0)


def test_a_single_image_for_batch_norm_is_refused_with_the_settings_to_change():
    learner = make_learner(body=lambda k: nn.Sequential(linear_body(k), nn.BatchNorm1d(WIDTH)))
    for settings, size in ((TrainerSettings(), 1), (TrainerSettings(micro_batches=2), 2)):
        with pytest.raises(
            ValueError, match=r"batch norm cannot .* \(batch_size, --batch-size.*--trainer.micro-batches"
        ):
            LocalTrainer(learner, settings).step(*batch(size), step=0)


@pytest.mark.parametrize("deep", [False, True])
def test_a_span_is_updated_by_hand_as_the_trainer_does_it(deep: bool):
    by_hand, trained = (make_learner(lambda n: whole(n, deep=deep)) for _ in range(2))
    optimizers = [BlockOptimizer(block, SGD) for block in by_hand.blocks]
    trainer = LocalTrainer(trained, SGD)
    for step in range(2):
        x, y = batch(seed=step)
        with torch.no_grad():  # gradients are computed whatever the caller has switched off
            stream, loss = local_update(list(by_hand.blocks), (x,), Target(y), optimizers, deep=deep)
        assert torch.equal(loss, trainer.step(x, y, step=step)[0])
        assert stream[0].shape == (len(y), WIDTH) and not stream[0].requires_grad
    assert same(weights(by_hand), weights(trained))


def test_greedy_training_by_hand_hands_on_what_was_computed_before_the_update():
    by_hand, trained = make_learner(each), make_learner(each)
    optimizers = [BlockOptimizer(block, SGD) for block in by_hand.blocks]
    x, y = batch()
    stream, losses = (x,), []
    for block, optimizer in zip(by_hand.blocks, optimizers, strict=True):
        stream, loss = local_update([block], stream, Target(y), [optimizer])
        losses.append(loss)
    assert torch.equal(torch.stack(losses), LocalTrainer(trained, SGD).step(x, y, step=0))
    assert same(weights(by_hand), weights(trained))


def test_an_update_by_hand_needs_an_optimizer_for_each_block():
    learner = make_learner(whole)
    with pytest.raises(ValueError, match="one optimizer for each block, and at least one; got 1 for 3"):
        local_update(list(learner.blocks), (batch()[0],), Target(batch()[1]), LocalTrainer(learner, SGD).optimizers[:1])
