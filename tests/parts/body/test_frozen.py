"""Frozen bodies: weights stay, statistics become means over all batches, and controls undo it."""

import torch
from torch import nn

from onward.parts.body.frozen import frozen, thawed


def _body() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU())


def test_no_weight_is_trained_and_statistics_are_means_over_batches():
    body = frozen(_body())
    assert not any(p.requires_grad for p in body.parameters())
    means, batches = [], [torch.rand(4, 2, 5, 5) for _ in range(3)]
    for x in batches:
        body(x)
        means.append(body.get_submodule("0")(x).mean(dim=(0, 2, 3)))
    norm = body.get_submodule("1")
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, (means[0] + means[1] + means[2]) / 3)


def test_thawing_undoes_it():
    body = thawed(frozen(_body()))
    assert all(p.requires_grad for p in body.parameters())
    norm, fresh = body.get_submodule("1"), nn.BatchNorm2d(3)
    assert isinstance(norm, nn.BatchNorm2d) and norm.momentum == fresh.momentum
