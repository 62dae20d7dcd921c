"""Compiled bodies: torch.compile for what a block computes, where it pays; nothing is compiled unless asked for."""

import os
import shutil

import torch

from onward.core import Learner

_COMPILERS = ("g++", "clang++", "c++")


def compile_bodies(learner: Learner) -> None:
    """Have every body compiled when it is first used: one program for bodies of equal layers and shapes.

    Results agree up to rounding. Goodness, objective and handoff stay as they are: their own gradients and their
    arithmetic without a graph are what makes a step lean. Raises ValueError on a CPU without a C++ compiler.
    """
    if learner.device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", ""), *_COMPILERS))):
        raise ValueError(f"--compile needs a C++ compiler, and none of {', '.join(_COMPILERS)} is here; install one")
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, 4 * len(learner.blocks))  # by default 8 kinds of bodies
    for block in learner.blocks:
        block.body.compile(dynamic=False)
