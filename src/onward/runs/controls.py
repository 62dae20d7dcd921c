"""Controls that several rows share: two trainings by backprop are one if network and budget are equal."""

from dataclasses import replace
from functools import cache

import torch
from torch import nn

from onward.algorithms import Algorithm, Backprop
from onward.core.block import PassOn
from onward.nets import Architecture
from onward.nets.net import Carry
from onward.recipes import Recipe
from onward.runs.localities import Sizes, sizes_of


def equal(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes train one network by backprop, in one way on one budget, and read it alike.

    The learning rate of adamw beside muon may differ: a row sets it for a read-out that its control does not have.
    """
    trainer = replace(one.trainer, adamw_lr_scale=other.trainer.adamw_lr_scale)
    if one.budget() != other.budget() or trainer != other.trainer:
        return False
    if not isinstance(one.algorithm, Backprop) or not isinstance(other.algorithm, Backprop):
        return False
    sizes = sizes_of(one)
    return one.algorithm == other.algorithm or (
        sizes is not None and _computed(one.algorithm, one.net, sizes) == _computed(other.algorithm, other.net, sizes)
    )


@cache
def _computed(algorithm: Algorithm, net: Architecture, sizes: Sizes) -> tuple[str, ...]:
    """Return the operations of a network on an image, from the first to the last, its loss, and how it is read."""
    shape, classes = sizes
    with torch.device("meta"):
        learner = algorithm(net(shape, classes), classes)
    passing = (nn.Identity, Carry, PassOn)
    leaves = [module for module in learner.modules() if not any(module.children())]
    operations = [repr(module) for module in leaves if not isinstance(module, passing)]
    return *operations, repr(learner.blocks[-1].objective), repr(learner.rules)
