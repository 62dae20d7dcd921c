"""Forward-Forward (Hinton 2022), each row beside backprop through the same network."""

from onward.algorithms import ForwardForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes.recipe import Published, Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
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


def mnist() -> Recipe:
    """The label in the input; three layers of 1000 where the paper has four of 2000."""
    return Recipe(
        name="forward_forward-mnist",
        description="Forward-Forward, MLP, MNIST",
        algorithm=ForwardForward(),
        net=MLP(width=1000, depth=3),
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        trainer=TrainerSettings(learning_rate=5e-4, precision="bf16"),
        epochs=60,
        batch_size=100,
        published=Published(test_accuracy=0.9864, source="Hinton 2022, supervised (4 x 2000, 60 epochs)"),
        backprop="backprop-mnist-mlp",
    )


RECIPES = (
    digits(),
    control(digits(), learning_rate=0.001),
    mnist(),
    control(mnist(), learning_rate=0.001),
)
