"""SymBa's paired softplus: against a loop, its gradient, its symmetry."""

import math

import pytest
import torch

from onward.core import Target
from onward.parts.objective.symba import PairSoftplus


def _target(images: int, views: int) -> Target:
    return Target(torch.zeros(images * views, dtype=torch.int64), torch.ones(images * views, dtype=torch.int64), views)


@pytest.mark.parametrize("views", [2, 4])
def test_it_equals_a_loop_over_images_and_wrong_labels(views: int):
    scores = torch.randn(5 * views, dtype=torch.float64)
    found = PairSoftplus(4.0)(scores, _target(5, views))
    expected = []
    for k in range(1, views):
        for b in range(5):
            lead = float(scores[b] - scores[5 * k + b])
            expected.append(math.log(1 + math.exp(-4.0 * lead)))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_its_gradient_is_right_and_opposite_on_both_views():
    scores = torch.randn(6, dtype=torch.float64, requires_grad=True)
    target = _target(3, 2)
    assert torch.autograd.gradcheck(lambda s: PairSoftplus(2.0)(s, target), scores)
    (gradient,) = torch.autograd.grad(PairSoftplus(2.0)(scores, target).sum(), scores)
    torch.testing.assert_close(gradient[:3], -gradient[3:])
    assert (gradient[:3] < 0).all()


def test_only_the_difference_counts():
    scores = torch.randn(8)
    torch.testing.assert_close(
        PairSoftplus()(scores + 7, _target(4, 2)), PairSoftplus()(scores, _target(4, 2)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("sharpness", [0.0, -1.0, float("inf"), float("nan")])
def test_a_loss_that_does_not_fall_is_refused(sharpness: float):
    with pytest.raises(ValueError, match=rf"sharpness of \w+ must be a finite number > 0, got {sharpness}"):
        PairSoftplus(sharpness)
