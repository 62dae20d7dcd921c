"""CwComp's other objectives: against loops over images and classes, and their gradients."""

import math

import pytest
import torch

from onward.core import Target
from onward.parts.objective.competition import Mixture, PositiveNegative

LABELS = torch.tensor([2, 0, 3, 2, 1])


def _loop(scores: torch.Tensor) -> tuple[list[float], list[float]]:
    positive, negative = [], []
    for b, label in enumerate(LABELS.tolist()):
        others = [float(scores[b, c]) for c in range(4) if c != label]
        positive.append(math.log(1 + math.exp(2.0 - float(scores[b, label]))))
        negative.append(math.log(1 + math.exp(sum(others) / len(others) - 2.0)))
    return positive, negative


def test_positive_negative_equals_a_loop():
    scores = 3 * torch.rand(5, 4, dtype=torch.float64)
    positive, negative = _loop(scores)
    found = PositiveNegative(2.0)(scores, Target(LABELS))
    torch.testing.assert_close(found, torch.tensor(positive + negative, dtype=torch.float64))


def test_the_mean_of_a_mixture_is_the_mixture_of_the_means():
    scores = 3 * torch.rand(5, 4, dtype=torch.float64)
    positive, negative = _loop(scores)
    competing = []
    for b, label in enumerate(LABELS.tolist()):
        competing.append(-math.log(math.exp(scores[b, label]) / sum(math.exp(s) for s in scores[b].tolist())))
    expected = 0.28 * sum(competing) / 5 + 0.72 * sum(positive + negative) / 10
    assert float(Mixture()(scores, Target(LABELS)).mean()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("objective", [PositiveNegative(), Mixture(0.4)])
def test_the_gradients_are_right(objective):
    scores = torch.rand(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: objective(s, Target(LABELS)), scores)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        PositiveNegative()(torch.rand(3, 1), Target(torch.zeros(3, dtype=torch.int64)))
    with pytest.raises(ValueError, match=r"share of Mixture must be .*, got 1.5"):
        Mixture(1.5)
