"""Many methods on one network, images, augmentation, epochs, batches and optimizer: rows that differ in the method.

Fashion-MNIST on the airbench network with 60 channels, so that classes can have groups of channels, and four epochs:
minutes on two cores. Nothing is tuned to a method but what its `-fast` rows set. Methods whose blocks normalise what
they hand on, or gather it, are other networks to backprop and have a control of their own.

DeeperForward stands beside them on its own small network, with its own augmentation, batches and optimizer: behind
batch norm, which takes the mean activities away that it learns by, it reached 73 % where others reached 89 % (14,000
images, validation).
"""

from dataclasses import replace

from onward.algorithms import (
    ASGE,
    HFF,
    Algorithm,
    CwComp,
    DeeperForward,
    DistanceForward,
    MonoForward,
    PredSim,
    RandomFeatures,
)
from onward.core import TrainerSettings
from onward.data import Augmentation
from onward.nets import Airbench
from onward.recipes import airbench, deeper_forward
from onward.recipes.recipe import Recipe, control

_EPOCHS = 4
_ANCHORS = DistanceForward(
    margin=0.1, sharpness=30.0, grid=4, anchors="learned", collaboration="disjoint", unit_length=False
)
_HEAD = replace(airbench.TRAINER, adamw_share=0.1)  # where a read-out learns alone or of all blocks: it needs more


def _row(
    method: str, title: str, algorithm: Algorithm, *, alone: bool = False, trainer: TrainerSettings | None = None
) -> Recipe:
    """Return a method's row; `alone` names a control of its own."""
    return Recipe(
        name=f"{method}-fashion_mnist-shared",
        description=f"{title}, airbench network, fashion_mnist",
        algorithm=algorithm,
        net=Airbench(width=60),
        data=airbench.images("fashion_mnist"),
        trainer=trainer or airbench.TRAINER,
        epochs=_EPOCHS,
        batch_size=airbench.BATCH_SIZE,
        backprop=f"backprop-{method if alone else 'distance_forward'}-fashion_mnist-shared",
    )


def deeper_forward_row() -> Recipe:
    """The network of `deeper_forward-mnist` in batches of 32, images mirrored at random; epochs as above."""
    row = deeper_forward.fashion_mnist()
    return replace(
        row,
        name="deeper_forward-fashion_mnist-shared",
        algorithm=DeeperForward(),
        trainer=replace(row.trainer, learning_rate=0.08),
        batch_size=32,
        data=replace(airbench.images("fashion_mnist"), augmentation=Augmentation(flip=True)),
        epochs=_EPOCHS,
        published=None,
        backprop="backprop-deeper_forward-fashion_mnist-shared",
    )


_ROWS = (
    _row("distance_forward", "Distance-Forward over two layers (reconstruction)", _ANCHORS),
    _row(
        "distance_forward-plain",
        "Distance-Forward without collaboration (reconstruction)",
        replace(_ANCHORS, collaboration="none"),
    ),
    _row(
        "distance_forward-random_feedback",
        "Distance-Forward with random feedback over two layers (reconstruction)",
        replace(_ANCHORS, random_feedback=True),
    ),
    _row("asge", "ASGE", ASGE(map_scale="features"), alone=True, trainer=_HEAD),
    _row("mono_forward", "Mono-Forward (reconstruction)", MonoForward(features=2048)),
    _row("predsim", "predsim", PredSim()),
    _row("hff", "HFF (reconstruction)", HFF(grid=4), alone=True),
    _row("cwcomp", "CwComp", CwComp(), alone=True),
    _row("random_features", "Random features", RandomFeatures(), trainer=_HEAD),
)
RECIPES = (
    *airbench.listed(*_ROWS),
    deeper_forward_row(),
    control(deeper_forward_row(), learning_rate=0.001),
)
