"""Locality: the blocks that an objective trains, and the number of layers that its gradient passes."""
# B batch, K numbers or labels of a target

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor

from onward.core import Label, Learner, LocalBlock, LocalTrainer, Span, TrainerSettings
from onward.measure.layers import layer_weights, layers_in_series, weights_below

READ_OUTS, ONE, TWO, ALL = "read-outs alone", "one layer", "two layers", "all"
"""Texts for a gradient that reaches no layer, one, two, and every layer of the network."""


@dataclass(frozen=True)
class Locality:
    """How far the gradient of an objective reaches: that of the objective which reaches farthest.

    A layer is a trained weight of two or more dimensions in a body, and all those of a recurrent module's layer. Layers
    in series are counted: two whose outputs are added are one layer. A linear read-out of scores (a classifier, a
    projection to the classes, prototypes, anchors) is no auxiliary network, though it is trained with its layer: a
    single matrix is between layer and loss. An auxiliary network is more: a trained weight in the auxiliary slot, whose
    outputs are no scores of classes (the projection of similarity matching or of a supervised contrastive loss), or two
    trained weights in a goodness. An error that is sent to a layer directly, as in direct feedback alignment, reaches
    that layer.
    """

    layers: int
    """Layers in series that one objective trains; 0: only read-outs of untrained layers learn by gradient."""
    blocks: int
    """Blocks in which these layers are."""
    network: int
    """Layers in series that are trained in the whole network."""
    auxiliary: bool = False
    """Whether an auxiliary network is between a layer and its loss."""

    def __str__(self) -> str:
        """Return the locality in words: `one layer`, `one layer, auxiliary network`, `two layers`, `all`, ..."""
        if self.layers == self.network > 1:
            return ALL
        return self._span() + (", auxiliary network" if self.auxiliary else "")

    def _span(self) -> str:
        if self.layers > 1 and self.blocks == 1:
            return f"one block of {self.layers} layers"
        return {0: READ_OUTS, 1: ONE, 2: TWO}.get(self.layers, f"{self.layers} layers")


def reached_blocks(learner: Learner, x: Float[Tensor, "B ..."], y: Label) -> list[list[int]]:
    """Return, for each span, the indices of the blocks whose parameters its objective gives a gradient.

    Trains a copy on one batch, span by span, through the trainer; the learner itself is unchanged.
    """
    copied = _Copy(learner)
    owner = {id(p): k for k, block in enumerate(copied.learner.blocks) for p in block.parameters()}
    return [sorted({owner[parameter] for parameter in update.arrived}) for update in _updates(copied, x, y)]


def locality_of(learner: Learner, x: Float[Tensor, "B ..."], y: Shaped[Tensor, "B *K"]) -> Locality:
    """Measure how far the gradients of a learner's objectives reach, by training a copy on one batch.

    Objectives that share a span, as in deep supervision, are measured separately.
    """
    copied = _Copy(learner)
    layers = [layer_weights(block.body) for block in copied.learner.blocks]
    every = {weight: layer for block in layers for weight, layer in block.items()}
    every |= {own: every[twin] for own, twin in copied.twins.items() if twin in every}
    beside = [_beside(block) for block in copied.learner.blocks]
    farthest, auxiliary, own = (0, 0), False, [0] * len(layers)
    for arrived, losses, activities in _updates(copied, x, y):
        trained = {weight: layer for weight, layer in every.items() if copied.twins.get(weight, weight) in arrived}
        for k, loss in losses:
            leaves = {copied.twins.get(id(p), id(p)) for p in weights_below(loss)} & arrived
            within = sum(bool(leaves & block.keys()) for block in layers)
            farthest = max(farthest, (max(layers_in_series(loss, trained), within), within))
            goodness, extra = (of & leaves for of in beside[k])
            auxiliary |= bool(extra) or len(goodness) > 1
        for k, activity in activities:
            own[k] = max(own[k], layers_in_series(activity, {w: trained[w] for w in layers[k].keys() & trained.keys()}))
    return Locality(*farthest, network=sum(own), auxiliary=auxiliary)


class _Copy:
    """A copy of a learner, and the learner itself, which a part of the copy may still refer to.

    A closure is not copied: what it holds belongs to the learner itself.
    """

    def __init__(self, learner: Learner):
        self.learner, self.given = copy.deepcopy(learner), list(learner.parameters())
        self.twins = {id(own): id(twin) for own, twin in zip(self.given, self.learner.parameters(), strict=True)}
        """Parameters of the copy by those of the learner, both by identity."""

    @contextmanager
    def watched(self, arrived: set[int]) -> Iterator[None]:
        """Collect the parameters that a gradient arrives at; those of the learner itself keep the gradient they had."""
        before = [p.grad for p in self.given]
        hooks = [
            p.register_post_accumulate_grad_hook(lambda p: arrived.add(self.twins.get(id(p), id(p))))
            for p in (*self.given, *self.learner.parameters())
            if p.requires_grad
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for parameter, gradient in zip(self.given, before, strict=True):
                parameter.grad = gradient


class _Update(NamedTuple):
    """The update of one span: parameters with a gradient, by id, and the graphs of losses and activities."""

    arrived: set[int]
    losses: list[tuple[int, Any]]
    activities: list[tuple[int, Any]]


def _updates(copied: _Copy, x: Tensor, y: Tensor) -> Iterator[_Update]:
    """Train each span of a copy on a batch and return its update."""
    learner = copied.learner
    trainer = LocalTrainer(learner, TrainerSettings(channels_last=False))
    arrived: set[int] = set()
    losses: list[tuple[int, Any]] = []
    activities: list[tuple[int, Any]] = []
    for k, block in enumerate(learner.blocks):
        block.__dict__["loss"] = _kept(block.loss, lambda loss, k=k: losses.append((k, loss.grad_fn)))
        block.body.register_forward_pre_hook(lambda _, inputs: tuple(map(_in_graph, inputs)))
        block.body.register_forward_hook(partial(_keep_graph, activities, k))
    stream, target = trainer.enter(x, y, step=0)
    with copied.watched(arrived):
        for span in learner.spans:
            for kept in (arrived, losses, activities):
                kept.clear()
            trainer.update(stream, target, [Span(span.first, span.last, span.deep)], step=0)
            yield _Update(arrived, losses, activities)


def _in_graph(value: Any) -> Any:
    """Return data with a gradient, by which they are told from weights."""
    if not isinstance(value, Tensor) or value.requires_grad or not value.is_floating_point():
        return value
    return value.detach().requires_grad_().clone()  # a layer may change it in place


def _keep_graph(activities: list[tuple[int, Any]], block: int, _module: Any, _inputs: Any, activity: Tensor) -> None:
    activities.append((block, activity.grad_fn))


def _kept(function: Callable[..., Tensor], keep: Callable[[Tensor], None]) -> Callable[..., Tensor]:
    def keeping(*arguments: Any) -> Tensor:
        result = function(*arguments)
        keep(result)
        return result

    return keeping


def _beside(block: LocalBlock) -> tuple[set[int], set[int]]:
    """Return the weights of two or more dimensions in the goodness and in the auxiliary of a block, by id."""
    slots = (block.goodness, block.auxiliary)
    goodness, extra = ({id(p) for p in slot.parameters() if p.ndim > 1} if slot else set() for slot in slots)
    return goodness, extra
