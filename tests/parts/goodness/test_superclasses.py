"""Superclasses: their competition, spread over the classes, against loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from onward.core import Target
from onward.parts.goodness.class_squares import ClassMeanSquare
from onward.parts.goodness.means import MeanSquare
from onward.parts.goodness.superclasses import MergedClasses, Superclasses, even_superclasses
from onward.parts.objective.class_scores import CrossEntropy

MEMBERS = (0, 1, 1, 0, 2, 1)  # sizes 2, 3, 1


def test_a_class_has_the_goodness_of_its_superclass_less_the_logarithm_of_its_size():
    inner = ClassMeanSquare(3, 6)
    activity = torch.rand(4, 6, 2, 2, dtype=torch.float64)
    scores, groups = Superclasses(inner, MEMBERS)(activity), inner(activity)
    for b in range(4):
        for c, s in enumerate(MEMBERS):
            assert float(scores[b, c]) == pytest.approx(float(groups[b, s]) - math.log(MEMBERS.count(s)), abs=1e-12)


def test_cross_entropy_of_classes_is_that_of_superclasses_plus_a_constant():
    inner, labels = ClassMeanSquare(3, 6), torch.arange(6)
    activity = (3 * torch.rand(6, 6, dtype=torch.float64)).requires_grad_()
    fine = CrossEntropy()(Superclasses(inner, MEMBERS)(activity), Target(labels))
    coarse = F.cross_entropy(inner(activity), torch.tensor(MEMBERS), reduction="none")
    sizes = torch.tensor([math.log(MEMBERS.count(s)) for s in MEMBERS], dtype=torch.float64)
    torch.testing.assert_close(fine, coarse + sizes)
    (left,) = torch.autograd.grad(fine.sum(), activity, retain_graph=True)
    (right,) = torch.autograd.grad(coarse.sum(), activity)
    torch.testing.assert_close(left, right)


def test_the_gradients_are_right():
    activity = torch.rand(3, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(Superclasses(ClassMeanSquare(3, 6), MEMBERS), activity)
    wide = torch.rand(3, 12, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(MergedClasses(ClassMeanSquare(6, 12), MEMBERS), wide)


def test_merged_classes_have_the_mean_of_their_members():
    inner = ClassMeanSquare(6, 12)
    activity = torch.rand(4, 12, dtype=torch.float64)
    merged, classes = MergedClasses(inner, MEMBERS)(activity), inner(activity)
    for b in range(4):
        for s in range(3):
            members = [float(classes[b, c]) for c in range(6) if MEMBERS[c] == s]
            assert float(merged[b, s]) == pytest.approx(sum(members) / len(members), rel=1e-6)


def test_even_superclasses_are_consecutive():
    assert even_superclasses(6, 3) == (0, 0, 1, 1, 2, 2)
    assert even_superclasses(100, 20)[57] == 57 // 5
    for wrong in (0, 4, 7):
        with pytest.raises(ValueError, match=f"6 classes cannot be split into {wrong} equal superclasses"):
            even_superclasses(6, wrong)


@pytest.mark.parametrize("members", [(), (0, 2, 2), (1, 1)])
def test_gaps_are_refused(members: tuple[int, ...]):
    with pytest.raises(ValueError, match="numbered from 0 without gaps"):
        Superclasses(ClassMeanSquare(3, 6), members)


def test_a_goodness_without_classes_is_refused():
    with pytest.raises(ValueError, match="MeanSquare gives one per sample"):
        Superclasses(MeanSquare(), MEMBERS)


def test_nothing_of_it_is_stored():
    assert not Superclasses(ClassMeanSquare(3, 6), MEMBERS).state_dict()
