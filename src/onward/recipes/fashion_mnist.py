"""Fashion-MNIST: DeeperForward's four-layer network beside backprop."""

from dataclasses import replace

from onward.recipes import mnist
from onward.recipes.recipe import Published, Recipe, control


def deeper_forward() -> Recipe:
    """DeeperForward's TinyCNN, with the settings of `deeper_forward-mnist`."""
    digits = mnist.deeper_forward()
    return replace(
        digits,
        name="deeper_forward-fashion_mnist",
        description="DeeperForward, 4-layer CNN of half width, Fashion-MNIST",
        data=replace(digits.data, name="fashion_mnist"),
        published=Published(test_accuracy=0.9183, source="Sun et al. 2025, table 1 (full width, 150 epochs)"),
        backprop="backprop-fashion_mnist",
    )


def backprop() -> Recipe:
    """Backpropagation through the network of `deeper_forward-fashion_mnist`."""
    return control(deeper_forward(), description="Backprop, the same CNN, Fashion-MNIST", learning_rate=0.001)
