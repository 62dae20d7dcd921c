"""Locality: the blocks that an objective trains, and the number of layers that its gradient passes."""
# B batch, K numbers or labels of a target

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from onward.core import Label, Learner, LocalBlock, LocalTrainer, Span, TrainerSettings
from onward.core.graph import below

READ_OUTS, ONE, TWO, ALL = "read-outs alone", "one layer", "two layers", "all"
"""Texts for a gradient that reaches no layer, one, two, and every layer of the network."""


@dataclass(frozen=True)
class Locality:
    """How far the gradient of an objective reaches: that of the objective which reaches farthest.

    A layer is a module of a body with a trained `weight` of two or more dimensions. Layers in series are counted: two
    whose outputs are added are one layer. A linear read-out of scores (a classifier, a projection to the classes,
    prototypes, anchors) is no auxiliary network, though it is trained with its layer: a single matrix is between layer
    and loss. An auxiliary network is more: a trained weight in the auxiliary slot, whose outputs are no scores of
    classes (the projection of similarity matching or of a supervised contrastive loss), or two trained weights in a
    goodness. An error that is sent to a layer directly, as in direct feedback alignment, reaches that layer.
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
    copied = copy.deepcopy(learner)
    owner = {id(p): k for k, block in enumerate(copied.blocks) for p in block.parameters()}
    return [sorted({owner[parameter] for parameter in update.arrived}) for update in _updates(copied, x, y)]


def locality_of(learner: Learner, x: Float[Tensor, "B ..."], y: Shaped[Tensor, "B *K"]) -> Locality:
    """Measure how far the gradients of a learner's objectives reach, by training a copy on one batch.

    Objectives that share a span, as in deep supervision, are measured separately.
    """
    copied = copy.deepcopy(learner)
    layers = [{id(weight) for weight in _layer_weights(block.body)} for block in copied.blocks]
    every = set().union(*layers)
    beside = [_beside(block) for block in copied.blocks]
    farthest, auxiliary, own = (0, 0), False, [0] * len(layers)
    for arrived, losses, activities in _updates(copied, x, y):
        for k, loss in losses:
            leaves = _leaves(loss)
            within = sum(bool(leaves & arrived & block) for block in layers)
            farthest = max(farthest, (_in_series(loss, every & arrived), within))
            goodness, extra = (of & leaves & arrived for of in beside[k])
            auxiliary |= bool(extra) or len(goodness) > 1
        for k, activity in activities:
            own[k] = max(own[k], _in_series(activity, layers[k] & arrived))
    return Locality(*farthest, network=sum(own), auxiliary=auxiliary)


class _Update(NamedTuple):
    """The update of one span: parameters with a gradient, by id, and the graphs of losses and activities."""

    arrived: set[int]
    losses: list[tuple[int, Any]]
    activities: list[tuple[int, Any]]


def _updates(learner: Learner, x: Tensor, y: Tensor) -> Iterator[_Update]:
    """Train each span of a learner on a batch and return its update."""
    trainer = LocalTrainer(learner, TrainerSettings(channels_last=False))
    arrived: set[int] = set()
    losses: list[tuple[int, Any]] = []
    activities: list[tuple[int, Any]] = []
    for parameter in (p for block in learner.blocks for p in block.parameters() if p.requires_grad):
        parameter.register_post_accumulate_grad_hook(lambda parameter: arrived.add(id(parameter)))
    for k, block in enumerate(learner.blocks):
        block.__dict__["loss"] = _kept(block.loss, lambda loss, k=k: losses.append((k, loss.grad_fn)))
        block.body.register_forward_hook(partial(_keep_graph, activities, k))
    stream, target = trainer.enter(x, y, step=0)
    for span in learner.spans:
        for kept in (arrived, losses, activities):
            kept.clear()
        trainer.update(stream, target, [Span(span.first, span.last, span.deep)], step=0)
        yield _Update(arrived, losses, activities)


def _keep_graph(activities: list[tuple[int, Any]], block: int, _module: Any, _inputs: Any, activity: Tensor) -> None:
    activities.append((block, activity.grad_fn))


def _kept(function: Callable[..., Tensor], keep: Callable[[Tensor], None]) -> Callable[..., Tensor]:
    def keeping(*arguments: Any) -> Tensor:
        result = function(*arguments)
        keep(result)
        return result

    return keeping


def _layer_weights(body: nn.Module) -> Iterator[nn.Parameter]:
    for module in body.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "weight" and parameter.ndim > 1:
                yield parameter


def _beside(block: LocalBlock) -> tuple[set[int], set[int]]:
    """Return the weights of two or more dimensions in the goodness and in the auxiliary of a block, by id."""
    slots = (block.goodness, block.auxiliary)
    goodness, extra = ({id(p) for p in slot.parameters() if p.ndim > 1} if slot else set() for slot in slots)
    return goodness, extra


def _leaves(root: Any) -> set[int]:
    """Return the parameters in the graph behind a node, by id."""
    return {id(node.variable) for node in below(root) if hasattr(node, "variable")}


def _in_series(root: Any, weights: Collection[int]) -> int:
    """Return the largest number of these weights on one path through the graph.

    A weight may be transposed or cast before it is applied; such operations take a single tensor. Applied to an input,
    it comes after all weights on the paths of that input.
    """
    length: dict[Any, int] = {}
    alone: dict[Any, bool] = {}  # nodes that only pass on one of the weights
    for node in below(root):
        if hasattr(node, "variable"):
            length[node], alone[node] = 0, id(node.variable) in weights
            continue
        inputs = [before for before, _ in node.next_functions if before is not None]
        carries = [alone[before] for before in inputs]
        alone[node] = len(node.next_functions) == 1 and any(carries)
        length[node] = max((length[before] for before in inputs), default=0)
        length[node] += any(carries) and not alone[node]
    return length.get(root, 0)
