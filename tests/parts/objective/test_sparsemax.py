"""Sparsemax and its loss: against a search for the nearest probabilities, and the loss's gradient."""

import pytest
import torch
from torch import Tensor

from evidence import made_up
from onward.core import Target
from onward.parts.inference.votes import SumVotes
from onward.parts.objective.sparsemax import Sparsemax, sparsemax


def _search(scores: Tensor) -> Tensor:
    """Lower a threshold by bisection until what stands above it adds up to 1."""
    low, high = float(scores.min()) - 1, float(scores.max())
    for _ in range(80):
        middle = (low + high) / 2
        total = sum(max(score - middle, 0.0) for score in scores.tolist())
        low, high = (middle, high) if total > 1 else (low, middle)
    return (scores - low).clamp_min(0)


def test_it_is_the_projection_onto_probabilities():
    scores = 2 * torch.randn(20, 6, dtype=torch.float64)
    found = sparsemax(scores)
    for b in range(20):
        torch.testing.assert_close(found[b], _search(scores[b]), rtol=0.0, atol=1e-9)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(20, dtype=torch.float64))
    assert (found == 0).any()


def test_ties_share():
    torch.testing.assert_close(sparsemax(torch.zeros(1, 4)), torch.full((1, 4), 0.25))


def test_the_loss_equals_the_published_form():
    """-z_y + sum over the support of (z_j^2 - threshold^2) / 2 + 1/2."""
    scores, labels = 2 * torch.randn(9, 5, dtype=torch.float64), torch.arange(9) % 5
    found = Sparsemax()(scores, Target(labels))
    for b, label in enumerate(labels.tolist()):
        chosen = _search(scores[b])
        support = [j for j in range(5) if chosen[j] > 1e-12]
        threshold = (sum(float(scores[b, j]) for j in support) - 1) / len(support)
        expected = sum(float(scores[b, j]) ** 2 - threshold**2 for j in support) / 2 + 0.5 - float(scores[b, label])
        assert float(found[b]) == pytest.approx(expected, abs=1e-9)


def test_its_gradient_is_right_and_what_was_promised():
    scores = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(6) % 5
    assert torch.autograd.gradcheck(lambda s: Sparsemax()(s, Target(labels)), scores)
    (gradient,) = torch.autograd.grad(Sparsemax()(scores, Target(labels)).sum(), scores)
    torch.testing.assert_close(gradient, sparsemax(scores.detach()) - torch.eye(5, dtype=torch.float64)[labels])


def test_a_lead_of_one_costs_nothing():
    assert float(Sparsemax()(torch.tensor([[3.0, 2.0, 1.5]]), Target(torch.tensor([0])))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("shape", "vote"), [("softmax", lambda s: s.softmax(dim=0)), ("sparsemax", _search)])
def test_votes_are_added_over_the_blocks(shape, vote):
    scores = torch.randn(3, 4, 5, dtype=torch.float64)
    found = SumVotes(shape)(made_up(block_scores=scores))
    for b in range(4):
        torch.testing.assert_close(found[b], sum(vote(scores[block, b]) for block in range(3)), rtol=0.0, atol=1e-9)
