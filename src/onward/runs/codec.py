"""Settings as JSON and back: a closed set of dataclasses, each written with its class name."""

from dataclasses import fields, is_dataclass
from typing import Any

from onward.algorithms import ALGORITHMS
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import NETS
from onward.recipes import Published, Recipe

_CLASSES = {
    cls.__name__: cls for cls in (*ALGORITHMS, *NETS, Augmentation, DataSettings, Published, Recipe, TrainerSettings)
}


def encode(value: Any) -> Any:
    """Turn settings into plain JSON values."""
    if is_dataclass(value):
        assert type(value).__name__ in _CLASSES, type(value)
        return {"type": type(value).__name__, **{f.name: encode(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    assert value is None or isinstance(value, bool | int | float | str), value
    return value


def decode(value: Any) -> Any:
    """Turn what `encode` made back into settings. Raises ValueError for an unknown class, field or value."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    name = value.get("type")
    if name not in _CLASSES:
        raise ValueError(f"unknown kind of settings {name!r}; this version of onward knows {', '.join(_CLASSES)}")
    try:
        return _CLASSES[name](**{key: decode(item) for key, item in value.items() if key != "type"})
    except TypeError as error:
        raise ValueError(f"settings of {name} do not fit this version of onward: {error}") from None
