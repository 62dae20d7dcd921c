"""Random features: what a linear read-out of random layers reaches.

On the network and budget of any other row: `--control random_features`.
"""

from onward.algorithms import RandomFeatures
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Airbench, MonoCNN
from onward.recipes.budgets import MUON_READ_OUT
from onward.recipes.recipe import Recipe

ROWS = (
    Recipe(
        method="random_features", description="4 conv",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=RandomFeatures(features=1024), net=MonoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.003), epochs=20, batch_size=64, backprop_rate=0.001,
    ),
    # Minutes on two cores.
    Recipe(
        method="random_features", scale="cpu", description="airbench network",
        data=DataSettings(name="mnist", validation_fraction=0.05, augmentation=Augmentation(crop=2, padding="reflect")),
        algorithm=RandomFeatures(), net=Airbench(),
        trainer=MUON_READ_OUT, epochs=4, batch_size=256, backprop_rate=0.1,
    ),
)
