"""Unsupervised Forward-Forward (Hinton 2022), on fully connected layers and on local receptive fields.

The number with local receptive fields is the one commonly quoted; tables of the paper were not available.
"""

from onward.algorithms import UnsupervisedForwardForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP, LocalFields
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="unsupervised_forward_forward", description="MLP",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=UnsupervisedForwardForward(), net=MLP(width=500),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="unsupervised_forward_forward", variant="local_fields", description="3 locally connected layers",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=UnsupervisedForwardForward(), net=LocalFields(width=32, field=4, stride=2),
        trainer=TrainerSettings(learning_rate=0.001), epochs=30, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="unsupervised_forward_forward", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=UnsupervisedForwardForward(), net=MLP(width=2000, depth=4),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.9863, source="Hinton 2022, unsupervised (4 x 2000, 100 epochs)"),
    ),
    # 4x4, 3x3 and 2x2 places, about 2000 units a layer.
    Recipe(
        method="unsupervised_forward_forward", variant="local_fields", description="3 locally connected layers",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=UnsupervisedForwardForward(), net=LocalFields(),
        trainer=TrainerSettings(learning_rate=0.0005, precision="bf16"), epochs=60, batch_size=100, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9884, source="Hinton 2022, unsupervised, local receptive fields and peer normalization",
        ),
    ),
    # Minutes on two cores.
    Recipe(
        method="unsupervised_forward_forward", scale="cpu", description="MLP",
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        algorithm=UnsupervisedForwardForward(read_from=0), net=MLP(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=5, batch_size=100, backprop_rate=0.001,
        published=Published(test_accuracy=0.9863, source="Hinton 2022, unsupervised (4 x 2000, 100 epochs)"),
    ),
    Recipe(
        method="unsupervised_forward_forward", variant="local_fields", scale="cpu",
        description="3 locally connected layers",
        data=DataSettings(name="mnist", validation_fraction=0.05),
        algorithm=UnsupervisedForwardForward(read_from=0), net=LocalFields(width=64),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=3, batch_size=100, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9884, source="Hinton 2022, unsupervised, local receptive fields and peer normalization",
        ),
    ),
)
