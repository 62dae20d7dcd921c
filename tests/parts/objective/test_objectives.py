"""Objectives: from scores to loss terms."""

import math

import pytest
import torch
from torch import Tensor

from onward.algorithms import CwComp
from onward.core import Learner, LocalBlock, LocalTrainer, Objective, Target, TrainerSettings, each
from onward.nets import CFSE
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import MeanSquare
from onward.parts.inference.scores import SumGoodness
from onward.parts.objective.class_scores import CrossEntropy, SoftmaxTwice, Threshold
from onward.parts.objective.margins import ViewMargin
from onward.parts.objective.symba import PairSoftplus
from onward.parts.objective.two_thresholds import TwoThresholds
from onward.parts.supervision.labels import LabelInLoss

LABELS = torch.tensor([0, 3, 1, 1, 2])
SIGNS = torch.tensor([1, -1, 1, -1, -1])
SIGNED = Target(LABELS, SIGNS)


def _scores(*shape: int) -> Tensor:
    return 3 * torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize(("threshold", "sharpness"), [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0)])
def test_threshold_is_the_negative_log_likelihood_of_the_view(threshold: float, sharpness: float):
    """Hinton 2022, eq. 1: p(real) = sigmoid(goodness - threshold), with the difference times sharpness."""
    scores, expected = _scores(5), []
    for goodness, sign in zip(scores.tolist(), SIGNS.tolist(), strict=True):
        real = 1 / (1 + math.exp(-sharpness * (goodness - threshold)))
        expected.append(-math.log(real if sign > 0 else 1 - real))
    terms = Threshold(threshold, sharpness)(scores, SIGNED)
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64))


def test_threshold_has_the_right_gradient():
    assert torch.autograd.gradcheck(lambda s: Threshold()(s, SIGNED), _scores(5).requires_grad_())


def test_threshold_falls_with_the_goodness_of_real_views_and_rises_with_that_of_others():
    scores = _scores(5).requires_grad_()
    (gradient,) = torch.autograd.grad(Threshold()(scores, SIGNED).sum(), scores)
    assert torch.equal(gradient.sign(), -SIGNS.double())


def test_a_mean_with_sharpness_equals_a_sum_around_a_larger_threshold():
    squares = torch.rand(5, 40, dtype=torch.float64)
    of_sum = Threshold(20.0)(squares.sum(dim=1), SIGNED)
    torch.testing.assert_close(Threshold(20.0 / 40, 40.0)(squares.mean(dim=1), SIGNED), of_sum)


def test_threshold_stays_finite_far_from_the_threshold():
    scores = torch.tensor([-1e4, 1e4])
    terms = Threshold(2.0)(scores, Target(torch.tensor([0, 0]), torch.tensor([1, -1])))
    torch.testing.assert_close(terms, torch.tensor([1e4 + 2, 1e4 - 2]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_a_loop(smoothing: float):
    """DeeperForward, eq. 13; smoothing spreads that part of the label evenly over all classes."""
    scores, expected = _scores(5, 4), []
    for row, label in zip(scores.tolist(), LABELS.tolist(), strict=True):
        total = sum(math.exp(score) for score in row)
        wanted = [smoothing / 4 + (1 - smoothing) * (i == label) for i in range(4)]
        expected.append(-sum(w * math.log(math.exp(score) / total) for w, score in zip(wanted, row, strict=True)))
    terms = CrossEntropy(smoothing)(scores, Target(LABELS))
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_has_the_right_gradient(smoothing: float):
    assert torch.autograd.gradcheck(
        lambda s: CrossEntropy(smoothing)(s, Target(LABELS)), _scores(5, 4).requires_grad_()
    )


def test_cross_entropy_does_not_depend_on_a_common_shift_or_the_order_of_classes():
    scores, order = _scores(5, 4), [2, 0, 3, 1]
    terms = CrossEntropy()(scores, Target(LABELS))
    torch.testing.assert_close(CrossEntropy()(scores + 7, Target(LABELS)), terms)
    moved = torch.tensor([order.index(label) for label in LABELS.tolist()])
    torch.testing.assert_close(CrossEntropy()(scores[:, order], Target(moved)), terms)


@pytest.mark.parametrize(("objective", "scores"), [(Threshold(), _scores(5)), (CrossEntropy(), _scores(5, 4))])
def test_objectives_give_one_term_per_sample_that_depends_on_it_alone(objective, scores: Tensor):
    terms = objective(scores, SIGNED)
    kept = [3, 0]
    assert terms.shape == (5,)
    torch.testing.assert_close(objective(scores[kept], Target(LABELS[kept], SIGNS[kept])), terms[kept])


def test_softmax_twice_against_a_loop():
    scores, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    losses = SoftmaxTwice()(scores, Target(labels))
    for row, label, loss in zip(scores.tolist(), labels.tolist(), losses.tolist(), strict=True):
        shares = [math.exp(s) / sum(math.exp(t) for t in row) for s in row]
        assert loss == pytest.approx(-shares[label] + math.log(sum(math.exp(p) for p in shares)), rel=1e-5)


def test_the_released_head_of_cwcomp_is_a_setting():
    for algorithm, objective in ((CwComp(), CrossEntropy), (CwComp(head="released"), SoftmaxTwice)):
        last = algorithm(CFSE(width=1)((1, 8, 8), 3), 3).blocks[-1]
        assert isinstance(last.objective, objective) and isinstance(last.goodness, LinearHead)
        assert bool(last.goodness.linear.weight.any()) == (algorithm.head == "released")


class _Unsigned(LabelInLoss):
    """A user's own supervision that promises contrastive views and gives none."""

    signed = True


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (PairSoftplus(), "but the supervision gives 1"),
        (ViewMargin(), "but the supervision gives 1"),
        (Threshold(), "the supervision gives no sign"),
        (TwoThresholds(), "the supervision gives no sign"),
    ],
)
def test_a_supervision_that_gives_no_contrastive_views_is_refused(objective: Objective, says: str):
    block = LocalBlock(torch.nn.Linear(3, 2), goodness=MeanSquare(), objective=objective)
    learner = Learner([block], supervision=_Unsigned(), spans=each(1), rules={"sum": SumGoodness()})
    with pytest.raises(ValueError, match=says):
        LocalTrainer(learner, TrainerSettings()).step(torch.rand(4, 3), torch.arange(4), step=0)
