"""Layer collaboration: what travels beside the input, against a walk by hand, and that it is a number alone."""

import pytest
import torch
import torch.nn.functional as F

from onward.algorithms import DeepSupervision, LayerCollaboration
from onward.core import Learner, LocalTrainer, Target, TrainerSettings
from onward.nets import MLP
from onward.parts.objective.class_scores import Threshold
from onward.parts.objective.layer_collaboration import AddEarlierGoodness


def _learner(**settings) -> Learner:
    torch.manual_seed(0)
    return LayerCollaboration(**settings)(MLP(width=6, depth=3)((1, 4, 4), 4), 4)


def test_losses_equal_a_walk_by_hand():
    learner = _learner(weight=0.5, threshold=0.2, sharpness=7.0)
    x, y = torch.rand(5, 1, 4, 4), torch.arange(5) % 4
    trainer = LocalTrainer(learner, TrainerSettings(channels_last=False))
    (stream, target) = trainer.enter(x, y, step=0)
    assert target.sign is not None
    expected, h, gamma = [], stream[0].flatten(1), torch.zeros(10)
    for k, block in enumerate(learner.blocks):
        (linear,) = [m for m in block.body.modules() if isinstance(m, torch.nn.Linear)]
        h = h / (h.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
        h = F.relu(F.linear(h, linear.weight, linear.bias)).detach()
        goodness = h.square().mean(dim=1)
        threshold = 0.2 * (1 + 0.5 * k)
        expected.append(F.softplus(7.0 * target.sign * (threshold - goodness - 0.5 * gamma)).mean())
        gamma = gamma + goodness
    torch.testing.assert_close(trainer.update(stream, target, learner.spans, step=0), torch.stack(expected))


def test_pieces_of_a_batch_keep_their_own_numbers():
    losses = []
    for pieces in (1, 3):
        trainer = LocalTrainer(_learner(), TrainerSettings(micro_batches=pieces))
        losses.append(trainer.step(torch.arange(96.0).view(6, 1, 4, 4) / 96, torch.arange(6) % 4, step=0))
    torch.testing.assert_close(losses[0], losses[1])


def test_no_gradient_passes_to_the_others():
    own, others = torch.rand(4, requires_grad=True), torch.rand(4, requires_grad=True)
    target = Target(torch.zeros(4, dtype=torch.int64), torch.tensor([1, 1, -1, -1]), 2, (others,))
    AddEarlierGoodness(Threshold(), 0.5)(own, target).sum().backward()
    assert own.grad is not None and own.grad.any() and others.grad is None


def test_it_has_the_right_gradient():
    target = Target(torch.tensor([0, 1, 0, 1]), sign=torch.tensor([1, 1, -1, -1]), views=2)
    beside = target._replace(beside=(torch.rand(4, dtype=torch.float64),))
    scores = torch.rand(4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: AddEarlierGoodness(Threshold(0.5, 3.0), weight=0.7)(s, beside), scores)


def test_it_is_as_signed_as_what_it_wraps():
    wrapped = AddEarlierGoodness(Threshold())
    assert (wrapped.per_class, wrapped.signed) == (False, True)


@pytest.mark.parametrize("recompute", [False, True])
def test_deep_supervision_and_recomputing_find_the_numbers_too(recompute: bool):
    torch.manual_seed(0)
    learner = DeepSupervision(of=LayerCollaboration())(MLP(width=6, depth=3)((1, 4, 4), 4), 4)
    trainer = LocalTrainer(learner, TrainerSettings(recompute=recompute))
    loss = trainer.step(torch.arange(96.0).view(6, 1, 4, 4) / 96, torch.arange(6) % 4, step=0)
    alone = LocalTrainer(_learner(), TrainerSettings())
    each = alone.step(torch.arange(96.0).view(6, 1, 4, 4) / 96, torch.arange(6) % 4, step=0)
    torch.testing.assert_close(loss[0], each.sum())
