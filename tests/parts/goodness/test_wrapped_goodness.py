"""Wrappers hand on whatever the goodness or objective inside them has: what it learns, what it compares."""

import inspect
import pkgutil
from importlib import import_module

import pytest
import torch

import onward.parts
from onward.core import Goodness, LocalBlock, Objective, Target, WrappedGoodness
from onward.parts.body.direct_feedback import Detached
from onward.parts.body.spiking import ClassDifficulty, OfPotential
from onward.parts.goodness.anchors import RunningAnchors
from onward.parts.goodness.least_squares import LeastSquares
from onward.parts.goodness.linear import LinearHead, Standardized
from onward.parts.goodness.means import MeanSquare
from onward.parts.goodness.per_token import TokenGoodness
from onward.parts.goodness.superclasses import MergedClasses, Superclasses
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.layer_collaboration import AddEarlierGoodness
from onward.parts.objective.weighted import Weighted

CLASSES, FEATURES, GROUPS = 4, 6, [0, 1, 1, 0]
STATEFUL = {
    "RunningAnchors": lambda classes: RunningAnchors(classes, FEATURES),
    "LeastSquares": lambda classes: LeastSquares(classes, FEATURES),
    "Standardized": lambda classes: Standardized(LinearHead(classes, FEATURES), FEATURES),
    "ClassDifficulty": lambda classes: ClassDifficulty(LinearHead(classes, FEATURES), classes, strength=1.0),
}
"""Every goodness that learns from a batch what no gradient teaches."""
WRAPPERS = {
    "Detached": (Detached, CLASSES),
    "OfPotential": (OfPotential, CLASSES),
    "ClassDifficulty": (lambda inner: ClassDifficulty(inner, CLASSES, strength=1.0), CLASSES),
    "Superclasses": (lambda inner: Superclasses(inner, GROUPS), 2),
    "MergedClasses": (lambda inner: MergedClasses(inner, GROUPS), CLASSES),
    "Superclasses of MergedClasses": (lambda inner: Superclasses(MergedClasses(inner, GROUPS), GROUPS), CLASSES),
}
"""Every wrapper, and how many classes the goodness inside it scores."""


def _all(kind: type) -> set[type]:
    modules = [import_module(f"onward.parts.{module.name}") for module in pkgutil.iter_modules(onward.parts.__path__)]
    return {
        cls for module in modules for cls in vars(module).values() if inspect.isclass(cls) and issubclass(cls, kind)
    }


def test_no_wrapper_and_no_goodness_that_learns_is_missing_here():
    assert {cls.__name__ for cls in _all(WrappedGoodness)} - {"WrappedGoodness"} <= set(WRAPPERS)
    follows = {cls.__name__ for cls in _all(Goodness) if "update_statistics" in vars(cls) and cls is not Goodness}
    assert follows - {"WrappedGoodness", "Superclasses"} == set(STATEFUL)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("inner", STATEFUL)
def test_what_is_inside_a_wrapper_learns_what_it_learns_alone(inner: str, wrapper: str):
    wrap, classes = WRAPPERS[wrapper]
    torch.manual_seed(1)
    alone = STATEFUL[inner](classes)
    torch.manual_seed(1)
    inside = STATEFUL[inner](classes)
    labels = torch.arange(12) % CLASSES
    shape = (12, 1, FEATURES) if wrapper == "OfPotential" else (12, FEATURES)
    activity, own = torch.rand(shape), torch.tensor(GROUPS)[labels] if classes == 2 else labels
    before = {name: value.clone() for name, value in inside.state_dict().items()}
    wrapped = wrap(inside).train()
    block = LocalBlock(torch.nn.Identity(), goodness=wrapped, objective=CrossEntropy())
    if wrapper != "MergedClasses":  # alone it scores superclasses, which no label names
        block.loss(activity, Target(labels))
    else:
        wrapped.update_statistics(activity, Target(labels))
    alone.update_statistics(activity.view(12, FEATURES), Target(own))
    assert any(not torch.equal(value, before[name]) for name, value in inside.state_dict().items())
    assert all(torch.equal(value, inside.state_dict()[name]) for name, value in alone.state_dict().items())
    assert wrapped.keeps_statistics and TokenGoodness(wrapped).keeps_statistics
    without = wrap(LinearHead(classes, FEATURES))
    assert without.keeps_statistics == TokenGoodness(without).keeps_statistics == (wrapper == "ClassDifficulty")


@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name not in ("Detached", "OfPotential")])
def test_a_wrapper_of_class_scores_refuses_scores_per_sample(wrapper: str):
    with pytest.raises(ValueError, match="needs scores per class, but MeanSquare gives one per sample"):
        WRAPPERS[wrapper][0](MeanSquare())


@pytest.mark.parametrize("wrap", [lambda inner: Weighted(inner, 0.5), AddEarlierGoodness])
def test_a_wrapped_objective_keeps_what_it_compares(wrap):
    class Coupled(Objective):
        per_class, signed, couples_samples = True, False, True

        def __call__(self, scores, target):
            return scores.sum(dim=1)

    wrapped = wrap(Coupled())
    assert (wrapped.per_class, wrapped.signed, wrapped.couples_samples) == (True, False, True)
    assert not wrap(CrossEntropy()).couples_samples
