"""CwComp's networks: published widths, groups, and the order of layers."""

import pytest
import torch
from torch import nn

from onward.algorithms import Backprop, CwComp
from onward.core import LocalTrainer, Span, TrainerSettings
from onward.nets import CFSE, CFSE6, Net
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.superclasses import Superclasses


def _convolutions(net: Net) -> list[nn.Conv2d]:
    return [module for body in net.bodies for module in body.modules() if isinstance(module, nn.Conv2d)]


def test_published_widths_and_groups():
    ten = CFSE()((3, 32, 32), 10)
    assert list(ten.widths) == [20, 80, 240, 480]
    assert [conv.groups for conv in _convolutions(ten)] == [1, 10, 1, 10]
    assert [conv.groups for conv in _convolutions(CFSE(grouped=False)((3, 32, 32), 10))] == [1] * 4
    hundred = CFSE6()((3, 32, 32), 100)
    assert list(hundred.widths) == [60, 120, 240, 400, 800, 1600]
    assert [conv.groups for conv in _convolutions(hundred)] == [1, 20, 1, 20, 1, 100]


def test_a_body_convolves_pools_every_second_time_rectifies_and_normalizes():
    kinds = [[type(layer).__name__ for layer in body.children()] for body in CFSE()((1, 28, 28), 10).bodies]
    plain, pooled = ["Conv2d", "ReLU", "BatchNorm2d"], ["Conv2d", "MaxPool", "ReLU", "BatchNorm2d"]
    assert kinds == [plain, pooled, plain, pooled]
    x, sides = torch.rand(2, 1, 28, 28), []
    for body in CFSE(width=1)((1, 28, 28), 10).bodies:
        x = body(x)
        sides.append(x.shape[2])
    assert sides == [28, 14, 14, 7]


@pytest.mark.parametrize("wrong", [lambda: CFSE(width=0), lambda: CFSE6(width=0), lambda: CFSE6(superclasses=0)])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()


def test_the_first_layers_tell_superclasses_apart():
    learner = CwComp(superclasses=2)(CFSE6(superclasses=2)((1, 8, 8), 4), 4)
    kinds = [isinstance(block.goodness, Superclasses) for block in learner.blocks]
    assert kinds == [True] * 4 + [False] * 3
    losses = LocalTrainer(learner, TrainerSettings()).step(torch.rand(8, 1, 8, 8), torch.arange(8) % 4, step=0)
    assert losses.shape == (7,) and losses.isfinite().all()
    assert learner.predict_scores(torch.rand(3, 1, 8, 8), rule="goodness").shape == (3, 4)


def test_windows_end_layer_by_layer_and_the_head_goes_on():
    learner = CwComp(first_end=0.2, last_end=0.5)(CFSE(width=1)((1, 8, 8), 4), 4)
    assert [span.end for span in learner.spans] == pytest.approx([0.2, 0.3, 0.4, 0.5, 1.0])


def test_a_width_that_is_no_multiple_of_the_classes_is_refused():
    with pytest.raises(ValueError, match="cannot be split into 20 equal class groups"):
        CwComp(superclasses=20)(CFSE6(superclasses=6)((1, 8, 8), 100), 100)


def test_the_control_has_the_same_softmax_head():
    net = CFSE(width=1)
    local, control = (algorithm(net((1, 8, 8), 4), 4) for algorithm in (CwComp(), Backprop(of=CwComp())))
    assert isinstance(control.blocks[-1].goodness, LinearHead)
    assert [p.shape for p in control.parameters()] == [p.shape for p in local.parameters()]
    assert control.spans == (Span(0, 4),)
