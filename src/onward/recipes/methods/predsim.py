"""predsim (Nøkland and Eidnes 2019).

On VGG8b the learning rate falls along a cosine, where the paper multiplies it by a quarter after 50, 75, 89 and 94 % of
the epochs. A part of the training images is set aside for validation; the paper trains on all of them. The rows called
cross_entropy have the loss of the read-out alone, on the network and the budget of the airbench speed runs
(Jordan 2024); not taken from there: scaled initialization, bias warm-up, Lookahead, and filtering of easy images.
"""

from onward.algorithms import PredSim
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Airbench, VGG8b
from onward.recipes.budgets import MUON
from onward.recipes.recipe import Published, Recipe

_ADAM = TrainerSettings(optimizer="adam", learning_rate=0.0005)

ROWS = (
    Recipe(
        method="predsim", description="VGG8b",
        data=DataSettings(name="mnist", validation_fraction=0.1, augmentation=Augmentation(crop=2)),
        algorithm=PredSim(decoder_features=1024), net=VGG8b(),
        trainer=_ADAM, epochs=100, batch_size=128, backprop_rate=0.0005,
        published=Published(test_accuracy=0.9969, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    Recipe(
        method="predsim", description="VGG8b",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1, augmentation=Augmentation(crop=2, flip=True)),
        algorithm=PredSim(decoder_features=1024), net=VGG8b(dropout=0.1),
        trainer=_ADAM, epochs=200, batch_size=128, backprop_rate=0.0005,
        published=Published(test_accuracy=0.9535, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    Recipe(
        method="predsim", description="VGG8b",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(crop=4, flip=True)),
        algorithm=PredSim(), net=VGG8b(),
        trainer=_ADAM, epochs=400, batch_size=128, backprop_rate=0.0005,
        published=Published(test_accuracy=0.9442, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    # The paper draws a batch from 20 classes in the first half of the epochs; here always from all classes.
    Recipe(
        method="predsim", description="VGG8b",
        data=DataSettings(name="cifar100", validation_fraction=0.1, augmentation=Augmentation(crop=4, flip=True)),
        algorithm=PredSim(decoder_features=4096), net=VGG8b(dropout=0.05),
        trainer=_ADAM, epochs=400, batch_size=128, backprop_rate=0.0005,
        published=Published(test_accuracy=0.7593, source="Nøkland and Eidnes 2019, VGG8b, 20 classes per batch"),
    ),
    # Minutes on two cores.
    Recipe(
        method="predsim", scale="cpu", description="airbench network",
        data=DataSettings(name="mnist", validation_fraction=0.05, augmentation=Augmentation(crop=2, padding="reflect")),
        algorithm=PredSim(decoder_features=1024), net=Airbench(),
        trainer=MUON, epochs=4, batch_size=256, backprop_rate=0.1,
        published=Published(test_accuracy=0.9969, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    Recipe(
        method="predsim", scale="cpu", description="airbench network",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=PredSim(), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
        published=Published(test_accuracy=0.9442, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    Recipe(
        method="predsim", variant="cross_entropy", scale="cpu", description="airbench network, cross-entropy alone",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=PredSim(beta=0.0, label_smoothing=0.1, mirrored=True), net=Airbench(),
        trainer=MUON, epochs=16, batch_size=256, backprop_rate=0.1,
    ),
    Recipe(
        method="predsim", scale="cpu", description="airbench network",
        data=DataSettings(
            name="cifar100", validation_fraction=0.05,
            augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
        ),
        algorithm=PredSim(decoder_features=4096), net=Airbench(),
        trainer=MUON, epochs=8, batch_size=256, backprop_rate=0.1,
        published=Published(test_accuracy=0.7593, source="Nøkland and Eidnes 2019, VGG8b, 20 classes per batch"),
    ),
    # One GPU.
    Recipe(
        method="predsim", scale="gpu", description="airbench network of twice the width",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=4, padding="reflect", alternate_flip=True, cutout=8),
        ),
        algorithm=PredSim(mirrored=True), net=Airbench(width=128),
        trainer=MUON, epochs=40, batch_size=512, backprop_rate=0.1,
        published=Published(test_accuracy=0.9442, source="Nøkland and Eidnes 2019, VGG8b"),
    ),
    Recipe(
        method="predsim", variant="cross_entropy", scale="gpu",
        description="airbench network of twice the width, cross-entropy alone",
        data=DataSettings(
            name="cifar10", validation_fraction=0.05,
            augmentation=Augmentation(crop=4, padding="reflect", alternate_flip=True, cutout=8),
        ),
        algorithm=PredSim(beta=0.0, label_smoothing=0.1, mirrored=True), net=Airbench(width=128),
        trainer=MUON, epochs=40, batch_size=512, backprop_rate=0.1,
    ),
)
