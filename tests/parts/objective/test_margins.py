"""Margin losses: naive loops from the notes of the paper's readers, gradients, and the local gradient by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onward.core import LocalBlock, Target
from onward.parts.goodness.anchors import LearnedAnchors
from onward.parts.goodness.means import MeanSquare
from onward.parts.objective.margins import ClassMargin, NPairMargin, ViewMargin

MARGIN, PENALTY = 0.7, 0.3


def _pair(positive: float, negative: float) -> float:
    """The single pair, as a reader noted it: max(m + g_neg - g_pos, 0) + lambda * g_neg."""
    return max(MARGIN + negative - positive, 0.0) + PENALTY * negative


def _naive(form: str, sharpness: float, positive: float, negatives: list[float]) -> float:
    terms = [_pair(positive, negative) for negative in negatives]
    if form == "mean":
        return sum(terms) / len(terms)
    if form == "hardest":
        return max(terms)
    total = 1 + sum(math.exp(sharpness * (MARGIN + negative - positive)) for negative in negatives)
    return math.log(total) / sharpness + PENALTY * sum(negatives) / len(negatives)


FORMS = [("mean", 1.0), ("hardest", 1.0), ("soft", 1.0), ("soft", 5.0)]
each_form = pytest.mark.parametrize(("form", "sharpness"), FORMS)


def _reduce(form, sharpness: float) -> NPairMargin:
    return NPairMargin(MARGIN, PENALTY, form, sharpness)


@each_form
@pytest.mark.parametrize("count", [1, 4])
def test_every_form_equals_a_loop(form: str, sharpness: float, count: int):
    positive, negatives = torch.randn(6, dtype=torch.float64), torch.randn(6, count, dtype=torch.float64)
    expected = [_naive(form, sharpness, p, n) for p, n in zip(positive.tolist(), negatives.tolist(), strict=True)]
    terms = _reduce(form, sharpness)(positive, negatives)
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64))


@each_form
def test_every_form_has_the_right_gradient(form: str, sharpness: float):
    positive = torch.randn(5, dtype=torch.float64, requires_grad=True)
    negatives = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_reduce(form, sharpness), (positive, negatives))


@pytest.mark.parametrize("form", ["mean", "hardest"])
def test_one_negative_gives_the_single_pair(form: str):
    positive, negative = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    expected = [_pair(p, n) for p, n in zip(positive.tolist(), negative.tolist(), strict=True)]
    terms = _reduce(form, 1.0)(positive, negative[:, None])
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64))


def test_a_sharp_soft_form_is_the_hardest_hinge():
    positive, negatives = torch.randn(50, dtype=torch.float64), torch.randn(50, 4, dtype=torch.float64)
    soft = NPairMargin(MARGIN, 0.0, "soft", 1000.0)(positive, negatives)
    torch.testing.assert_close(soft, NPairMargin(MARGIN, 0.0, "hardest")(positive, negatives), rtol=0.0, atol=2e-3)


def test_a_margin_that_is_kept_leaves_the_penalty_alone():
    positive, negatives = torch.tensor([2.0]), torch.tensor([[0.5, 0.25]], requires_grad=True)
    (gradient,) = torch.autograd.grad(_reduce("mean", 1.0)(positive, negatives).sum(), negatives)
    torch.testing.assert_close(gradient, torch.full((1, 2), PENALTY / 2))


@each_form
def test_views_are_brought_together_by_image(form: str, sharpness: float):
    """Rows are view by view: the real view of every image, then the first contrastive one, and so on."""
    images, views = 3, 4
    scores = torch.randn(views * images, dtype=torch.float64)
    labels, sign = torch.zeros(views * images, dtype=torch.int64), -torch.ones(views * images, dtype=torch.int64)
    sign[:images] = 1
    expected = [
        _naive(form, sharpness, scores[i].item(), [scores[v * images + i].item() for v in range(1, views)])
        for i in range(images)
    ]
    terms = ViewMargin(_reduce(form, sharpness))(scores, Target(labels, sign, views))
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64))


@each_form
def test_the_label_is_set_against_all_other_classes(form: str, sharpness: float):
    scores, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    expected = [
        _naive(form, sharpness, row[label], [score for c, score in enumerate(row) if c != label])
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
    ]
    terms = ClassMargin(_reduce(form, sharpness))(scores, Target(labels))
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64))


def test_a_single_class_has_nothing_to_win_against():
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        ClassMargin()(torch.zeros(2, 1), Target(torch.tensor([0, 0])))


def test_the_loss_stays_finite_far_from_the_margin():
    terms = NPairMargin(1.0, 0.0, "soft", 10.0)(torch.tensor([-1e4, 1e4]), torch.zeros(2, 3))
    torch.testing.assert_close(terms, torch.tensor([1e4 + 1 + math.log(3) / 10, 0.0]))


@pytest.mark.parametrize("wrong", [0, 3])
def test_the_local_gradient_of_a_linear_layer_by_hand(wrong: int):
    """dL/dh = (2/n) h dL/dg with dL/dg_pos = -A, dL/dg_neg = A + lambda, and dL/dW = (dL/dh * relu'(a)) x^T."""
    images, inputs, units, views = 4, 5, 6, wrong + 2
    linear = nn.Linear(inputs, units).double()
    body = nn.Sequential(linear, nn.ReLU())
    objective = ViewMargin(NPairMargin(0.05, PENALTY, "mean"))
    block = LocalBlock(body, goodness=MeanSquare(), objective=objective)
    x = torch.randn(views * images, inputs, dtype=torch.float64)
    sign = torch.where(torch.arange(views * images) < images, 1, -1)
    activity = body(x)
    activity.retain_grad()
    block.loss(activity, Target(torch.zeros_like(sign), sign, views)).backward()

    before = x @ linear.weight.detach().T + linear.bias.detach()
    h = before.clamp(min=0)
    g = (h**2).mean(dim=1)
    to_g, active = torch.zeros(views * images, dtype=torch.float64), 0
    for i in range(images):
        for k in range(1, views):
            gate = float(0.05 + g[k * images + i] - g[i] > 0)
            active += int(gate)
            to_g[i] -= gate / (images * (views - 1))
            to_g[k * images + i] += (gate + PENALTY) / (images * (views - 1))
    assert 0 < active < images * (views - 1)  # both sides of the gate are seen
    to_h = 2 / units * h * to_g[:, None]
    torch.testing.assert_close(activity.grad, to_h)
    torch.testing.assert_close(linear.weight.grad, (to_h * (before > 0)).T @ x)


def test_a_hinge_between_distances_is_twice_the_hinge_between_scores():
    """With lengths 1: max(0, m_D + |u_pos - a|^2 - |u_neg - a|^2) = 2 max(0, m_D / 2 + u_neg a - u_pos a)."""
    positive, negative, anchor = (F.normalize(torch.randn(9, 7, dtype=torch.float64), dim=1) for _ in range(3))

    def distance(u: Tensor) -> Tensor:
        return (u - anchor).square().sum(dim=1)

    scores = [(u * anchor).sum(dim=1) for u in (positive, negative)]
    hinge = NPairMargin(margin=0.2)(scores[0], scores[1][:, None])
    torch.testing.assert_close((0.4 + distance(positive) - distance(negative)).clamp(min=0), 2 * hinge)


def test_the_local_gradient_of_a_linear_layer_with_anchors_by_hand():
    """dL/ds_y = -(1/K) sum of A_c, dL/ds_c = A_c / K, ds_c/dh = (a_c/|a_c| - s_c u) / |h| with u = h/|h|."""
    images, inputs, units, classes, margin = 5, 4, 6, 3, 0.3
    torch.manual_seed(0)
    linear, anchors = nn.Linear(inputs, units).double(), LearnedAnchors(classes, units).double()
    body, objective = nn.Sequential(linear, nn.ReLU()), ClassMargin(NPairMargin(margin, 0.0, "mean"))
    x, labels = torch.randn(images, inputs, dtype=torch.float64), torch.arange(images) % classes
    activity = body(x)
    activity.retain_grad()
    LocalBlock(body, goodness=anchors, objective=objective).loss(activity, Target(labels)).backward()

    ends = anchors.anchors.detach()
    ends = ends / ends.norm(dim=1, keepdim=True)
    expected, active = torch.zeros(images, units, dtype=torch.float64), 0
    for i, h in enumerate((x @ linear.weight.detach().T + linear.bias.detach()).clamp(min=0)):
        u, y = h / h.norm(), int(labels[i])
        s = ends @ u
        for c in {*range(classes)} - {y}:
            if margin + s[c] - s[y] > 0:
                pull = (ends[c] - s[c] * u) - (ends[y] - s[y] * u)
                expected[i] += pull / (h.norm() * (classes - 1) * images)
                active += 1
    assert 0 < active < images * (classes - 1)  # both sides of the gate are seen
    torch.testing.assert_close(activity.grad, expected)


@pytest.mark.parametrize("sharpness", [1.0, 30.0])
def test_soft_class_margins_are_those_of_the_pairs(sharpness: float):
    """Without a penalty they are a cross-entropy; with one that vanishes, the pairs themselves."""
    labels = torch.tensor([0, 2, 1, 3])
    scores, again = (torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) for _ in "ab")
    found = ClassMargin(NPairMargin(MARGIN, 0.0, "soft", sharpness))(scores.requires_grad_(), Target(labels))
    pairs = ClassMargin(NPairMargin(MARGIN, 1e-300, "soft", sharpness))(again.requires_grad_(), Target(labels))
    torch.testing.assert_close(found, pairs)
    found.sum().backward()
    pairs.sum().backward()
    torch.testing.assert_close(scores.grad, again.grad)
