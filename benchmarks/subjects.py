"""The networks and methods that benchmarks measure, as recipes on random images."""

import onward.algorithms
import onward.nets
from onward.algorithms import ASGE, DeeperForward, DistanceForward
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, Airbench, ResNet17, TinyCNN
from onward.recipes import Recipe


def subject(
    name: str, *, batch_size: int, precision: str = "fp32", quick: bool = False, **settings: object
) -> Recipe | None:
    """Return a subject by name, 3x32x32 images, ten classes; None for one that this version does not have."""
    algorithm, net = _SUBJECTS[name](quick)
    if algorithm is None or net is None:
        print(f"left out: {name} is not part of this version")
        return None
    return Recipe(
        name=name,
        description=name,
        algorithm=algorithm,
        net=net,
        data=DataSettings(name="cifar10", augmentation=Augmentation()),
        trainer=TrainerSettings(precision=precision, **settings),  # pyright: ignore[reportArgumentType]
        epochs=1,
        batch_size=8 if quick else batch_size,
    )


def _resnet17(quick: bool):
    return DeeperForward(), ResNet17(width=10 if quick else 100)


def _tiny_cnn(quick: bool):
    return DeeperForward(), TinyCNN(width=10 if quick else 100)


def _vgg8(quick: bool):
    """The spatial method on its own network, where this version has both."""
    algorithm, net = getattr(onward.algorithms, "ASGE", None), getattr(onward.nets, "VGG8", None)
    return (algorithm(), net()) if algorithm and net else (None, None)


def _airbench(quick: bool):
    return ASGE(), Airbench(width=8) if quick else Airbench()


def _mlp(quick: bool):
    return DistanceForward(), MLP(width=32, depth=4) if quick else MLP(width=1000, depth=4)


_SUBJECTS = {"airbench": _airbench, "mlp": _mlp, "resnet17": _resnet17, "tiny_cnn": _tiny_cnn, "vgg8": _vgg8}
