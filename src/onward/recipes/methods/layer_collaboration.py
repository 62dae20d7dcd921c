"""Layer collaboration (Lorberbom et al. 2024); on MNIST with the settings of Forward-Forward's row."""

from onward.algorithms import LayerCollaboration
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP
from onward.recipes.recipe import Recipe

ROWS = (
    Recipe(
        method="layer_collaboration", description="MLP",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=LayerCollaboration(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="layer_collaboration", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6, augmentation=Augmentation(crop=1)),
        algorithm=LayerCollaboration(), net=MLP(),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
    ),
    # Minutes on two cores.
    Recipe(
        method="layer_collaboration", scale="cpu", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6, augmentation=Augmentation(crop=1)),
        algorithm=LayerCollaboration(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=20, batch_size=100, backprop_rate=0.001,
    ),
)
