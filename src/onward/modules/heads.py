"""The heads of a user's model under an algorithm: goodness, objective and auxiliary of each block, and the spans."""
# B batch, C classes, D features

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Auxiliary, Goodness, Learner, LocalBlock, Objective, Span, derive_seed, seeded
from onward.modules.plan import Part, Plan
from onward.modules.reading import Reading
from onward.nets.net import plain
from onward.parts.auxiliary.per_token import TokenAuxiliary
from onward.parts.goodness.class_squares import ClassMeanSquare
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean
from onward.parts.goodness.output_head import OwnScores, SampledReadOut, SharedReadOut
from onward.parts.goodness.per_token import TokenGoodness
from onward.parts.goodness.spatial import SpatialGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.numbers import EachLabel, SquaredDistance
from onward.parts.objective.targets import ClassWeights, PerPosition, PerToken
from onward.parts.objective.weighted import Weighted
from onward.parts.ops.class_groups import UnevenGroups
from onward.parts.supervision.labels import LabelInLoss

_OTHERS = "take MonoForward, PredSim, DeeperForward, HFF, ASGE, DistanceForward(collaboration='none') or Backprop"
_READ_OUTS = (LinearHead, SpatialGoodness, OwnScores, SharedReadOut)
"""Goodnesses whose scores may be numbers of any size and sign, as regression needs."""
_PER_POSITION = ("tokens", "next_token", "pixels")


class Head(NamedTuple):
    """Goodness, objective and auxiliary of a block; a block without an objective is trained by a later one's."""

    reading: Reading
    block: LocalBlock


class Stretch(nn.Module):
    """Placeholder of a stretch of a user's model while an algorithm fills the other slots; it has a layout only."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.activity_layout = "vector" if len(shape) == 1 else "map"
        self.stand_in = nn.Parameter(torch.zeros(()))  # an algorithm that freezes bodies freezes this


class Weights(nn.Module):
    """The parameters of a user's model that a block trains, in place of a body."""

    def __init__(self, parameters: Sequence[nn.Parameter]):
        super().__init__()
        self.own = nn.ParameterList(parameters)


def per_position(plan: Plan) -> bool:
    """Whether the task has a target for each token or pixel."""
    return plan.task in _PER_POSITION or numbers_per_position(plan)


def numbers_per_position(plan: Plan) -> bool:
    """Whether the task has numbers, or several labels, for each token or pixel."""
    return plan.task in ("labels", "values") and len(plan.parts[-1].shape) > 2


def weights_of_classes(given: Sequence[float] | Mapping[int, float], plan: Plan) -> tuple[float, ...]:
    """Return the weight of each class, from a sequence or by index.

    Raises ValueError for other than one for each, and for a task without classes.
    """
    classes = plan.outputs
    if plan.task in ("labels", "values"):
        raise ValueError(f"class_weights weigh classes, and task {plan.task} has none")
    if isinstance(given, Mapping):
        missing = [k for k in range(classes) if k not in given]
        if missing or len(given) != classes:
            odd = f"none for class {missing[0]}" if missing else f"some beyond class {classes - 1}"
            raise ValueError(f"class_weights has {odd}: by index, give one for each of 0..{classes - 1}")
        given = [given[k] for k in range(classes)]
    try:
        weights = tuple(float(weight) for weight in given)
    except (TypeError, ValueError):
        raise ValueError(
            f"class_weights are numbers, one for each class, got {given!r}: to balance classes, give 1 / count "
            "of each, divided by their mean"
        ) from None
    if len(weights) != classes:
        raise ValueError(f"class_weights has {len(weights)} entries for {classes} classes; give one for each")
    return weights


