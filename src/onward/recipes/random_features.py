"""Random features: what a linear read-out of random layers reaches, each row beside backprop through all layers."""

from dataclasses import replace

from onward.algorithms import RandomFeatures
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MonoCNN
from onward.recipes import airbench
from onward.recipes.recipe import Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return Recipe(
        name="random_features-digits",
        description="Random features, 4 conv, digits",
        algorithm=RandomFeatures(features=1024),
        net=MonoCNN(width=16),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=3e-3),
        epochs=20,
        batch_size=64,
        backprop="backprop-random_features-digits",
    )


def _row(data: str) -> Recipe:
    """The network and the budget of the short rows of other methods."""
    of = replace(
        digits(),
        name=f"random_features-{data}",
        description=f"Random features, 4 conv, {data}",
        data=DataSettings(name=data),
        backprop=f"backprop-random_features-{data}",
    )
    row = airbench.sharing(airbench.fast(of, RandomFeatures()))
    return replace(row, trainer=replace(row.trainer, adamw_share=0.1))  # of which the read-out is all that learns


_ROWS = tuple(_row(data) for data in ("mnist", "fashion_mnist", "cifar10", "cifar100"))
RECIPES = (
    *(digits(), control(digits(), learning_rate=1e-3)),
    *airbench.listed(*_ROWS),
)
