"""SCFF (Chen et al. 2025): network and settings are ours."""

from onward.algorithms import SCFF
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP, MonoCNN
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="scff", description="MLP",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=SCFF(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="scff", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=SCFF(), net=MLP(width=2000, depth=2),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.987, source="Chen et al. 2025; network and settings are ours"),
    ),
    Recipe(
        method="scff", description="4 conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=SCFF(grid=4), net=MonoCNN(width=96),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=20, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.808, source="Chen et al. 2025; network and settings are ours"),
    ),
    # Minutes on two cores.
    Recipe(
        method="scff", scale="cpu", description="4 conv",
        data=DataSettings(name="mnist", validation_fraction=0.05),
        algorithm=SCFF(grid=4), net=MonoCNN(width=32),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=2, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.987, source="Chen et al. 2025; network and settings are ours"),
    ),
)