def make_heads(
    model: nn.Module,
    plan: Plan,
    algorithm: Algorithm,
    *,
    seed: int,
    shared: nn.Linear | None = None,
    sampled: bool = False,
    class_weights: Sequence[float] | None = None,
) -> tuple[list[Head], tuple[Span, ...]]:
    """Return a head for each block of the plan, and the spans. Raises ValueError where the algorithm cannot train it.

    The last block is trained on the model's own output by the task's loss, for every algorithm.
    """
    readings = [Reading(part.layout, per_position(plan), part is plan.parts[-1]) for part in plan.parts]
    shapes = [reading.shape(part.shape) for reading, part in zip(readings, plan.parts, strict=True)]
    seen = shapes[:-1] + (shapes[-2:-1] or shapes[-1:])  # the last one's own head reads; the algorithm gets a stand-in
    stretches = [Stretch(shape) for shape in seen]
    alone = len(stretches) == 1  # then its head is not used, and one from all classes to all may not fit into memory
    name = type(algorithm).__name__
    with seeded(derive_seed(seed, "heads"), torch.device("cpu")), torch.device("meta" if alone else "cpu"):
        learner = _filled(algorithm, stretches, seen, plan.outputs)
    _check_learner(learner, stretches, name)
    spans = _spans(learner, len(stretches), name)
    weights = dict(model.named_parameters())
    heads = []
    for k, (part, reading) in enumerate(zip(plan.parts, readings, strict=True)):
        filled, last = learner.blocks[k], k == len(plan.parts) - 1
        goodness, objective, auxiliary = filled.goodness, filled.objective, filled.auxiliary
        if last:
            goodness, objective, auxiliary = OwnScores(), CrossEntropy(), None
        elif shared is not None and goodness is not None:
            kept = None if objective is None else objective.cross_entropy()  # with its label smoothing
            goodness = _shared(shared, shapes[k], part, sampled=sampled)
            objective, auxiliary = kept or CrossEntropy(), None
        if goodness is not None and objective is not None:
            objective = _objective(objective, goodness, plan, class_weights, name)
        if plan.task not in ("classes", *_PER_POSITION) and auxiliary is not None:
            raise ValueError(
                f"{type(auxiliary).__name__} of {name} needs classes, task {plan.task} has none; take MonoForward, "
                "PredSim(beta=0) or Backprop"
            )
        body = Weights([weights[n] for n in part.weights])
        block = LocalBlock(body, rate_share=filled.rate_share, **_slots(goodness, objective, auxiliary, plan))
        device = body.own[0].device if len(body.own) else next(model.parameters()).device
        block.to(device)
        wide = _widened(block, model)
        if not last:
            _try(block, shapes[k], part, name, torch.zeros((), device=device, dtype=wide))
        heads.append(Head(reading, block))
    return heads, spans


def check_read_out(algorithm: Algorithm, heads: str) -> None:
    """Raise ValueError for an algorithm of which the model's output head, as the read-out of blocks, leaves nothing."""
    stretches, name = [Stretch((4,)), Stretch((4,))], type(algorithm).__name__
    with seeded(0, torch.device("cpu")):
        learner = _filled(algorithm, stretches, [(4,), (4,)], 2)
    _check_learner(learner, stretches, name)
    for block in learner.blocks[:-1]:
        inner = block.objective.objective if isinstance(block.objective, Weighted) else block.objective
        parts = ((block.goodness, LinearHead), (inner, CrossEntropy), (block.auxiliary, type(None)))
        odd = next((part for part, kind in parts if part is not None and not isinstance(part, kind)), None)
        if odd is not None:
            raise ValueError(
                f"heads={heads!r} trains every block by the cross-entropy of the model's output head, which "
                f"{type(odd).__name__} of {name} is not part of: take heads='own', or MonoForward, "
                "PredSim(beta=0) or DeepSupervision(of=MonoForward())"
            )


def _filled(algorithm: Algorithm, stretches: list[Stretch], seen: list[tuple[int, ...]], num_classes: int) -> Learner:
    """Return the algorithm's learner of these blocks. Raises ValueError, with its name, where it has none."""
    name, widths = type(algorithm).__name__, [shape[0] for shape in seen]
    try:
        return algorithm(plain(stretches, widths), num_classes)
    except UnevenGroups as error:
        learner = _with_uneven_groups(algorithm, stretches, widths, num_classes)
        if learner is not None:
            return learner
        raise ValueError(
            f"{name} reads each class from its own share of a block's features, and {error}: give the model such "
            "widths, cut elsewhere (cut=[...]), or take MonoForward, PredSim or Backprop"
        ) from None
    except ValueError as error:
        raise ValueError(f"{name} cannot train a model of your own ({error}): {_OTHERS}") from None


def _with_uneven_groups(
    algorithm: Algorithm, stretches: list[Stretch], widths: Sequence[int], num_classes: int
) -> Learner | None:
    """Return the learner where the means of class groups alone depend on the widths, whose groups may be uneven.

    What a block hands on is the model's own, so that nothing else of the algorithm reads the groups.
    """
    if min(widths) < num_classes:
        return None
    learner = algorithm(plain(stretches, [width + -width % num_classes for width in widths]), num_classes)
    read = all(isinstance(block.goodness, ClassMean | ClassMeanSquare) for block in learner.blocks)
    return learner if read and all(block.auxiliary is None for block in learner.blocks) else None


def _slots(goodness: Goodness | None, objective: Objective | None, auxiliary: Auxiliary | None, plan: Plan) -> dict:
    if plan.task in _PER_POSITION:
        goodness = None if goodness is None else TokenGoodness(goodness)
        objective = None if objective is None else PerToken(objective)
        auxiliary = None if auxiliary is None else TokenAuxiliary(auxiliary)
    return {"goodness": goodness, "objective": objective, "auxiliary": auxiliary}


