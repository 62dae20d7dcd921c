"""One optimizer per block, with gradient clipping and weight averaging."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from onward.core.block import LocalBlock
from onward.core.gradients import gradients_on
from onward.core.muon import Muon
from onward.core.settings import TrainerSettings

Shapes = dict[str, tuple[int, ...]]
"""Shapes of an optimizer's state for a parameter, by name; () is a number."""

_HALVES = (torch.bfloat16, torch.float16)  # torch's fused sgd leaves them as they are on a CPU
_FOREIGN = "optimizer state %d does not fit this block; were network or optimizer changed?"


class BlockOptimizer:
    """Clips, steps, drops the gradients and averages the weights of one block."""

    def __init__(self, block: LocalBlock, settings: TrainerSettings):
        self.block = block
        self.clip_norm = settings.clip_norm
        self.parts = _parts(block, settings)
        self.parameters = [parameter for part in self.parts for parameter in part.parameters]
        self.gradient_bytes = sum(p.numel() * p.element_size() for p in self.parameters)
        self.average, self.average_later = None, False
        if settings.ema_decay is not None:
            self.average = AveragedModel(block, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay))

    def set_learning_rate(self, value: float) -> None:
        """Set the learning rate. Raises ValueError for a rate that is negative or not finite."""
        if not 0 <= value < math.inf:
            raise ValueError(f"the learning rate is {value!r}: give a number of 0 or more")
        for part in self.parts:
            rate = value * part.share
            for group in part.optimizer.param_groups:
                group["lr"] = rate if part.rate is None else part.rate.filled(rate)

    def make_capturable(self, rates: "dict[float, Rate]") -> None:
        """Keep learning rates on the device, where a graph of a step reads them; blocks of equal share share one.

        They are rounded to fp32. Gradients, state and weights keep their addresses from step to step.
        """
        for part in self.parts:
            device = part.parameters[0].device
            part.rate = rates.setdefault(part.share, Rate(device))
            for group in part.optimizer.param_groups:
                group["lr"] = part.rate.filled(float(group["lr"]))
                if "capturable" in group and device.type == "cuda":  # refused elsewhere, but by fused ones
                    group["capturable"] = True

    def step(self) -> None:
        """Apply the gradients and drop them at once, so that only one span's gradients are ever alive."""
        self.clip()
        for part in self.parts:
            part.step()
        if not self.average_later:
            self.follow_average()

    def clip(self) -> None:
        """Clip the block's gradient to `clip_norm`, if set."""
        if self.clip_norm is not None and self.parameters:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)

    def drop_gradients(self) -> None:
        """Drop gradients without applying them."""
        for part in self.parts:
            part.optimizer.zero_grad(set_to_none=True)

    def follow_average(self) -> None:
        """Move the averaged weights, if any, towards the current ones; the number of steps is counted on the host."""
        if self.average is not None:
            self.average.update_parameters(self.block)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the block its averaged weights inside the `with`; the others are restored afterwards, bit for bit."""
        if self.average is None:
            yield
            return
        own = [p.detach().clone() for p in self.block.parameters()]
        try:
            _copy_into(self.block, list(self.average.module.parameters()))
            yield
        finally:
            _copy_into(self.block, own)

    def state(self) -> dict[str, Tensor]:
        """Return all state as flat tensors, keyed `name.parameter_index`, `average.name` or `averaged_steps`."""
        tensors, first = {}, 0
        for part in self.parts:
            for index, entries in part.optimizer.state_dict()["state"].items():
                kept = {name: value for name, value in entries.items() if value is not None}
                tensors |= {f"{name}.{first + index}": torch.as_tensor(value) for name, value in kept.items()}
            first += len(part.parameters)
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.module.state_dict().items()}
            tensors["averaged_steps"] = self.average.n_averaged
        return tensors

    @gradients_on()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned. Raises ValueError if it belongs to another block or optimizer."""
        entries: dict[int, dict[str, Tensor]] = {}
        average: dict[str, Tensor] = {}
        for key, value in tensors.items():
            name, _, rest = key.partition(".")
            if name == "average":
                average[rest] = value
            elif key != "averaged_steps":
                entries.setdefault(int(rest), {})[name] = value
        if entries and max(entries) >= len(self.parameters):
            raise ValueError(_FOREIGN % max(entries))
        first = 0
        for part in self.parts:
            own = range(first, first := first + len(part.parameters))
            part.load({index - own.start: entries[index] for index in own if index in entries}, own.start)
        if self.average is not None:
            self.average.module.load_state_dict(average)
            self.average.n_averaged.copy_(tensors["averaged_steps"])


class Rate:
    """A learning rate on the device, where a graph of a step reads it."""

    def __init__(self, device: torch.device):
        self.tensor = torch.zeros((), device=device)
        self.value = 0.0

    def filled(self, value: float) -> Tensor:
        """Return the tensor with this value in it."""
        if value != self.value:
            self.tensor.fill_(value)
            self.value = value
        return self.tensor


