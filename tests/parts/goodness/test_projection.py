"""The learned projection: against a loop, its gradient, and what it looks at."""

import pytest
import torch
from torch import nn

from onward.nets import MLP, TinyCNN, VGG8b
from onward.parts.goodness.projection import Projection
from onward.parts.ops.kind import gives_maps


def test_it_equals_a_loop_over_features_and_classes():
    goodness = Projection(3, 5, maps=False, features=4096).double()
    activity = torch.rand(4, 5, dtype=torch.float64)
    matrix = goodness.linear.weight.detach()
    for b in range(4):
        for c in range(3):
            expected = sum(float(activity[b, d] * matrix[c, d]) for d in range(5))
            assert float(goodness(activity)[b, c].detach()) == pytest.approx(expected, abs=1e-12)


def test_maps_are_averaged_cell_by_cell_in_the_order_channel_row_column():
    goodness = Projection(2, 3, maps=True, features=3 * 4).double()
    assert goodness.cells == (2, 2)
    activity = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    matrix = goodness.linear.weight.detach()
    for b in range(2):
        for c in range(2):
            expected = 0.0
            for d in range(3):
                for i in range(2):
                    for j in range(2):
                        cell = activity[b, d, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].mean()
                        expected += float(cell * matrix[c, d * 4 + i * 2 + j])
            assert float(goodness(activity)[b, c].detach()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 4)])
def test_its_gradient_reaches_activity_and_matrix_from_the_first_step(shape: tuple[int, ...]):
    goodness = Projection(2, 3, maps=len(shape) == 4, features=12).double()
    assert torch.autograd.gradcheck(goodness, torch.rand(shape, dtype=torch.float64).requires_grad_())
    activity = torch.rand(shape, dtype=torch.float64).requires_grad_()
    goodness(activity)[:, 0].sum().backward()
    assert activity.grad is not None and activity.grad.any()
    assert goodness.linear.weight.grad is not None and goodness.linear.weight.grad[0].any()


def test_it_has_no_bias_and_keeps_to_its_size():
    assert Projection(10, 64, maps=True, features=4096).linear.weight.shape == (10, 4096)
    assert Projection(10, 512, maps=True, features=4096).cells == (2, 4)
    assert list(dict(Projection(4, 8, maps=False, features=1).named_parameters())) == ["linear.weight"]


def test_bf16_activities_are_read_in_fp32():
    scores = Projection(4, 8, maps=True, features=32)(torch.rand(2, 8, 6, 6).bfloat16())
    assert scores.dtype == torch.float32


def test_a_projection_of_nothing_is_refused():
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        Projection(4, 8, maps=True, features=0)


def test_bodies_with_maps_are_told_from_those_without():
    assert all(gives_maps(body) for body in TinyCNN(width=4)((1, 8, 8), 4).bodies)
    assert not any(gives_maps(body) for body in MLP(width=4)((1, 8, 8), 4).bodies)
    assert [gives_maps(body) for body in VGG8b(width=4)((1, 16, 16), 4).bodies] == [True] * 6 + [False]
    assert not gives_maps(nn.ReLU())
