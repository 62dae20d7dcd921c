"""Backprop is a setting: one span over all blocks equals a training loop written by hand, bit for bit."""

import copy

import pytest
import torch
import torch.nn.functional as F
from core_toys import CLASSES, WIDTH, head, make_learner, same, weights
from torch import nn

from onward.core import LocalTrainer, TrainerSettings, whole


def _linear(index: int) -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH if index else 10, WIDTH), nn.ReLU())


def _conv(index: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(WIDTH if index else 2, WIDTH, 3, padding=1), nn.ReLU(inplace=True))


def _batches(image_shape: tuple[int, ...]):
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        yield torch.randn(16, *image_shape, generator=generator), torch.randint(0, CLASSES, (16,), generator=generator)


@pytest.mark.parametrize(("body", "image_shape"), [(_linear, (10,)), (_conv, (2, 6, 6))])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_one_span_equals_backprop_by_hand(name, body, image_shape):
    learner = make_learner(whole, body=body)
    bodies = copy.deepcopy(nn.Sequential(*[block.body for block in learner.blocks]))
    readout = copy.deepcopy(head(learner.blocks[-1]))
    parameters = [*bodies.parameters(), *readout.parameters()]
    if name == "sgd":
        settings = TrainerSettings(optimizer="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.01)
        optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01, fused=True)
    else:
        settings = TrainerSettings(optimizer="adamw", learning_rate=0.01, weight_decay=0.1)
        optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1, fused=True)
    trainer = LocalTrainer(learner, settings)

    for step, (x, y) in enumerate(_batches(image_shape)):
        (local_loss,) = trainer.step(x, y, step=step)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        activity = bodies(x)
        features = activity.flatten(2).mean(dim=2) if activity.ndim == 4 else activity
        loss = F.cross_entropy(readout(features), y, reduction="none").mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.equal(local_loss, loss)

    trained = [p for block in learner.blocks for p in weights(block.body)]
    assert same(trained, weights(bodies))
    assert same(weights(head(learner.blocks[-1])), weights(readout))
