"""Objectives: the loss of a block from its goodness and the target."""

from onward.core.renamed import former_names
from onward.parts.objective.class_scores import CrossEntropy, SoftmaxTwice, Threshold, tempered_cross_entropy
from onward.parts.objective.competition import Mixture, PositiveNegative
from onward.parts.objective.layer_collaboration import AddEarlierGoodness, CarryGoodness
from onward.parts.objective.margins import ClassMargin, Form, NPairMargin, ViewMargin
from onward.parts.objective.numbers import EachLabel, SquaredDistance
from onward.parts.objective.sparsemax import Sparsemax, sparsemax
from onward.parts.objective.squared_error import SquaredError
from onward.parts.objective.symba import PairSoftplus
from onward.parts.objective.two_thresholds import TwoThresholds
from onward.parts.objective.weighted import Weighted

__all__ = [
    "AddEarlierGoodness",
    "CarryGoodness",
    "ClassMargin",
    "CrossEntropy",
    "EachLabel",
    "Form",
    "Mixture",
    "NPairMargin",
    "PairSoftplus",
    "PositiveNegative",
    "SoftmaxTwice",
    "Sparsemax",
    "SquaredDistance",
    "SquaredError",
    "Threshold",
    "TwoThresholds",
    "ViewMargin",
    "Weighted",
    "sparsemax",
]

__getattr__ = former_names(
    __name__,
    calls={"TemperedCrossEntropy": ("CrossEntropy(temperature=0.1)", tempered_cross_entropy)},
    TellGoodness="CarryGoodness",
    WithOthers="AddEarlierGoodness",
)