class OptimizerPart:
    """The parameters of a block that one torch optimizer updates."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        keeps: Callable[[nn.Parameter], Shapes],
        share: float,
    ):
        self.optimizer = optimizer
        self.parameters = parameters
        self.keeps = keeps
        self.share = share
        self.rate: Rate | None = None

    def step(self) -> None:
        self.begin()
        self.optimizer.step()
        for parameter in self.parameters:  # in place of `zero_grad`, which takes longer than a small network's step
            parameter.grad = None

    def load(self, entries: dict[int, dict[str, Tensor]], first: int) -> None:
        """Restore state by the parameters' positions in this part, whose first is the block's `first`."""
        known = {index: self._laid_out(index, kept, first) for index, kept in entries.items()}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": known})
        for index, kept in known.items():  # torch has rounded what is wider than the parameter: bf16 weights' momentum
            own = self.optimizer.state[self.parameters[index]]
            own |= {name: value for name, value in kept.items() if own[name].dtype != value.dtype}

    def begin(self) -> None:
        """Set the momentum of a parameter to zero before its first gradient: fused sgd needs all momenta, or none.

        With alternating spans, goodness has its gradients in other steps than the body.
        """
        if self.keeps is not _momentum:
            return
        for parameter in self.parameters:
            if parameter.grad is not None and not self.optimizer.state[parameter]:
                wide = torch.promote_types(parameter.dtype, torch.float32)
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, dtype=wide)

    def _laid_out(self, index: int, tensors: dict[str, Tensor], first: int) -> dict[str, Tensor]:
        """Copy a parameter's state into the parameter's memory format: fused optimizers pair elements by position."""
        parameter = self.parameters[index]
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != self.keeps(parameter):
            raise ValueError(_FOREIGN % (first + index))

        def alike(tensor: Tensor) -> Tensor:
            return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)

        return {name: alike(t) if t.shape == parameter.shape else t.clone() for name, t in tensors.items()}


def _adam(parameter: nn.Parameter) -> Shapes:
    return {"step": (), "exp_avg": tuple(parameter.shape), "exp_avg_sq": tuple(parameter.shape)}


def _adafactor(parameter: nn.Parameter) -> Shapes:
    shape = tuple(parameter.shape)
    if len(shape) < 2:
        return {"step": (), "variance": shape}
    return {"step": (), "row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}


def _momentum(parameter: nn.Parameter) -> Shapes:
    return {"momentum_buffer": tuple(parameter.shape)}


def _nothing(parameter: nn.Parameter) -> Shapes:
    return {}


def _parts(block: LocalBlock, settings: TrainerSettings) -> list[OptimizerPart]:
    """Return the optimizers of a block, each with its parameters; none for a block without trained parameters."""
    trained = [p for p in block.parameters() if p.requires_grad]
    rate = block.rate_share
    if settings.optimizer != "muon":
        return [_part(settings.optimizer, trained, settings, share=rate)] if trained else []
    before_read_out = block.goodness.hidden_layers() if block.goodness is not None else None
    layers = [block.body, *([before_read_out] if before_read_out is not None else [])]
    matrices = {id(p) for layer in layers for p in layer.parameters() if p.ndim > 1}
    hidden, others = ([p for p in trained if (id(p) in matrices) == wanted] for wanted in (True, False))
    return [
        *([_part("muon", hidden, settings, share=rate)] if hidden else []),
        *([_part("adamw", others, settings, share=rate * settings.adamw_lr_scale)] if others else []),
    ]


def _part(name: str, parameters: list[nn.Parameter], settings: TrainerSettings, *, share: float = 1.0) -> OptimizerPart:
    lr, decay, momentum = settings.learning_rate * share, settings.weight_decay, settings.momentum
    fused = not any(p.is_complex() for p in parameters)  # torch's fused ones take real numbers alone
    if name == "muon":
        return OptimizerPart(Muon(parameters, lr, momentum=momentum), parameters, _momentum, share)
    if name == "sgd":
        fused = fused and not any(p.dtype in _HALVES for p in parameters)
        sgd = torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=momentum, fused=fused)
        return OptimizerPart(sgd, parameters, _momentum if momentum else _nothing, share)
    if name == "adafactor":
        adafactor = torch.optim.Adafactor(parameters, lr=lr, weight_decay=decay)
        return OptimizerPart(adafactor, parameters, _adafactor, share)
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return OptimizerPart(kind(parameters, lr=lr, weight_decay=decay, fused=fused), parameters, _adam, share)


@torch.no_grad()
def _copy_into(block: LocalBlock, values: list[Tensor]) -> None:
    for parameter, value in zip(block.parameters(), values, strict=True):
        parameter.copy_(value)
