"""The three main methods build, score and learn for any number of classes, beside backprop on the same network."""

import pytest
import torch

from onward.algorithms import (
    ASGE,
    HCLFF,
    Algorithm,
    Backprop,
    CwComp,
    DeeperForward,
    DistanceForward,
    DistanceForwardPairs,
)
from onward.core import LocalTrainer, TrainerSettings
from onward.nets import VGG8, Architecture, TinyCNN, Trifecta6

SHAPE = (3, 32, 32)
METHODS = (
    (ASGE(), VGG8(width=8)),
    (DistanceForward(unit_length=False), Trifecta6(width=4)),
    (DistanceForwardPairs(unit_length=False), Trifecta6(width=4)),
)


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize(("algorithm", "net"), METHODS, ids=lambda value: type(value).__name__)
def test_any_number_of_classes(algorithm: Algorithm, net: Architecture, classes: int):
    images, labels = torch.rand(2, *SHAPE), torch.tensor([0, classes - 1])
    for method in (algorithm, Backprop(of=algorithm)):
        torch.manual_seed(0)
        learner = method(net(SHAPE, classes), classes)
        assert LocalTrainer(learner, TrainerSettings()).step(images, labels, step=0).isfinite().all()


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_deeper_forward_has_a_group_of_channels_for_every_class(classes: int):
    """Without memory for weights: at 1000 classes four convolutions have 157 million."""
    with torch.device("meta"):
        for method in (DeeperForward(), Backprop(of=DeeperForward())):
            net = TinyCNN(width=classes)
            learner = method(net(SHAPE, classes), classes)
            activities = [a for _, a, _ in learner.run_blocks((torch.zeros(2, *SHAPE),))]
            assert [len(a[0]) // classes for a in activities][:4] == [1, 2, 4, 4]
    scores = DeeperForward()(TinyCNN(width=100)(SHAPE, 100), 100).eval().score_blocks(torch.rand(2, *SHAPE))
    assert scores.shape[1:] == (2, 100)


@pytest.mark.parametrize("classes", [3, 7])
@pytest.mark.parametrize("of", [DeeperForward(), CwComp(), HCLFF()], ids=lambda of: type(of).__name__)
def test_plain_backprop_needs_no_width_that_is_a_multiple_of_the_classes(of: Algorithm, classes: int):
    learner = Backprop(of=of)(TinyCNN(width=8)(SHAPE, classes), classes)
    labels = torch.arange(8) % classes
    assert LocalTrainer(learner, TrainerSettings()).step(torch.rand(8, *SHAPE), labels, step=0).isfinite().all()
    assert learner.eval()(torch.rand(2, *SHAPE)).shape == (2, classes)
