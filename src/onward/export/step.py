"""The training step as a pure function, traced from the trainer: from old weights and state and a batch to new ones."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from onward.core import Count, Learner, LocalTrainer, NonNegative, ShareBelowOne, TrainerSettings, check_fields
from onward.export.decompositions import decompositions
from onward.export.draws import WITHOUT_STEP, Draw, take_draws, with_torch_dropout, without_dropout
from onward.export.program import Model, quiet


@dataclass(frozen=True)
class Learning:
    """Settings of the training step of an exported model.

    Raises ValueError for a value out of its range, and for a momentum of adamw.
    Weight decay is that of torch: decoupled for adamw, part of the gradient for sgd.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """adamw stores two numbers per weight, sgd with momentum one, sgd without momentum none."""
    momentum: ShareBelowOne | None = None
    """Momentum of sgd; None: 0.9."""
    weight_decay: NonNegative = 0.0
    """Weight decay of every trained weight."""
    batch_size: Count = 1
    """Images of a step."""
    without_dropout: bool = False
    """Learn without the dropout that a network was trained with."""

    def __post_init__(self):
        check_fields(self)
        if self.optimizer != "sgd" and self.momentum is not None:
            raise ValueError(f"momentum {self.momentum:g} is a setting of sgd, not of {self.optimizer}: leave it out")

    @property
    def momentum_or_default(self) -> float:
        """The momentum: the share of a step that goes into the next one."""
        return 0.9 if self.momentum is None else self.momentum

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the optimizer's state of a weight."""
        if self.optimizer == "adamw":
            return ("first_moment", "second_moment")
        return ("momentum",) if self.momentum_or_default else ()

    def settings(self) -> TrainerSettings:
        return TrainerSettings(
            optimizer=self.optimizer,
            momentum=self.momentum_or_default,
            weight_decay=self.weight_decay,
            channels_last=False,
            schedule="constant",
        )


@dataclass(frozen=True)
class Step:
    """A traced step, as a graph of pure functions.

    Its inputs are the state, then images, labels, step (from 1) and learning rate, then the units that each dropout
    keeps; its results are the new state, then the loss of every span. `state` has the initial values: weights and
    statistics by their name in the model, the optimizer's by `first_moment.NAME` and so on.
    """

    graph: GraphModule
    state: dict[str, Tensor]
    example: tuple[Tensor, ...]
    spans: int
    learning: Learning
    draws: tuple[Draw, ...] = ()


def trace_step(model: Model, learning: Learning) -> Step:
    """Trace one training step of all spans. Raises ValueError naming a method that no single step can represent."""
    check_learnable(model)
    learner, size = (
        (without_dropout if learning.without_dropout else with_torch_dropout)(model.learner),
        learning.batch_size,
    )
    weights = {name: p.detach().clone() for name, p in learner.named_parameters() if name.startswith("blocks.")}
    moments = {f"{kept}.{name}": torch.zeros_like(w) for kept in learning.kept for name, w in weights.items()}
    buffers = {name: b.detach().clone() for name, b in learner.named_buffers() if name.startswith("blocks.")}
    state = {**weights, **moments, **buffers}
    images = torch.rand(size, *model.spec.shape, generator=torch.Generator().manual_seed(0))
    example = (images, torch.arange(size) % len(model.spec.class_names), torch.tensor(1.0), torch.tensor(1e-3))
    pure = _PureStep(learner.train(), learning, list(weights), list(buffers))
    # One mode describes all values; without it torch makes a new one for each, with a listing of the whole call stack.
    with quiet(), tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        graph, draws = _traced(pure, state, example, type(model.spec.algorithm).__name__)
    example = (*example, *(torch.ones(draw.shape) for draw in draws))
    return Step(graph, state, example, len(learner.turns[0]), learning, draws)


def _traced(
    pure: "_PureStep", state: dict[str, Tensor], example: tuple[Tensor, ...], method: str
) -> tuple[GraphModule, tuple[Draw, ...]]:
    """Return the step without a backward pass, without writes and with its draws as inputs."""
    inputs = (*(value.clone() for value in state.values()), *example)
    try:
        graph = make_fx(pure)(*inputs)
    except RuntimeError as error:  # a number of a tensor is asked for, a shape depends on values
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{method} cannot learn outside of onward: its step is not the same operations for every batch "
            f"({reason}): {WITHOUT_STEP}"
        ) from error
    draws = take_draws(graph, method)
    inputs = (*inputs, *(torch.ones(draw.shape) for draw in draws))
    graph = make_fx(functionalize(graph, remove="mutations"), decomposition_table=decompositions())(*inputs)
    if any(node.op == "call_function" and _writes(node) for node in graph.graph.nodes):  # as batch norm's decomposition
        graph = make_fx(functionalize(graph, remove="mutations"))(*inputs)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph, draws


