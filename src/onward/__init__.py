"""onward: train deep networks layer by layer, with no backward pass through the network."""

from onward.algorithms import (
    ALGORITHMS,
    ASGE,
    Backprop,
    DeeperForward,
    DistanceForward,
    DistanceForwardPairs,
    ForwardForward,
)
from onward.core import Learner, LocalBlock, LocalTrainer, TrainerSettings
from onward.data import Augmentation, DataSettings, Splits, from_arrays, load
from onward.nets import (
    MLP,
    NETS,
    VGG8,
    VGG11,
    VGG14,
    Plain17,
    ResNet17,
    ResNet19,
    ResNet33,
    ResNet100,
    TinyCNN,
    Trifecta6,
    Trifecta12,
)
from onward.recipes import RECIPES, Recipe
from onward.runs import export_model, fit, load_model, save_model, spec_for

__all__ = [
    "ALGORITHMS",
    "ASGE",
    "MLP",
    "NETS",
    "RECIPES",
    "VGG8",
    "VGG11",
    "VGG14",
    "Augmentation",
    "Backprop",
    "DataSettings",
    "DeeperForward",
    "DistanceForward",
    "DistanceForwardPairs",
    "ForwardForward",
    "Learner",
    "LocalBlock",
    "LocalTrainer",
    "Plain17",
    "Recipe",
    "ResNet17",
    "ResNet19",
    "ResNet33",
    "ResNet100",
    "Splits",
    "TinyCNN",
    "TrainerSettings",
    "Trifecta6",
    "Trifecta12",
    "export_model",
    "fit",
    "from_arrays",
    "load",
    "load_model",
    "save_model",
    "spec_for",
]
