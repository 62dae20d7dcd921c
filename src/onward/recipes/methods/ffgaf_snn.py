"""FFGAF-SNN (2025), a reconstruction: network and settings are ours.

The control by backprop is the same network without spikes.
"""

from onward.algorithms import FFGAFSNN
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MonoCNN
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="ffgaf_snn", description="4 spiking conv (reconstruction)",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=FFGAFSNN(), net=MonoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.003), epochs=15, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="ffgaf_snn", description="4 spiking conv (reconstruction)",
        data=DataSettings(name="mnist", validation_fraction=0.1),
        algorithm=FFGAFSNN(features=4096), net=MonoCNN(),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
        published=Published(test_accuracy=0.9958, source="arXiv 2507.23643, abstract; network and settings are ours"),
    ),
    Recipe(
        method="ffgaf_snn", description="4 spiking conv (reconstruction)",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1),
        algorithm=FFGAFSNN(features=4096), net=MonoCNN(),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
        published=Published(test_accuracy=0.9213, source="arXiv 2507.23643, abstract; network and settings are ours"),
    ),
    Recipe(
        method="ffgaf_snn", description="4 spiking conv (reconstruction)",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=FFGAFSNN(features=4096), net=MonoCNN(),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
        published=Published(test_accuracy=0.7564, source="arXiv 2507.23643, abstract; network and settings are ours"),
    ),
    # Minutes on two cores.
    Recipe(
        method="ffgaf_snn", scale="cpu", description="4 spiking conv (reconstruction)",
        data=DataSettings(name="mnist", validation_fraction=0.1, augmentation=Augmentation(crop=2)),
        algorithm=FFGAFSNN(steps=4), net=MonoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.003, precision="bf16"), epochs=12, batch_size=64, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9958,
            source="arXiv 2507.23643, abstract; network and settings are ours (full width, 8 steps)",
        ),
    ),
    Recipe(
        method="ffgaf_snn", scale="cpu", description="4 spiking conv (reconstruction)",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1, augmentation=Augmentation(flip=True)),
        algorithm=FFGAFSNN(steps=4, coding="current", features=4096), net=MonoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.003, precision="bf16"), epochs=12, batch_size=64, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9213,
            source="arXiv 2507.23643, abstract; network and settings are ours (full width, 8 steps)",
        ),
    ),
)
