"""HFF (2026), a reconstruction: network and settings are ours."""

from onward.algorithms import HFF
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, Airbench, MonoCNN
from onward.recipes.budgets import MUON
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="hff", description="4 conv (reconstruction)",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=HFF(), net=MonoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.002), epochs=20, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="hff", description="4 conv (reconstruction)",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(crop=4, flip=True)),
        algorithm=HFF(grid=4), net=MonoCNN(width=128, dropout=0.2),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=100, batch_size=128, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.8308, source="arXiv 2605.00082, abstract and notes; network and settings are ours",
        ),
    ),
    Recipe(
        method="hff", variant="mlp", description="MLP (reconstruction)",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(crop=4, flip=True)),
        algorithm=HFF(grid=4), net=MLP(width=2000),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=100, batch_size=128, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.6193, source="arXiv 2605.00082, abstract and notes; network and settings are ours",
        ),
    ),
    # Minutes on two cores.
    Recipe(
        method="hff", scale="cpu", description="airbench network (reconstruction)",
        data=DataSettings(name="mnist", validation_fraction=0.05, augmentation=Augmentation(crop=2, padding="reflect")),
        algorithm=HFF(grid=4), net=Airbench(),
        trainer=MUON, epochs=4, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        method="hff", scale="cpu", description="airbench network (reconstruction)",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=HFF(grid=4), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
        published=Published(
            test_accuracy=0.8308, source="arXiv 2605.00082, abstract and notes; network and settings are ours",
        ),
    ),
)
