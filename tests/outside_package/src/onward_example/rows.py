"""Recipes: the method on stripes, and its control by backprop."""

from dataclasses import replace

from onward.algorithms import Backprop
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.recipes import Recipe
from onward_example.method import Centered
from onward_example.net import TanhLayers

_ROW = Recipe(
    name="centered-stripes",
    description="Centered, tanh layers, stripes",
    algorithm=Centered(),
    net=TanhLayers(),
    data=DataSettings(name="stripes"),
    trainer=TrainerSettings(learning_rate=0.01),
    epochs=4,
    batch_size=32,
    backprop="backprop-centered-stripes",
)
_CONTROL = replace(
    _ROW,
    name="backprop-centered-stripes",
    description="Backprop, tanh layers, stripes",
    algorithm=Backprop(of=Centered()),
    backprop=None,
)
RECIPES = (_ROW, _CONTROL)
