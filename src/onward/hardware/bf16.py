"""Weights kept in bf16: half the memory, and updates that are too small for bf16 are not lost."""
# V the shape of a weight tensor

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import BFloat16, Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from onward.core import Learner, derive_seed
from onward.hardware.hooks import Weight, slots


@contextmanager
def bf16_weights(learner: Learner, *, rounding: str = "stochastic", seed: int = 0) -> Iterator[None]:
    """Keep the bodies' weights of two or more dimensions in bf16 inside the `with`, for any trainer.

    A block's weights and gradients become fp32 while its optimizer steps, and only then; optimizer state is fp32.
    `stochastic` rounds up with the probability that makes the mean right, drawn from (seed, weight, write). `kahan`
    keeps the rounding error of the last write, in bf16, and adds it to the next one (2 more bytes per weight; not part
    of a checkpoint). Plain rounding loses every change below 1/256 of a weight. Goodness
    is read in fp32, with fp32 weights. Bodies must compute in bf16: set `TrainerSettings(precision="bf16")`, and
    evaluate in the same arithmetic. Load a checkpoint's optimizer state before entering: PyTorch would narrow it. On
    leaving, the learned weights get their dtype back.

    Raises ValueError for another rounding, for nothing to keep, and for weights that are not fp32.
    """
    if rounding not in ("stochastic", "kahan"):
        raise ValueError(f"rounding must be stochastic or kahan, got {rounding!r}")
    weights = {id(weight.parameter): weight for slot in slots(learner) if slot.is_body for weight in slot.weights}
    if not weights:
        raise ValueError("no body of this learner has a weight of two or more dimensions to keep in bf16")
    for weight in weights.values():
        if weight.parameter.dtype != torch.float32:
            raise ValueError(f"{weight.name} is {weight.parameter.dtype}; bf16_weights starts from fp32")
    keeper = _Keeper(weights, rounding, seed)
    with ExitStack() as stack:
        stack.callback(keeper.give_back)
        keeper.convert()
        stack.callback(register_optimizer_step_pre_hook(keeper.widen).remove)
        stack.callback(register_optimizer_step_post_hook(keeper.narrow).remove)
        yield


class _Keeper:
    def __init__(self, weights: dict[int, Weight], rounding: str, seed: int):
        self.weights = weights
        self.rounding = rounding
        self.seed = seed
        self.writes = dict.fromkeys(weights, 0)
        self.lost: dict[int, Tensor] = {}

    def convert(self) -> None:
        for weight in self.weights.values():
            weight.parameter.data = weight.parameter.data.bfloat16()

    def give_back(self) -> None:
        for weight in self.weights.values():
            _set(weight.parameter, weight.parameter.data.float())

    def widen(self, optimizer: Optimizer, *_: Any) -> None:
        for parameter in self._of(optimizer):
            wide = parameter.data.float()
            if id(parameter) in self.lost:
                wide += self.lost[id(parameter)]
            _set(parameter, wide)

    def narrow(self, optimizer: Optimizer, *_: Any) -> None:
        for parameter in self._of(optimizer):
            key, wide = id(parameter), parameter.data
            if self.rounding == "kahan":
                narrow = wide.bfloat16()
                self.lost[key] = (wide - narrow.float()).bfloat16()
            else:
                seed = derive_seed(self.seed, self.weights[key].name, self.writes[key])
                narrow = round_to_bf16(wide, torch.Generator(wide.device).manual_seed(seed))
            self.writes[key] += 1
            _set(parameter, narrow)

    def _of(self, optimizer: Optimizer) -> list[nn.Parameter]:
        owned = [p for group in optimizer.param_groups for p in group["params"]]
        return [p for p in owned if id(p) in self.weights and p.grad is not None]


def round_to_bf16(x: Float[Tensor, "*V"], generator: torch.Generator) -> BFloat16[Tensor, "*V"]:
    """Round fp32 to one of its two neighbors in bf16, up with the probability that keeps the mean.

    A bf16 number is the upper half of an fp32 number: adding 16 random bits carries into it with that probability.
    """
    bits = x.view(torch.int32)
    dither = torch.randint(0, 1 << 16, x.shape, generator=generator, dtype=torch.int32, device=x.device)
    rounded = ((bits + dither) & -65536).view(torch.float32)
    return torch.where(x.isfinite(), rounded, x).to(torch.bfloat16)


def _set(parameter: nn.Parameter, value: Tensor) -> None:
    """Replace a parameter's values and dtype, and its gradient's dtype."""
    gradient = parameter.grad
    parameter.grad = None
    parameter.data = value
    if gradient is not None:
        parameter.grad = gradient.to(value.dtype)
