"""CwComp (Papachristodoulou et al. 2024).

Learning rate, optimizer, batch size and epochs of the long rows are those of the released code, as are the epochs at
which the first and the last layer stop; its learning rate is constant. The read-out reads the whole last map.
"""

from onward.algorithms import CwComp
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import CFSE, CFSE6
from onward.recipes.recipe import Published, Recipe

_RELEASED = TrainerSettings(optimizer="adam", learning_rate=0.01, schedule="constant", precision="bf16")
_MUON = TrainerSettings(optimizer="muon", learning_rate=0.03, adamw_lr_scale=0.1, precision="bf16")

ROWS = (
    Recipe(
        method="cwcomp", description="CFSE of 4 conv",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=CwComp(first_end=0.4, last_end=0.7, head_features=2048), net=CFSE(width=1),
        trainer=TrainerSettings(optimizer="adam", learning_rate=0.01), epochs=20, batch_size=64, backprop_rate=0.002,
    ),
    # Layers end after 2 to 5 of 20 epochs.
    Recipe(
        method="cwcomp", description="CFSE of 4 conv",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=CwComp(first_end=0.1, last_end=0.25, head_features=30720), net=CFSE(),
        trainer=_RELEASED, epochs=20, batch_size=128, backprop_rate=0.002,
        published=Published(test_accuracy=0.9942, source="Papachristodoulou et al. 2024, abstract and released code"),
    ),
    # Layers end after 10 to 23 of 50 epochs.
    Recipe(
        method="cwcomp", description="CFSE of 4 conv",
        data=DataSettings(name="fashion_mnist", validation_fraction=1 / 6),
        algorithm=CwComp(first_end=0.2, last_end=0.46, head_features=30720), net=CFSE(),
        trainer=_RELEASED, epochs=50, batch_size=128, backprop_rate=0.002,
        published=Published(test_accuracy=0.9231, source="Papachristodoulou et al. 2024, abstract and released code"),
    ),
    # Layers end after 11 to 25 of 50 epochs.
    Recipe(
        method="cwcomp", description="CFSE of 4 conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=CwComp(first_end=0.22, last_end=0.5, head_features=30720), net=CFSE(),
        trainer=_RELEASED, epochs=50, batch_size=128, backprop_rate=0.002,
        published=Published(test_accuracy=0.7811, source="Papachristodoulou et al. 2024, abstract and released code"),
    ),
    # Four of six layers learn 20 superclasses; the code trains them two by two, in four windows.
    Recipe(
        method="cwcomp", description="CFSE of 6 conv",
        data=DataSettings(name="cifar100", validation_fraction=0.1),
        algorithm=CwComp(first_end=0.3, last_end=0.85, superclasses=20, head_features=25600), net=CFSE6(),
        trainer=_RELEASED, epochs=100, batch_size=128, backprop_rate=0.002,
        published=Published(test_accuracy=0.5123, source="Papachristodoulou et al. 2024, abstract and released code"),
    ),
    # Minutes on two cores.
    # Windows that end late, and a cosine over each.
    Recipe(
        method="cwcomp", scale="cpu", description="CFSE of 4 conv of half the width",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=CwComp(first_end=0.5, last_end=0.8, head_features=4096), net=CFSE(width=1),
        trainer=TrainerSettings(optimizer="adam", learning_rate=0.01, precision="bf16"), epochs=12, batch_size=64,
        backprop_rate=0.002,
        published=Published(
            test_accuracy=0.9942,
            source="Papachristodoulou et al. 2024, abstract and released code (full width, 20 epochs)",
        ),
    ),
    Recipe(
        method="cwcomp", scale="cpu", description="CFSE of 4 conv",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1, augmentation=Augmentation(flip=True)),
        algorithm=CwComp(first_end=0.5, last_end=0.8, head_features=16384), net=CFSE(),
        trainer=_MUON, epochs=20, batch_size=64, backprop_rate=0.03,
        published=Published(test_accuracy=0.9231, source="Papachristodoulou et al. 2024, abstract and released code"),
    ),
    Recipe(
        method="cwcomp", scale="cpu", description="CFSE of 4 conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(flip=True)),
        algorithm=CwComp(first_end=0.5, last_end=0.8, head_features=16384), net=CFSE(),
        trainer=_MUON, epochs=20, batch_size=64, backprop_rate=0.03,
        published=Published(test_accuracy=0.7811, source="Papachristodoulou et al. 2024, abstract and released code"),
    ),
)
