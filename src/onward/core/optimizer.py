"""One optimizer per block: what a block's owner saves, moves and steps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from onward.core.block import LocalBlock
from onward.core.settings import TrainerSettings


class BlockOptimizer:
    """Clips, steps, drops the gradients and averages the weights of one block."""

    def __init__(self, block: LocalBlock, settings: TrainerSettings):
        self.block = block
        self.clip_norm = settings.clip_norm
        self.parameters = [p for p in block.parameters() if p.requires_grad]
        self.optimizer = _make_optimizer(self.parameters, settings) if self.parameters else None
        adam = {"step", "exp_avg", "exp_avg_sq"}
        self.state_names = adam if settings.optimizer != "sgd" else {"momentum_buffer"} if settings.momentum else set()
        self.average = None
        if settings.averaging is not None:
            self.average = AveragedModel(block, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))

    def set_learning_rate(self, value: float) -> None:
        if self.optimizer is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = value

    def step(self) -> None:
        """Apply the gradients and drop them at once, so that only one span's gradients are ever alive."""
        if self.optimizer is not None:
            if self.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
            if "momentum_buffer" in self.state_names:
                self._begin_momentum()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.block)

    def _begin_momentum(self) -> None:
        """Start from zero where a gradient comes for the first time: fused sgd wants all momenta, or none.

        Where spans alternate, goodness has a gradient in other steps than the body.
        """
        assert self.optimizer is not None
        for parameter in self.parameters:
            if parameter.grad is not None and not self.optimizer.state[parameter]:
                wide = torch.promote_types(parameter.dtype, torch.float32)
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, dtype=wide)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the block its averaged weights inside the `with`; its own are back afterwards, bit for bit."""
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
        tensors: dict[str, Tensor] = {}
        if self.optimizer is not None:
            for index, entries in self.optimizer.state_dict()["state"].items():
                kept = {name: value for name, value in entries.items() if value is not None}
                tensors |= {f"{name}.{index}": torch.as_tensor(value) for name, value in kept.items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.module.state_dict().items()}
            tensors["averaged_steps"] = self.average.n_averaged
        return tensors

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
        if self.optimizer is not None:
            entries = {index: self._laid_out(index, kept) for index, kept in entries.items()}
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        if self.average is not None:
            self.average.module.load_state_dict(average)
            self.average.n_averaged.copy_(tensors["averaged_steps"])

    def _laid_out(self, index: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give a parameter's state the parameter's memory format: fused optimizers pair elements by position."""
        known = index < len(self.parameters) and set(tensors) == self.state_names
        if not known or any(t.ndim and t.shape != self.parameters[index].shape for t in tensors.values()):
            raise ValueError(f"optimizer state {index} does not fit this block; were network or optimizer changed?")
        parameter = self.parameters[index].detach()
        return {name: torch.empty_like(parameter).copy_(t) if t.ndim else t for name, t in tensors.items()}


def _make_optimizer(parameters: list[torch.nn.Parameter], settings: TrainerSettings) -> torch.optim.Optimizer:
    lr, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=settings.momentum, fused=True)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=lr, weight_decay=decay, fused=True)


@torch.no_grad()
def _copy_into(block: LocalBlock, values: list[Tensor]) -> None:
    for parameter, value in zip(block.parameters(), values, strict=True):
        parameter.copy_(value)
