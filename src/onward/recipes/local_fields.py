"""Forward-Forward on networks without weight sharing (Hinton 2022), each row beside backprop through the same network.

Published numbers are those commonly quoted; tables of the paper were not at hand.
"""

from dataclasses import replace

from onward.algorithms import ForwardForward, UnsupervisedForwardForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import LocalFields, TopographicMaps
from onward.recipes import narrow_mlp, unsupervised_forward_forward
from onward.recipes.recipe import Published, Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return _local(unsupervised_forward_forward.digits(), LocalFields(width=32, field=4, stride=2))


def mnist() -> Recipe:
    """4x4, 3x3 and 2x2 places, about 2000 units a layer."""
    row = _local(unsupervised_forward_forward.mnist(), LocalFields())
    source = "Hinton 2022, unsupervised, local receptive fields and peer normalisation"
    return replace(row, published=Published(test_accuracy=0.9884, source=source))


def mnist_fast() -> Recipe:
    """Half the width and three epochs, for two cores; the read-out sees every layer.

    A quarter of the width reached 97.6 % of the validation split, half 98.3, and all of it 98.3, with nearly every
    training image.
    """
    row = narrow_mlp.fast(mnist())
    data = replace(row.data, validation_fraction=0.05)
    algorithm = UnsupervisedForwardForward(read_from=0)
    return replace(row, algorithm=algorithm, net=LocalFields(width=64), data=data, epochs=3)


def cifar10() -> Recipe:
    """Two layers of 3072 units that see 11x11 pixels each; the label in the input."""
    return Recipe(
        name="forward_forward-topographic-cifar10",
        description="Forward-Forward, 2 locally connected layers, CIFAR-10",
        algorithm=ForwardForward(),
        net=TopographicMaps(),
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        trainer=TrainerSettings(learning_rate=5e-4, precision="bf16"),
        epochs=60,
        batch_size=100,
        published=Published(test_accuracy=0.59, source="Hinton 2022, 2 locally connected layers, every label"),
        backprop="backprop-topographic-cifar10",
    )


def _local(row: Recipe, net: LocalFields) -> Recipe:
    assert row.backprop is not None
    return replace(
        row,
        name=row.name.replace("-", "-local_fields-", 1),
        description=row.description.replace("MLP", "3 locally connected layers"),
        net=net,
        backprop=f"{row.backprop}-local_fields",
    )


_LOCAL = (digits(), mnist(), mnist_fast(), cifar10())
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
