"""The arguments `algorithm`, `net` and `data`: an error that names what to give where one is of another kind."""

from dataclasses import fields, is_dataclass

from torch import nn

from onward.algorithms import Algorithm
from onward.data import Data
from onward.nets import Architecture


def check_settings(algorithm: Algorithm) -> None:
    """Raise ValueError for a method that gives a setting of its base class another default, without any effect."""
    kind = type(algorithm)
    taken = set(kind.__annotations__) if "__dataclass_fields__" in vars(kind) else set()
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else []
    without = next((name for name in names if name in vars(kind) and name not in taken), None)
    if without is not None:
        raise ValueError(
            f"{kind.__name__} gives {without} another default, which has no effect without a dataclass and a type: "
            f"write @dataclass(frozen=True, kw_only=True) above class {kind.__name__}, and {without}: TYPE = VALUE"
        )


def check_kinds(algorithm: object, net: object, data: object) -> None:
    """Raise ValueError, with the remedy, for classes, torch modules, arrays and other objects of the wrong kind."""
    for name, value in (("algorithm", algorithm), ("net", net)):
        if isinstance(value, type):
            raise ValueError(f"{name} is the class {value.__name__}: give an object, {value.__name__}()")
    if not isinstance(algorithm, Algorithm):
        raise ValueError(f"algorithm is a {type(algorithm).__name__}: give one of onward's, such as DeeperForward()")
    check_settings(algorithm)
    if isinstance(net, nn.Module):
        raise ValueError(
            f"net is a torch module, {type(net).__name__}, which onward.local trains in place: give one of onward's "
            "networks, such as TinyCNN(width=50), or an Architecture of your own"
        )
    if not isinstance(net, Architecture):
        raise ValueError(f"net is a {type(net).__name__}: give one of onward's networks, such as TinyCNN(width=50)")
    if not isinstance(data, Data):
        raise ValueError(
            f"data is a {type(data).__name__}: give the images and labels themselves to "
            "onward.from_arrays(images, labels) and pass on what it returns"
        )
