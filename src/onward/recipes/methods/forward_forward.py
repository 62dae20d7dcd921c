"""Forward-Forward (Hinton 2022): the label in the input, on fully connected and on locally connected layers.

The number of the topographic row is the one commonly quoted; tables of the paper were not available.
"""

from onward.algorithms import ForwardForward
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, TopographicMaps
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="forward_forward", description="MLP",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=ForwardForward(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001), epochs=60, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="forward_forward", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6, augmentation=Augmentation(crop=1)),
        algorithm=ForwardForward(), net=MLP(),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.9864, source="Hinton 2022, supervised (4 x 2000, 60 epochs, no shifts)"),
    ),
    # The split of the rows called shared, so that it can be compared with them.
    Recipe(
        method="forward_forward", description="MLP",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.05),
        algorithm=ForwardForward(), net=MLP(),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.8963, source="Spyra 2025 (arXiv 2509.19063), from logs, wider layers"),
    ),
    # 3072 units per layer, each with a field of 11x11 pixels.
    Recipe(
        method="forward_forward", variant="topographic", description="2 locally connected layers",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=ForwardForward(), net=TopographicMaps(),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.59, source="Hinton 2022, 2 locally connected layers, every label"),
    ),
    # Minutes on two cores.
    Recipe(
        method="forward_forward", scale="cpu", description="MLP",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.05),
        algorithm=ForwardForward(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=20, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.8963, source="Spyra 2025 (arXiv 2509.19063), from logs, wider layers"),
    ),
)
