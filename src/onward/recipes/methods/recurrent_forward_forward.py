"""Forward-Forward as a recurrent network (Hinton 2022). The paper's number of layers was not available."""

from onward.algorithms import RecurrentForwardForward
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="recurrent_forward_forward", description="MLP",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=RecurrentForwardForward(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="recurrent_forward_forward", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=RecurrentForwardForward(), net=MLP(width=2000),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.9869, source="Hinton 2022, recurrent with top-down connections"),
    ),
    # Minutes on two cores.
    Recipe(
        method="recurrent_forward_forward", scale="cpu", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=0.05, augmentation=Augmentation(crop=1)),
        algorithm=RecurrentForwardForward(sharpness=300.0, wrong_labels=3, peer_weight=100.0),
        net=MLP(width=800, depth=2),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=50, backprop_rate=0.001,
        published=Published(test_accuracy=0.9869, source="Hinton 2022, recurrent with top-down connections"),
    ),
)