def _objective(
    objective: Objective, goodness: Goodness, plan: Plan, class_weights: Sequence[float] | None, name: str
) -> Objective:
    if plan.task in ("labels", "values"):
        of_task = EachLabel() if plan.task == "labels" else SquaredDistance()
        of_task = PerPosition(of_task) if per_position(plan) else of_task
        inner = objective.objective if isinstance(objective, Weighted) else objective
        if not isinstance(inner, CrossEntropy) or not isinstance(goodness, _READ_OUTS):
            odd = inner if isinstance(goodness, _READ_OUTS) else goodness
            raise ValueError(
                f"{type(odd).__name__} of {name} needs classes, task {plan.task} has none; take MonoForward or "
                "PredSim(beta=0)"
            )
        return Weighted(of_task, objective.weight) if isinstance(objective, Weighted) else of_task
    if class_weights is None:
        return objective
    return ClassWeights(objective, tuple(class_weights))


def _shared(head: nn.Linear, shape: tuple[int, ...], part: Part, *, sampled: bool) -> Goodness:
    if shape != (head.in_features,):
        raise ValueError(
            f"heads='{'sampled' if sampled else 'shared'}' reads every block by the model's output head of "
            f"{head.in_features} features, but the cut {part.cut} gives {list(shape)}; take heads='own'"
        )
    return SampledReadOut(head) if sampled else SharedReadOut(head)


def _check_learner(learner: Learner, stretches: list[Stretch], name: str) -> None:
    if not isinstance(learner.supervision, LabelInLoss):
        raise ValueError(
            f"{name} writes the label into its input, or compares views of images "
            f"({type(learner.supervision).__name__}); "
            f"a model of your own keeps its input: {_OTHERS}"
        )
    for block, stretch in zip(learner.blocks, stretches, strict=False):
        body = block.body
        inner = list(body.children())[-1] if isinstance(body, nn.Sequential) and len(body) else body
        if inner is not stretch or len(list(body.parameters())) != 1:
            raise ValueError(
                f"{name} changes the layers of a network ({type(inner).__name__}), and a model of your own is trained "
                f"as it is: {_OTHERS}"
            )
        if not stretch.stand_in.requires_grad:
            raise ValueError(
                f"{name} leaves the layers of a network as they were drawn: freeze the model "
                "(model.requires_grad_(False)) and take MonoForward, which then trains its read-outs alone"
            )
        if any(not p.requires_grad for slot in (block.goodness, block.auxiliary) if slot for p in slot.parameters()):
            raise ValueError(f"{name} keeps parts of a block frozen; {_OTHERS}")


def _spans(learner: Learner, count: int, name: str) -> tuple[Span, ...]:
    turn, *others = learner.turns
    if others:
        raise ValueError(f"{name} trains different blocks in every step; {_OTHERS}")
    spans = tuple(span for span in turn if span.first < count)
    spans = tuple(span._replace(last=min(span.last, count - 1)) for span in spans)
    if any((span.begin, span.end) != (0, 1) for span in spans):
        raise ValueError(
            f"{name} trains blocks in windows of a training, which one pass through a model lacks; {_OTHERS}"
        )
    ends = [-1, *(span.last for span in spans)]
    if any(span.first != end + 1 for span, end in zip(spans, ends[:-1], strict=True)) or ends[-1] != count - 1:
        raise ValueError(
            f"{name} trains overlapping spans of blocks, which one pass through a model cannot: set "
            "collaboration='none' or 'disjoint' where it has that field"
        )
    return spans


def _widened(block: LocalBlock, model: nn.Module) -> torch.dtype:
    """Bring the parts of a block to fp64 where the model is of fp64; others compute in fp32. Return which it is."""
    if not all(p.dtype == torch.float64 for p in model.parameters() if p.is_floating_point()):
        return torch.float32
    for part in (block.goodness, block.auxiliary):
        if part is not None:
            part.double()
    return torch.float64


def _try(block: LocalBlock, shape: tuple[int, ...], part: Part, name: str, like: Tensor) -> None:
    """Read the score of a blank activity, so that a misfit raises when the block is built."""
    if block.goodness is None:
        return
    try:
        with torch.no_grad():
            blank = like.new_zeros(2, *shape)
            block.goodness(blank)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot read the cut {part.cut}, {part.layout} {list(part.shape)}: {error}; give its layout "
            "(layouts={...}), or cut elsewhere"
        ) from None
