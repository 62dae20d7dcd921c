"""Runs: a recipe carried out, and a folder with everything needed to trust, resume, use and compare it."""

from onward.runs.evaluation import Accuracy, Evaluator
from onward.runs.export import Export, Size, export_model
from onward.runs.folder import RunFolder
from onward.runs.model import ModelSpec, load_model, save_model, spec_for, truncate
from onward.runs.online import OnlineLearning
from onward.runs.recovery import Recovery, Stream, recover
from onward.runs.train import Interrupted, Place, fit, resume, train
from onward.runs.training import EpochDone, StepDone, Training

__all__ = [
    "Accuracy",
    "EpochDone",
    "Evaluator",
    "Export",
    "Interrupted",
    "ModelSpec",
    "OnlineLearning",
    "Place",
    "Recovery",
    "RunFolder",
    "Size",
    "StepDone",
    "Stream",
    "Training",
    "export_model",
    "fit",
    "load_model",
    "recover",
    "resume",
    "save_model",
    "spec_for",
    "train",
    "truncate",
]
