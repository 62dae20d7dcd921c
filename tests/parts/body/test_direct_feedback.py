"""Direct feedback alignment: against weight gradients by hand, and where its error goes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onward.algorithms import Backprop, CaFo
from onward.core import LocalTrainer, Target, TrainerSettings
from onward.nets import MLP, CaFoCNN
from onward.parts.body.direct_feedback import Detached, DirectFeedback, ErrorChannel, TopError
from onward.parts.goodness.linear import LinearHead

CLASSES = 3


def _loss(learner, x, target) -> None:
    """The backward pass of one span over all blocks, as the trainer does it."""
    losses = []
    for k, block in enumerate(learner.blocks):
        activity = block.body(x)
        losses.append(block.loss(activity, target))
        x = block.handoff(activity)[0] if k < len(learner.blocks) - 1 else x
    torch.stack(losses).sum().backward()


def test_weight_gradients_equal_those_by_hand():
    learner = CaFo(feedback=True)(MLP(width=6, depth=3)((1, 2, 2), CLASSES), CLASSES).double()
    x, labels = torch.rand(5, 1, 2, 2, dtype=torch.float64), torch.arange(5) % CLASSES
    _loss(learner, x, Target(labels))

    layers = [m for block in learner.blocks for m in block.body.modules() if isinstance(m, nn.Linear)]
    top = learner.blocks[-1].auxiliary
    assert isinstance(top, TopError)
    inputs, before, h = [], [], x.flatten(1)
    for layer in layers:
        inputs.append(h)
        before.append(F.linear(h, layer.weight, layer.bias).detach())
        h = before[-1].clamp_min(0)
    error = (top.read(h).softmax(dim=1) - F.one_hot(labels, CLASSES)) / 5
    sent = []
    for block in learner.blocks[:-1]:
        (feedback,) = [m.feedback for m in block.body.modules() if isinstance(m, DirectFeedback)]
        sent.append(error @ feedback.flatten(1))
    sent.append(error @ top.read.linear.weight)
    for layer, entering, pre, signal in zip(layers, inputs, before, sent, strict=True):
        expected = (signal * (pre > 0)).T @ entering
        assert layer.weight.grad is not None and expected.abs().max() > 1e-6
        torch.testing.assert_close(layer.weight.grad, expected.detach())


def test_a_map_gets_the_feedback_of_its_cell():
    part = DirectFeedback(CLASSES, 2, (wire := _wire(torch.randn(4, CLASSES))), grid=2)
    activity = torch.rand(4, 2, 4, 6, requires_grad=True)
    part(activity).sum().backward()
    assert activity.grad is not None and wire.error is not None
    for b in range(4):
        for d in range(2):
            for i in range(4):
                for j in range(6):
                    expected = sum(wire.error[b, c] * part.feedback[c, d, i // 2, j // 3] for c in range(CLASSES))
                    torch.testing.assert_close(activity.grad[b, d, i, j], expected)


def _wire(error):
    wire = ErrorChannel()
    wire.error = error
    return wire


def test_feedback_has_length_one_per_class():
    feedback = DirectFeedback(CLASSES, 8, _wire(None), grid=4).feedback
    torch.testing.assert_close(feedback.flatten(1).norm(dim=1), torch.ones(CLASSES))


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_every_block_learns_with_and_without_recomputing(micro_batches: int):
    learner = CaFo(feedback=True)(CaFoCNN(width=2)((1, 8, 8), CLASSES), CLASSES)
    again = copy.deepcopy(learner)
    before = [p.detach().clone() for p in learner.parameters()]
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6) % CLASSES
    LocalTrainer(learner, TrainerSettings(micro_batches=micro_batches)).step(x, y, step=0)
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.parameters(), strict=True))
    settings = TrainerSettings(micro_batches=micro_batches, recompute=True)
    LocalTrainer(again, settings).step(x, y, step=0)
    for name, value in learner.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_random_blocks_stay_as_they_were_drawn():
    learner = CaFo()(CaFoCNN(width=2)((1, 8, 8), CLASSES), CLASSES)
    before = [p.detach().clone() for block in learner.blocks for p in block.body.parameters()]
    trainer = LocalTrainer(learner, TrainerSettings())
    for step in range(2):
        trainer.step(torch.rand(6, 1, 8, 8), torch.arange(6) % CLASSES, step=step)
    after = [p for block in learner.blocks for p in block.body.parameters()]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("algorithm", [CaFo(), CaFo(feedback=True), CaFo(predictor="least_squares")])
def test_the_control_trains_all_blocks_by_the_true_gradient(algorithm: CaFo):
    control = Backprop(of=algorithm)(CaFoCNN(width=2)((1, 8, 8), CLASSES), CLASSES)
    assert not [m for m in control.modules() if isinstance(m, DirectFeedback | TopError)]
    before = [p.detach().clone() for p in control.parameters()]
    LocalTrainer(control, TrainerSettings()).step(torch.rand(6, 1, 8, 8), torch.arange(6) % CLASSES, step=0)
    assert all(not torch.equal(old, new) for old, new in zip(before, control.parameters(), strict=True))


def test_a_detached_goodness_scores_the_same_and_teaches_its_body_nothing():
    inner = LinearHead(CLASSES, 4)
    nn.init.normal_(inner.linear.weight)
    activity = torch.rand(5, 4, requires_grad=True)
    detached = Detached(inner)
    assert torch.equal(detached(activity), inner(activity)) and detached.per_class
    detached(activity).sum().backward()
    assert activity.grad is None and inner.linear.weight.grad is not None
