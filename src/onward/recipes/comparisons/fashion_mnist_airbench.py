"""Many methods on one network, images, augmentation, epochs, batches and optimizer: rows that differ in the method.

Fashion-MNIST on the airbench network with 60 channels, a multiple of the classes, and four epochs: minutes on two
cores. Settings of a method are those of its other short rows; nothing was tuned here. DeeperForward has its own small
network, augmentation, batch size and optimizer: batch norm would remove the mean activities that it learns from.
"""

from onward.algorithms import ASGE, HFF, DeeperForward, DistanceForward, MonoForward, PredSim, RandomFeatures
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Airbench, TinyCNN
from onward.recipes.budgets import MUON, MUON_READ_OUT, Budget
from onward.recipes.recipe import Recipe

_DATA = DataSettings(
    name="fashion_mnist", validation_fraction=0.05,
    augmentation=Augmentation(crop=2, padding="reflect", alternate_flip=True),
)
_BUDGET = Budget(
    data=_DATA, net=Airbench(width=60), trainer=MUON, epochs=4, batch_size=256, backprop_rate=0.1,
)
_READ_OUT = Budget(
    data=_DATA, net=Airbench(width=60), trainer=MUON_READ_OUT, epochs=4, batch_size=256, backprop_rate=0.1,
)

ROWS = (
    *_BUDGET.rows(
        description="airbench network, over two layers (reconstruction)",
        distance_forward=DistanceForward(
            margin=0.1, sharpness=30.0, grid=4, anchors="learned", collaboration="disjoint", unit_length=False,
        ),
    ),
    *_BUDGET.rows(
        variant="plain", description="airbench network, without collaboration (reconstruction)",
        distance_forward=DistanceForward(
            margin=0.1, sharpness=30.0, grid=4, anchors="learned", collaboration="none", unit_length=False,
        ),
    ),
    *_BUDGET.rows(
        variant="random_feedback", description="airbench network, random feedback over two layers (reconstruction)",
        distance_forward=DistanceForward(
            margin=0.1, sharpness=30.0, grid=4, anchors="learned", collaboration="disjoint", unit_length=False,
            random_feedback=True,
        ),
    ),
    *_BUDGET.rows(description="airbench network", predsim=PredSim()),
    *_BUDGET.rows(
        description="airbench network (reconstruction)", mono_forward=MonoForward(features=2048), hff=HFF(grid=4),
    ),
    *_READ_OUT.rows(
        description="airbench network", asge=ASGE(map_scale="features"), random_features=RandomFeatures(),
    ),
    Recipe(
        method="deeper_forward", scale="shared", description="4-layer CNN of half width",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.05, augmentation=Augmentation(flip=True)),
        algorithm=DeeperForward(), net=TinyCNN(width=50, dropout=0.1),
        trainer=TrainerSettings(learning_rate=0.08, weight_decay=0.0005, precision="bf16"),
        epochs=4, batch_size=32, backprop_rate=0.001,
    ),
)
