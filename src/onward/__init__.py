"""onward: train deep networks layer by layer, with no backward pass through the network."""

from onward.algorithms import ALGORITHMS, Backprop, DeeperForward, DeepSupervision, ForwardForward, PredSim
from onward.core import Learner, LocalBlock, LocalTrainer, TrainerSettings
from onward.data import Augmentation, DataSettings, Splits, from_arrays, load
from onward.nets import MLP, NETS, VGG14, ResNet17, TinyCNN, VGG8b
from onward.recipes import RECIPES, Recipe
from onward.runs import fit, load_model, save_model, spec_for

__all__ = [
    "ALGORITHMS",
    "MLP",
    "NETS",
    "RECIPES",
    "VGG14",
    "Augmentation",
    "Backprop",
    "DataSettings",
    "DeepSupervision",
    "DeeperForward",
    "ForwardForward",
    "Learner",
    "LocalBlock",
    "LocalTrainer",
    "PredSim",
    "Recipe",
    "ResNet17",
    "Splits",
    "TinyCNN",
    "TrainerSettings",
    "VGG8b",
    "fit",
    "from_arrays",
    "load",
    "load_model",
    "save_model",
    "spec_for",
]
