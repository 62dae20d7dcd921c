"""Tasks other than classes: the same blocks with the objectives of regression, or of several labels at once."""

from collections.abc import Sequence

from onward.core import InputForm, Learner, LocalBlock, Objective, Task
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.numbers import MeanValues, SumLabels
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.numbers import EachLabel, SquaredDistance
from onward.parts.objective.targets import ClassWeights
from onward.parts.objective.weighted import Weighted
from onward.parts.supervision.labels import LabelInInput, LabelInLoss


def for_task(learner: Learner, task: Task, mean: Sequence[float] = (), deviation: Sequence[float] = ()) -> Learner:
    """Return a learner of the same blocks for a task; `mean` and `deviation` are those of the targets of regression.

    Raises ValueError for a method whose scores or objectives need exactly one class per row.
    """
    if task == "classes":
        return learner
    for block in learner.blocks:
        if block.objective is not None:
            block.objective = _objective(learner, block, task, mean, deviation)
    rules = (
        {"mean_of_blocks": MeanValues(mean, deviation), "last_block": MeanValues(mean, deviation, last=True)}
        if task == "values"
        else {"all_blocks": SumLabels(), "last_block": SumLabels(last=True)}
    )
    return Learner(
        list(learner.blocks), supervision=learner.supervision, spans=learner.turns, rules=rules, prepare=learner.prepare
    )


def check_untouched(learner: Learner, form: InputForm) -> None:
    """Raise ValueError for a method that would write the label over inputs other than images."""
    if isinstance(learner.supervision, LabelInInput):
        raise ValueError(
            f"this method writes the label over the first {learner.supervision.num_classes} values of its input, which "
            f"of {form.kind} would erase what is learned from: use a method that leaves it alone, such as MonoForward"
        )


def weigh_classes(learner: Learner, weights: Sequence[float]) -> None:
    """Multiply the loss of each sample by the weight of its class, in every block of a learner.

    Raises ValueError for a method whose loss has no term per sample and class.
    """
    for block in learner.blocks:
        objective = block.objective
        if objective is None:
            continue
        if not objective.per_class or objective.signed or objective.couples_samples:
            raise ValueError(
                f"class_weights is about the loss of single samples, which {type(objective).__name__} does not have: "
                "leave it out, or use a method with a learned read-out, such as MonoForward; arrays may also draw rare "
                "classes more often, from_arrays(..., weights='balanced')"
            )
        block.objective = ClassWeights(objective, tuple(weights))


def _objective(
    learner: Learner, block: LocalBlock, task: Task, mean: Sequence[float], deviation: Sequence[float]
) -> Objective:
    inner = block.objective
    weight = inner.weight if isinstance(inner, Weighted) else 1.0
    inner = inner.objective if isinstance(inner, Weighted) else inner
    fits = isinstance(inner, CrossEntropy) and isinstance(block.goodness, LinearHead)
    if not fits or block.auxiliary is not None or not isinstance(learner.supervision, LabelInLoss):
        odd = next(
            type(part).__name__
            for part, good in (
                (learner.supervision, isinstance(learner.supervision, LabelInLoss)),
                (block.auxiliary, block.auxiliary is None),
                (inner, isinstance(inner, CrossEntropy)),
                (block.goodness, isinstance(block.goodness, LinearHead)),
            )
            if not good
        )
        wanted = "numbers" if task == "values" else "several labels of a row"
        raise ValueError(
            f"this method learns one class of each row ({odd}), not {wanted}: use MonoForward(), or "
            "Backprop(of=MonoForward()) or DeepSupervision(of=MonoForward())"
        )
    new = SquaredDistance(tuple(mean), tuple(deviation)) if task == "values" else EachLabel()
    return new if weight == 1.0 else Weighted(new, weight)
