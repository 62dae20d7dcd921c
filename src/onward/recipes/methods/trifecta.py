"""The Trifecta (Dooms et al. 2023).

Optimizer, learning rate, batches and epochs of the long rows are those of the released code. It crops and turns by up
to 15 degrees; here images are cropped alone. Its learning rate is constant, here it falls along a cosine.
"""

from onward.algorithms import Trifecta
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Trifecta6, Trifecta12
from onward.recipes.recipe import Published, Recipe

_RELEASED = TrainerSettings(optimizer="adam", learning_rate=0.001, precision="bf16")
_MUON = TrainerSettings(optimizer="muon", learning_rate=0.03, adamw_lr_scale=0.05, precision="bf16")

ROWS = (
    Recipe(
        method="trifecta", description="6 conv",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=Trifecta(side=8), net=Trifecta6(width=16),
        trainer=TrainerSettings(learning_rate=0.002), epochs=20, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="trifecta", description="12 conv",
        data=DataSettings(name="mnist", validation_fraction=0.1, augmentation=Augmentation(crop=4)),
        algorithm=Trifecta(), net=Trifecta12(),
        trainer=_RELEASED, epochs=100, batch_size=512, backprop_rate=0.001,
        published=Published(test_accuracy=0.9958, source="Dooms et al. 2023, as printed by Sun et al. 2025, table 1"),
    ),
    Recipe(
        method="trifecta", description="12 conv",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1, augmentation=Augmentation(crop=4)),
        algorithm=Trifecta(), net=Trifecta12(),
        trainer=_RELEASED, epochs=100, batch_size=512, backprop_rate=0.001,
        published=Published(test_accuracy=0.9144, source="Dooms et al. 2023, as printed by Sun et al. 2025, table 1"),
    ),
    Recipe(
        method="trifecta", description="12 conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(crop=4)),
        algorithm=Trifecta(), net=Trifecta12(),
        trainer=_RELEASED, epochs=100, batch_size=512, backprop_rate=0.001,
        published=Published(test_accuracy=0.8351, source="Dooms et al. 2023, as printed by Sun et al. 2025, table 1"),
    ),
    # Minutes on two cores.
    Recipe(
        method="trifecta", scale="cpu", description="6 narrow conv",
        data=DataSettings(name="mnist", validation_fraction=0.1, augmentation=Augmentation(crop=2)),
        algorithm=Trifecta(sharpness=16.0), net=Trifecta6(width=32),
        trainer=_MUON, epochs=15, batch_size=64, backprop_rate=0.03,
        published=Published(
            test_accuracy=0.9958,
            source="Dooms et al. 2023, as printed by Sun et al. 2025, table 1 (12 wide layers, 100 epochs)",
        ),
    ),
    Recipe(
        method="trifecta", scale="cpu", description="6 narrow conv",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1),
        algorithm=Trifecta(sharpness=16.0, wrong_labels=3), net=Trifecta6(width=32),
        trainer=_MUON, epochs=15, batch_size=64, backprop_rate=0.03,
        published=Published(
            test_accuracy=0.9144,
            source="Dooms et al. 2023, as printed by Sun et al. 2025, table 1 (12 wide layers, 100 epochs)",
        ),
    ),
    Recipe(
        method="trifecta", scale="cpu", description="6 narrow conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(crop=2)),
        algorithm=Trifecta(sharpness=16.0), net=Trifecta6(width=32),
        trainer=_MUON, epochs=15, batch_size=64, backprop_rate=0.03,
        published=Published(
            test_accuracy=0.8351,
            source="Dooms et al. 2023, as printed by Sun et al. 2025, table 1 (12 wide layers, 100 epochs)",
        ),
    ),
)
