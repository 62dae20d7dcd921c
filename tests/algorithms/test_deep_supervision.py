"""Deep supervision: what it shares with the local algorithm, and what it does not."""

import copy

import pytest
import torch

from onward.algorithms import (
    ASGE,
    FFGAFSNN,
    Algorithm,
    Backprop,
    CaFo,
    DeeperForward,
    DeepSupervision,
    DistanceForward,
    ForwardForward,
    PredSim,
    RandomFeatures,
    RecurrentForwardForward,
)
from onward.core import Learner, LocalTrainer, Span, TrainerSettings
from onward.measure import reached_blocks
from onward.nets import MLP, TinyCNN
from onward.parts.inference.scores import LinearReadout

SHAPE, CLASSES = (1, 8, 8), 4
LOCAL = [DeeperForward(), ForwardForward(threshold=0.1), PredSim(beta=0.5)]
every_local = pytest.mark.parametrize("local", LOCAL, ids=lambda algorithm: type(algorithm).__name__)


def _build(algorithm: Algorithm) -> Learner:
    torch.manual_seed(4)
    return algorithm(TinyCNN(width=4, dropout=0.0)(SHAPE, CLASSES), CLASSES)


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(12, *SHAPE, generator=generator), torch.arange(12) % CLASSES


@every_local
def test_slots_weights_and_rules_are_those_of_the_local_algorithm(local: Algorithm):
    deep, shallow = _build(DeepSupervision(of=local)), _build(local)
    assert deep.spans == (Span(0, 3, True),)
    assert deep.supervision == shallow.supervision
    assert list(deep.rules) == list(shallow.rules) and deep.default_rule == shallow.default_rule
    assert DeepSupervision(of=local).standardize == local.standardize
    for ours, theirs in zip(deep.blocks, shallow.blocks, strict=True):
        assert ours.objective == theirs.objective
        assert type(ours.goodness) is type(theirs.goodness)
    state = shallow.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in deep.state_dict().items())
    images = _batch()[0]
    for rule in deep.rules:
        if isinstance(deep.rules[rule], LinearReadout):
            continue  # says nothing before it is fitted
        assert torch.equal(deep.predict_scores(images, rule=rule), shallow.predict_scores(images, rule=rule))


@every_local
def test_before_the_first_step_its_loss_is_the_sum_of_the_local_losses(local: Algorithm):
    losses = [
        LocalTrainer(_build(algorithm), TrainerSettings(), seed=2).step(*_batch(), step=0)
        for algorithm in (DeepSupervision(of=local), local)
    ]
    assert [len(loss) for loss in losses] == [1, 4]
    torch.testing.assert_close(losses[0][0], losses[1].sum(), rtol=1e-4, atol=1e-5)


@every_local
def test_all_objectives_reach_the_first_block(local: Algorithm):
    assert reached_blocks(_build(DeepSupervision(of=local)), *_batch()) == [[0, 1, 2, 3]]
    assert reached_blocks(_build(local), *_batch()) == [[0], [1], [2], [3]]


@pytest.mark.parametrize("local", LOCAL[:2])  # predsim's read-outs begin at zero: the first step sends nothing back
def test_the_last_block_takes_the_same_first_step_and_the_first_another(local: Algorithm):
    deep, shallow = _build(DeepSupervision(of=local)), _build(local)
    for learner in (deep, shallow):
        LocalTrainer(learner, TrainerSettings(optimizer="sgd", learning_rate=0.1), seed=2).step(*_batch(), step=0)
    last = zip(deep.blocks[-1].parameters(), shallow.blocks[-1].parameters(), strict=True)
    assert all(torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6) for ours, theirs in last)
    first = zip(deep.blocks[0].body.parameters(), shallow.blocks[0].body.parameters(), strict=True)
    assert not all(torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6) for ours, theirs in first)


def test_of_backprop_it_is_backprop():
    weights = []
    for algorithm in (DeepSupervision(of=Backprop()), Backprop()):
        learner = _build(algorithm)
        trainer = LocalTrainer(learner, TrainerSettings())
        for step in range(3):
            trainer.step(*_batch(), step=step)
        weights.append(copy.deepcopy(learner.state_dict()))
    assert all(torch.equal(value, weights[0][name]) for name, value in weights[1].items())


def test_it_refuses_what_the_local_algorithm_refuses():
    with pytest.raises(ValueError, match="70 channels"):
        DeepSupervision()(MLP(width=70, depth=2)(SHAPE, 100), 100)


def test_forward_forward_learns_end_to_end_too():
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, CLASSES, (256,), generator=generator)
    images = 0.3 * torch.rand(256, *SHAPE, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 2 + label : 4 + label] += 0.7  # a bar whose place tells the class; the first row holds the label
    torch.manual_seed(0)
    learner = DeepSupervision(of=ForwardForward())(MLP(width=64, depth=3)(SHAPE, CLASSES), CLASSES)
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.005))
    for step in range(80):
        chosen = torch.randperm(192, generator=generator)[:64]
        trainer.step(images[chosen], labels[chosen], step=step)
    accuracy = (learner.predict(images[192:]) == labels[192:]).float().mean()
    assert float(accuracy) > 0.9


@pytest.mark.parametrize("local", [ASGE(), DistanceForward(collaboration="none")])
def test_objectives_of_methods_with_their_own_last_block_or_spans_reach_the_first_block(local: Algorithm):
    blocks = list(range(len(_build(local).blocks)))
    assert reached_blocks(_build(DeepSupervision(of=local)), *_batch()) == [blocks]
    assert reached_blocks(_build(local), *_batch()) == [[block] for block in blocks]


_CLOSED = [CaFo(), RandomFeatures(), ASGE(random_features=True), FFGAFSNN(), RecurrentForwardForward()]


@pytest.mark.parametrize("local", _CLOSED, ids=lambda algorithm: type(algorithm).__name__)
def test_it_refuses_blocks_that_no_gradient_can_cross(local: Algorithm):
    """Without the refusal it would be the local training: no objective reaches a block before its own."""
    with pytest.raises(ValueError, match=f"no gradient can pass between the blocks of {type(local).__name__}"):
        DeepSupervision(of=local)(MLP(width=12, depth=2)((1, 4, 4), 3), 3)
