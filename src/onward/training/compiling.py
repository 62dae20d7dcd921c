"""Compiled bodies: torch.compile for the bodies of blocks, on request only."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from types import FunctionType

import torch
from torch import Tensor, nn

from onward.core import Learner
from onward.nets.dropout import Dropout
from onward.nets.relu_dropout import ReluDropout

_COMPILERS = ("g++", "clang++", "c++")


def compile_bodies(learner: Learner) -> None:
    """Compile bodies on their first use: one program for all bodies of equal layers and shapes.

    Results agree up to rounding. Goodness, objective and handoff are not compiled: their own gradients and their
    arithmetic without a graph keep a step small. Nor are bodies with dropout, whose draws cannot be compiled.
    Raises ValueError on a CPU without a C++ compiler.
    """
    check_compiler(learner.device)
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, 4 * len(learner.blocks))  # equal bodies may see other shapes
    programs: dict[str, Callable[..., Tensor]] = {}
    for block in learner.blocks:
        if any(isinstance(module, Dropout | ReluDropout) and module.p for module in block.body.modules()):
            continue
        alike = repr(block.body)
        programs.setdefault(alike, torch.compile(_copied(_computed), dynamic=False))
        block.body.forward = partial(programs[alike], block.body)


def check_compiler(device: torch.device) -> None:
    """Raise ValueError on a CPU without a C++ compiler."""
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", ""), *_COMPILERS))):
        raise ValueError(f"--compile needs a C++ compiler, and none of {', '.join(_COMPILERS)} is here; install one")


def _computed(body: nn.Module, x: Tensor) -> Tensor:
    """Call a body from a function of this package: torch does not compile its own frames, such as Sequential's."""
    return type(body).forward(body, x)


def _copied(function: FunctionType) -> FunctionType:
    """Return a copy of a function with a code object of its own: torch stops compiling a code object after a
    failure."""
    return FunctionType(function.__code__.replace(), function.__globals__, closure=function.__closure__)
