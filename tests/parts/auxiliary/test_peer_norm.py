"""Peer normalization: against a loop over batches and units, its gradient, and whom it counts."""

import pytest
import torch

from onward.core import Target
from onward.parts.auxiliary.peer_norm import PeerNormalization


def _target(rows: int, views: int) -> Target:
    sign = torch.tensor([1] * (rows // views) + [-1] * (rows - rows // views))
    return Target(torch.zeros(rows, dtype=torch.int64), sign, views)


@pytest.mark.parametrize("maps", [False, True])
def test_it_equals_a_loop_over_batches(maps: bool):
    part = PeerNormalization(3, weight=0.5, momentum=0.9).double()
    running = [0.5] * 3
    for _ in range(3):
        activity = torch.rand(6, 3, 2, 4, dtype=torch.float64) if maps else torch.rand(6, 3, dtype=torch.float64)
        found = part(activity, _target(6, 2))
        for d in range(3):
            newest = sum(float(activity[b, d].mean()) for b in range(3)) / 3  # real views alone
            running[d] = 0.9 * running[d] + 0.1 * newest
        mean = sum(running) / 3
        for d in range(3):
            assert float(found[d]) == pytest.approx(0.5 * (running[d] - mean) ** 2, abs=1e-14)
    torch.testing.assert_close(part.mean, torch.tensor(running, dtype=torch.float64))


def test_its_gradient_is_right_and_pushes_units_together():
    part = PeerNormalization(3, weight=1.0).double().eval()
    activity = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: part(a, _target(4, 2)), activity)
    activity = torch.tensor([[0.9, 0.1, 0.5]] * 2, dtype=torch.float64, requires_grad=True)
    part(activity, _target(2, 1)).sum().backward()
    assert activity.grad is not None
    assert (activity.grad[:, 0] > 0).all() and (activity.grad[:, 1] < 0).all()


def test_evaluation_leaves_the_means_as_they_are():
    part = PeerNormalization(3).eval()
    part(torch.rand(4, 3), _target(4, 2))
    assert torch.equal(part.mean, torch.full((3,), 0.5))


def test_a_bad_momentum_or_weight_is_refused():
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 1"):
        PeerNormalization(3, momentum=1.0)
    with pytest.raises(ValueError, match="must be 0 or more, got -1"):
        PeerNormalization(3, weight=-1.0)
