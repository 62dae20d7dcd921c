"""Compiled bodies: torch.compile for what a block computes, where it pays; nothing is compiled unless asked for."""

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
    """Have bodies compiled when they are first used: one program for all bodies of equal layers and shapes.

    Results agree up to rounding. Goodness, objective and handoff stay as they are: their own gradients and their
    arithmetic without a graph are what makes a step lean. So do bodies with dropout, whose draws cannot be compiled.
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
    """Compute a body from a function of ours: torch compiles no frame of its own, such as that of Sequential."""
    return type(body).forward(body, x)


def _copied(function: FunctionType) -> FunctionType:
    """Return the same function with code of its own: torch gives up on code for good where one body is beyond it."""
    return FunctionType(function.__code__.replace(), function.__globals__, closure=function.__closure__)