def _writes(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def check_learnable(model: Model) -> None:
    """Raise ValueError naming a method whose step draws views, or differs from step to step."""
    method, learner = type(model.spec.algorithm).__name__, model.learner
    if model.task != "classes":
        raise ValueError(
            f"a step that learns {model.task} is not exported, only one that learns classes: {WITHOUT_STEP}"
        )
    if learner.supervision.signed:
        raise ValueError(
            f"{method} cannot learn outside of onward: {type(learner.supervision).__name__} draws new views in every "
            f"step: {WITHOUT_STEP}, or train a method whose label enters the loss alone, such as MonoForward"
        )
    if any(getattr(module, "momentum", 0) is None for module in learner.modules()):
        raise ValueError(
            f"{method} cannot learn outside of onward: its batch norm averages over all steps so far (momentum=None): "
            f"{WITHOUT_STEP}"
        )
    if len(learner.turns) > 1:
        raise ValueError(
            f"{method} trains other spans in every other step, and only one step can be exported: {WITHOUT_STEP}"
        )


class _PureStep:
    """Calls the trainer with weights and buffers from outside, and returns their new values."""

    def __init__(self, learner: Learner, learning: Learning, weights: list[str], buffers: list[str]):
        self.learner, self.learning = learner, learning
        self.weights, self.buffers = weights, buffers
        self.trained = {name for name in weights if learner.get_parameter(name).requires_grad}
        self.trainer = LocalTrainer(learner, learning.settings())

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        values = iter(inputs)
        weights = {name: next(values).detach().requires_grad_(name in self.trained) for name in self.weights}
        moments = [{name: next(values) for name in self.weights} for _ in self.learning.kept]
        buffers = {name: next(values).clone() for name in self.buffers}
        images, labels, step, rate = values
        with _Held(self.learner, weights, buffers) as held:
            updates = []
            for k, block in enumerate(self.learner.blocks):
                names = [name for name in self.weights if name.startswith(f"blocks.{k}.")]
                often = sum(span.first <= k <= span.last for span in self.learner.turns[0])
                share = block.rate_share
                own = rate if share == 1 else rate * share
                updates.append(_Update(held, names, moments, self.learning, (step - 1) * often, own))
            self.trainer.optimizers = updates
            losses = self.trainer.step(images, labels, step=0)
            state = [*(held.weight(name) for name in self.weights)]
            state += [kind[name] for kind in moments for name in self.weights]
            state += [held.buffer(name) for name in self.buffers]
        return tuple(value.detach() for value in (*state, *losses.unbind()))


class _Held:
    """Replaces weights and buffers of a learner inside a `with`; a weight with several names stays one weight."""

    def __init__(self, learner: Learner, weights: dict[str, Tensor], buffers: dict[str, Tensor]):
        self.learner, self.weights, self.buffers = learner, weights, buffers
        self.own: list[tuple[dict, str, Tensor]] = []
        self.holders: dict[str, list[tuple[dict, str]]] = {}

    def __enter__(self) -> "_Held":
        names = {id(self.learner.get_parameter(name)): name for name in self.weights}
        for path, module in self.learner.named_modules():
            for key, value in list(module._parameters.items()):
                if value is not None and id(value) in names:
                    self.holders.setdefault(names[id(value)], []).append((module._parameters, key))
            for key in module._buffers:
                if f"{path}.{key}" in self.buffers:
                    self.holders[f"{path}.{key}"] = [(module._buffers, key)]
        self.own = [(content, key, content[key]) for spots in self.holders.values() for content, key in spots]
        for name, value in (*self.weights.items(), *self.buffers.items()):
            self.put(name, value)
        return self

    def __exit__(self, *_) -> None:
        for content, key, value in self.own:
            content[key] = value

    def put(self, name: str, value: Tensor) -> None:
        for content, key in self.holders[name]:
            content[key] = value

    def weight(self, name: str) -> Tensor:
        content, key = self.holders[name][0]
        return content[key]

    buffer = weight


class _Update:
    """Replaces a block's optimizer: it puts new weights into place, without writing to the old ones."""

    def __init__(
        self,
        held: _Held,
        names: list[str],
        moments: list[dict[str, Tensor]],
        learning: Learning,
        before: Tensor,
        rate: Tensor,
    ):
        self.held, self.names, self.moments, self.learning = held, names, moments, learning
        self.count, self.rate = before, rate

    @torch.no_grad()
    def step(self) -> None:
        self.count = self.count + 1
        for name in self.names:
            weight = self.held.weight(name)
            if weight.grad is None:
                continue
            move = self._adamw if self.learning.optimizer == "adamw" else self._sgd
            new = move(name, weight.detach(), weight.grad)
            self.held.put(name, new.detach().requires_grad_())

    def _adamw(self, name: str, weight: Tensor, gradient: Tensor) -> Tensor:
        first, second = self.moments
        first[name] = 0.9 * first[name] + 0.1 * gradient
        second[name] = 0.999 * second[name] + 0.001 * gradient * gradient
        unbias = [-torch.expm1(self.count * math.log(beta)) for beta in (0.9, 0.999)]
        scale = (second[name] / unbias[1]).sqrt() + 1e-8
        if self.learning.weight_decay:
            weight = weight * (1 - self.rate * self.learning.weight_decay)
        return weight - self.rate / unbias[0] * first[name] / scale

    def _sgd(self, name: str, weight: Tensor, gradient: Tensor) -> Tensor:
        if self.learning.weight_decay:
            gradient = gradient + self.learning.weight_decay * weight
        if self.moments:
            gradient = self.moments[0][name] = self.learning.momentum_or_default * self.moments[0][name] + gradient
        return weight - self.rate * gradient
