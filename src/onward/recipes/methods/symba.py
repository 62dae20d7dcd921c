"""SymBa (Lee and Song 2023), with the published numbers that Sun et al. (2025) give for it."""

from onward.algorithms import SymBa
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="symba", description="MLP",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=SymBa(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001), epochs=40, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="symba", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=SymBa(), net=MLP(),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9858,
            source="Lee and Song 2023, as printed by Sun et al. 2025, table 1; network and settings are ours",
        ),
    ),
    Recipe(
        method="symba", description="MLP",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=SymBa(), net=MLP(width=3000),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.5909,
            source="Lee and Song 2023, as printed by Sun et al. 2025, table 1; network and settings are ours",
        ),
    ),
    # Minutes on two cores.
    Recipe(
        method="symba", scale="cpu", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=SymBa(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=20, batch_size=100, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9858,
            source="Lee and Song 2023, as printed by Sun et al. 2025, table 1; network and settings are ours "
            "(20 epochs)",
        ),
    ),
)
