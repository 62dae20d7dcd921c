"""scikit-learn's digits: 8x8 images, no download; for a first look and for tests."""

from onward.algorithms import DeeperForward, ForwardForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP, TinyCNN
from onward.recipes.recipe import Recipe, control


def deeper_forward() -> Recipe:
    """DeeperForward on digits; seconds on a laptop."""
    return Recipe(
        name="deeper_forward-digits",
        description="DeeperForward, 4-layer CNN, digits: the default",
        algorithm=DeeperForward(),
        net=TinyCNN(width=50, dropout=0.1),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=0.03, weight_decay=5e-4),
        epochs=30,
        batch_size=64,
        backprop="backprop-digits",
    )


def backprop() -> Recipe:
    """Backpropagation through the network of `deeper_forward-digits`."""
    return control(deeper_forward(), description="Backprop, the same CNN, digits", learning_rate=0.002)


def forward_forward() -> Recipe:
    """Hinton's Forward-Forward on digits; seconds on a laptop."""
    return Recipe(
        name="forward_forward-digits",
        description="Forward-Forward, MLP, digits",
        algorithm=ForwardForward(),
        net=MLP(width=500, depth=3),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=1e-3),
        epochs=60,
        batch_size=64,
        backprop="backprop-digits-mlp",
    )


def backprop_mlp() -> Recipe:
    """Backpropagation through the network of `forward_forward-digits`."""
    return control(forward_forward(), description="Backprop, the same MLP, digits", learning_rate=0.001)
