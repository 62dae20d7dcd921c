"""Runs: trained recipes, each in a folder with everything needed to verify, resume and use it."""

import warnings
from importlib import import_module
from typing import Any

from onward.runs.export import Export, Size, export_model
from onward.runs.fit import fit
from onward.runs.folder import RunFolder
from onward.runs.model import ModelSpec, load_model, save_model, spec_for, truncate
from onward.runs.result import RunResult
from onward.runs.train import Interrupted, RunOptions, resume, train

__all__ = [
    "Export",
    "Interrupted",
    "ModelSpec",
    "RunFolder",
    "RunOptions",
    "RunResult",
    "Size",
    "export_model",
    "fit",
    "load_model",
    "resume",
    "save_model",
    "spec_for",
    "train",
    "truncate",
]

_MOVED = {
    **dict.fromkeys(("Accuracy", "EpochDone", "Evaluator", "OnlineLearning", "StepDone", "Training"), "training"),
    **dict.fromkeys(("Recovery", "ChipTraining", "recover"), "compare"),
}


def __getattr__(name: str) -> Any:
    """Find a name in the room that it has moved to. Raises AttributeError for an unknown name."""
    if name not in _MOVED:
        raise AttributeError(f"module 'onward.runs' has no attribute {name!r}")
    room = f"onward.{_MOVED[name]}"
    warnings.warn(f"import {name} from {room}: it has left onward.runs", DeprecationWarning, stacklevel=2)
    return getattr(import_module(room), name)
