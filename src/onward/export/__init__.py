"""Export: a model, and its training step, for runtimes without onward."""

from onward.export.exporting import Exported, Format, export
from onward.export.program import Model, model_of, open_model
from onward.export.step import Learning, Step, trace_step

__all__ = ["Exported", "Format", "Learning", "Model", "Step", "export", "model_of", "open_model", "trace_step"]
