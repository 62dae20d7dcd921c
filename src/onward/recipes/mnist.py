"""MNIST: DeeperForward's four-layer network and Hinton's multi-layer perceptron, each beside backprop."""

from onward.algorithms import DeeperForward, ForwardForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP, TinyCNN
from onward.recipes.recipe import Published, Recipe, control


def deeper_forward() -> Recipe:
    """DeeperForward's TinyCNN at half width on 28x28 images, for two cores; 11 epochs where the paper takes 150."""
    return Recipe(
        name="deeper_forward-mnist",
        description="DeeperForward, 4-layer CNN of half width, MNIST",
        algorithm=DeeperForward(),
        net=TinyCNN(width=50, dropout=0.1),
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=5e-4, precision="bf16"),
        epochs=11,
        batch_size=32,
        published=Published(test_accuracy=0.9950, source="Sun et al. 2025, table 1 (full width, 150 epochs)"),
        backprop="backprop-mnist",
    )


def backprop() -> Recipe:
    """Backpropagation through the network of `deeper_forward-mnist`."""
    return control(deeper_forward(), description="Backprop, the same CNN, MNIST", learning_rate=0.001)


def forward_forward() -> Recipe:
    """Hinton's Forward-Forward with the label in the input; three layers of 1000 where the paper has four of 2000."""
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


def backprop_mlp() -> Recipe:
    """Backpropagation through the network of `forward_forward-mnist`."""
    return control(forward_forward(), description="Backprop, the same MLP, MNIST", learning_rate=0.001)
