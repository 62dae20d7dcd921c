"""Training: the loop on data, evaluation, and learning from a stream; independent of recipes and run folders."""

from onward.core import EpochDone
from onward.training.evaluation import Accuracy, Evaluator
from onward.training.logger import Logger, TensorBoard
from onward.training.loop import StepDone, Training
from onward.training.online import OnlineLearning

__all__ = ["Accuracy", "EpochDone", "Evaluator", "Logger", "OnlineLearning", "StepDone", "TensorBoard", "Training"]
