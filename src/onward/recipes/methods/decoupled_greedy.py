"""Decoupled greedy learning (Belilovsky, Eickenberg, Oyallon 2020).

Differs from the paper: these rows have the network, optimizer and augmentation of the airbench speed runs (Jordan
2024), as those of predsim. They are the most accurate trainings on two cores in which no gradient leaves a layer.
"""

from onward.algorithms import DecoupledGreedy
from onward.data import Augmentation, DataSettings
from onward.nets import Airbench
from onward.recipes.budgets import MUON
from onward.recipes.recipe import Recipe

ROWS = (
    # Minutes on two cores.
    Recipe(
        method="decoupled_greedy", scale="cpu", description="airbench network",
        data=DataSettings(
            name="fashion_mnist", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=DecoupledGreedy(label_smoothing=0.1, mirrored=True), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        method="decoupled_greedy", scale="cpu", description="airbench network",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=DecoupledGreedy(label_smoothing=0.1, mirrored=True), net=Airbench(),
        trainer=MUON, epochs=16, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        method="decoupled_greedy", scale="cpu", description="airbench network",
        data=DataSettings(
            name="cifar100", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=DecoupledGreedy(decoder_features=4096, label_smoothing=0.1, mirrored=True), net=Airbench(),
        trainer=MUON, epochs=16, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        method="decoupled_greedy", variant="two_layers", scale="cpu",
        description="airbench network, two convolutions in each classifier, read from all blocks",
        data=DataSettings(
            name="cifar100", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=DecoupledGreedy(
            hidden=256, layers=2, decoder_features=4096, label_smoothing=0.1, mirrored=True, predict="all_blocks",
        ),
        net=Airbench(),
        trainer=MUON, epochs=16, batch_size=256, backprop_rate=0.1,
    ),
    # One GPU.
    Recipe(
        method="decoupled_greedy", scale="gpu", description="airbench network of twice the width",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=4, padding="reflect", alternate_flip=True, cutout=8),
        ),
        algorithm=DecoupledGreedy(hidden=256, label_smoothing=0.1, mirrored=True), net=Airbench(width=128),
        trainer=MUON, epochs=40, batch_size=512, backprop_rate=0.1,
    ),
    Recipe(
        method="decoupled_greedy", scale="gpu", description="airbench network of twice the width",
        data=DataSettings(
            name="cifar100", validation_fraction=0.05,
            augmentation=Augmentation(crop=4, padding="reflect", alternate_flip=True, cutout=8),
        ),
        algorithm=DecoupledGreedy(hidden=256, decoder_features=4096, label_smoothing=0.1, mirrored=True),
        net=Airbench(width=128),
        trainer=MUON, epochs=40, batch_size=512, backprop_rate=0.1,
    ),
)
