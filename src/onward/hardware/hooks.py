"""Hooks: noise of a chip between the parts of a learner, without changing the parts."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from onward.core import Learner
from onward.hardware.chip import Chip, Clock, Labeled, Moment


class Weight(NamedTuple):
    """A parameter that a device stores: its name, and the module that reads it."""

    name: str
    parameter: nn.Parameter
    owner: nn.Module
    key: str


class Slot(NamedTuple):
    """A module of a block that computes with weights: a body, a goodness or an auxiliary."""

    name: str
    block: int
    module: nn.Module
    weights: tuple[Weight, ...]

    @property
    def is_body(self) -> bool:
        return self.name.endswith(".body")


def slots(learner: Learner) -> list[Slot]:
    """Return the computing modules of a learner, with their weights of two or more dimensions."""
    names = {id(parameter): name for name, parameter in learner.named_parameters()}
    all_slots = []
    for index, block in enumerate(learner.blocks):
        for kind in ("body", "goodness", "auxiliary"):
            module = getattr(block, kind)
            if module is None:
                continue
            weights = tuple(
                Weight(names[id(parameter)], parameter, owner, key)
                for owner in module.modules()
                for key, parameter in owner._parameters.items()
                if parameter is not None and parameter.ndim >= 2
            )
            all_slots.append(Slot(f"blocks.{index}.{kind}", index, module, weights))
    return all_slots


class NoisySlot:
    """Makes a module read its weights through the chip, and disturbs the input and output of a body.

    While the module computes, effective weights replace its parameters; the parameters themselves, and the state of an
    optimizer, are never changed.
    """

    def __init__(self, slot: Slot, chip: Chip, clock: Clock, acting: dict[str, list[Labeled]]):
        self.slot = slot
        self.chip = chip
        self.clock = clock
        self.weights = slot.weights if acting["weights"] else ()
        self.on_weights = acting["weights"]
        self.on_inputs = acting["inputs"] if slot.is_body else []
        self.on_activities = acting["activities"] if slot.is_body else []
        self.moment = Moment(None)

    def install(self, stack: ExitStack) -> None:
        """Hook into the module until the stack closes."""
        stack.callback(self.restore)
        module = self.slot.module
        stack.callback(module.register_forward_pre_hook(self.before).remove)
        stack.callback(module.register_forward_hook(self.after, always_call=True).remove)

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self.moment = self.clock.now(training=module.training)
        for weight in self.weights:
            weight.owner._parameters[weight.key] = self._seen(self.on_weights, weight.parameter, weight.name)  # pyright: ignore
        whole = not args[0].is_floating_point() or getattr(module, "looks_up", False)
        if not self.on_inputs or whole:  # words are looked up, and no converter reads them
            return None
        return (self._seen(self.on_inputs, args[0], self.slot.name), *args[1:])

    def after(self, module: nn.Module, args: tuple[Any, ...], out: Tensor | None) -> Tensor | None:
        """Put the parameters back, also when the module failed; then there is no output."""
        self.restore()
        if out is None or not self.on_activities:
            return None
        return self._seen(self.on_activities, out, self.slot.name)

    def restore(self) -> None:
        for weight in self.weights:
            weight.owner._parameters[weight.key] = weight.parameter

    def _seen(self, noises: Sequence[Labeled], x: Tensor, name: str) -> Tensor:
        return _straight_through(x, lambda clean: self.chip.disturb(noises, clean, name, self.moment))


class NoisyPixels:
    """Disturbs images in [0, 1] before they are prepared; uint8 is brought there first."""

    def __init__(self, chip: Chip, noises: Sequence[Labeled]):
        self.chip = chip
        self.noises = noises
        self.clock = Clock()
        self.checked = False

    def install(self, prepare: nn.Module, stack: ExitStack) -> None:
        """Hook into the preparation until the stack closes."""
        stack.callback(prepare.register_forward_pre_hook(self.before).remove)

    def before(self, prepare: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        images = args[0]
        if images.dtype == torch.uint8:
            images = images.to(torch.get_default_dtype()) / 255
        elif not images.is_floating_point():
            return None  # the preparation raises the error
        elif not self.checked:
            self._check(images)
        self.checked = True
        moment = self.clock.now(training=prepare.training)
        return (self.chip.disturb(self.noises, images, "prepare", moment), *args[1:])

    def _check(self, images: Tensor) -> None:
        """Check the first batch only: a check waits for the device."""
        low, high = float(images.min()), float(images.max())
        if low < 0 or high > 1:
            raise ValueError(
                f"noise on pixels needs images in [0, 1], got values from {low:.3g} to {high:.3g}; give raw images and "
                "let the learner standardize them (Learner(prepare=...))"
            )


class NoisyWrites:
    """Disturbs the change of weights by any optimizer, and the stored weights afterwards."""

    def __init__(
        self, weights: dict[int, str], steps: Callable[[str], int | None], chip: Chip, acting: dict[str, list[Labeled]]
    ):
        self.weights = weights
        self.steps = steps
        self.chip = chip
        self.on_updates, self.on_memory = acting["updates"], acting["memory"]
        self.before: list[tuple[nn.Parameter, Tensor]] = []
        self.moments: dict[str, Moment] = {}

    def install(self, stack: ExitStack) -> None:
        """Hook into every optimizer, also those created later, until the stack closes."""
        stack.callback(register_optimizer_step_pre_hook(self.remember).remove)
        stack.callback(register_optimizer_step_post_hook(self.rewrite).remove)

    def remember(self, optimizer: Optimizer, *_: Any) -> None:
        moved = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.before = [(p, p.detach().clone()) for p in moved if id(p) in self.weights]

    @torch.no_grad()
    def rewrite(self, optimizer: Optimizer, *_: Any) -> None:
        for parameter, old in self.before:
            name = self.weights[id(parameter)]
            moment = self._moment(name)
            new = parameter
            if self.on_updates:
                new = old + self.chip.disturb(self.on_updates, parameter - old, name, moment)
            if self.on_memory:
                new = self.chip.disturb(self.on_memory, new, name, moment)
            parameter.copy_(new)
        self.before = []

    def _moment(self, name: str) -> Moment:
        """Return the training step, and which write to this weight in that step it is."""
        step, last = self.steps(name), self.moments.get(name)
        count = last.count + 1 if last is not None and last.step == step else 0
        self.moments[name] = Moment(step, count, writing=True)
        return self.moments[name]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clean: Tensor, disturb: Callable[[Tensor], Tensor]) -> Tensor:
        return disturb(clean)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


def _straight_through(x: Tensor, disturb: Callable[[Tensor], Tensor]) -> Tensor:
    """Return disturbed values whose gradient is that of the clean ones."""
    if torch.is_grad_enabled() and x.requires_grad:
        seen = _StraightThrough.apply(x, disturb)
        assert isinstance(seen, Tensor)
        return seen
    return disturb(x.detach())
