"""Recipes: the method on stripes. `--control backprop` is its control."""

from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.recipes import Recipe
from onward_example.method import Centered
from onward_example.net import TanhLayers

RECIPES = (
    Recipe(
        method="centered",
        description="tanh layers",
        algorithm=Centered(),
        net=TanhLayers(),
        data=DataSettings(name="stripes"),
        trainer=TrainerSettings(learning_rate=0.01),
        epochs=4,
        batch_size=32,
    ),
)
