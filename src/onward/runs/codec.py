"""Settings as JSON and back: registered dataclasses, each written with its name and read by its fields.

A file holds names alone. What other packages registered is written with the package it came from, so that a reader
without it can name the package to install; no file causes an import.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from onward import registry
from onward.algorithms import Algorithm
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Architecture
from onward.recipes import Published, Recipe
from onward.storage.forms import check_value, is_union, shown

_OWN: Mapping[str, type] = {
    cls.__name__: cls for cls in (Augmentation, DataSettings, Published, Recipe, TrainerSettings)
}
_REGISTRIES = (registry.ALGORITHMS, registry.NETS)
_NOT_FIELDS = {"type", "package"}
_DROPPED: Mapping[str, frozenset[str]] = {"Recipe": frozenset({"backprop"})}
"""Fields of older versions that are ignored: controls are found by budget."""


def encode(value: Any, where: str = "settings") -> Any:
    """Turn settings into plain JSON values. Raises ValueError for a class or a value that cannot be read back."""
    if is_dataclass(value) and not isinstance(value, type):
        named = _named(type(value))
        inner = {field.name: encode(getattr(value, field.name), field.name) for field in fields(value)}
        return {**named, **inner}
    if isinstance(value, list | tuple):
        return [encode(item, where) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}, which no file of a run can hold: give a finite number")
    if value is not None and not isinstance(value, bool | int | float | str):
        if isinstance(value, Algorithm | Architecture):
            raise ValueError(
                f"{type(value).__name__} is no dataclass, so that its settings cannot be saved: write "
                f"@dataclass(frozen=True, kw_only=True) above class {type(value).__name__}"
            )
        kind = "the class" if isinstance(value, type) else type(value).__name__
        raise ValueError(f"{where} is {kind} {shown(value)}: give an object of onward, or a plain number or text")
    return value


def decode(value: Any, expected: type = object, where: str = "settings") -> Any:
    """Turn the JSON values of `encode` back into settings of the class `expected`, or of a subclass.

    Raises ValueError that names `where` and the field, for an unknown or another class, a field that is missing or not
    known, and a value of another type or out of range.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be settings{_of(expected)}, got {shown(value)}")
    name, package = value.get("type"), value.get("package")
    cls = _class_of(name, package, expected, where)
    if not issubclass(cls, expected):
        raise ValueError(f"{where} must be settings{_of(expected)}, got those of {name}")
    value = _with_new_names(value, getattr(cls, "former_fields", {}))
    known, passed_over = _fields(cls), _NOT_FIELDS | _DROPPED.get(str(name), frozenset())
    strange = sorted(value.keys() - known.keys() - passed_over)
    missing = sorted(key for key, (field, _) in known.items() if _needed(field) and key not in value)
    if strange or missing:
        mismatch = ", ".join(
            [*(f"{key!r} is not known" for key in strange), *(f"{key!r} is missing" for key in missing)]
        )
        raise ValueError(f"{where}: settings of {name} do not fit this version of onward: {mismatch}")
    inner = {key: _value(value[key], known[key][1], f"{key} of {where}") for key in value if key not in passed_over}
    try:
        return cls(**inner)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"{where}: {error}") from None


def with_first_names(content: Any) -> Any:
    """Return the JSON values of `encode` with every field under its first name: for digests in files."""
    if isinstance(content, list):
        return [with_first_names(item) for item in content]
    if not isinstance(content, dict):
        return content
    name = content.get("type")
    cls = _class_of(name, content.get("package"), object, "settings") if name is not None else object
    first = {new: old for old, new in getattr(cls, "former_fields", {}).items()}
    return {first.get(key, key): with_first_names(value) for key, value in content.items()}


def _with_new_names(content: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return settings with renamed fields under their new names, except where both names occur."""
    return {key if renamed.get(key, key) in content else renamed[key]: value for key, value in content.items()}


def _value(value: Any, kind: Any, where: str) -> Any:
    """Turn the JSON value of a field back into a value of the annotated type."""
    if is_union(kind):
        settings = [each for each in get_args(kind) if _of_settings(each)]
        if isinstance(value, dict) and settings:
            return _value(value, settings[0], where)
    if _of_settings(kind):
        return decode(value, kind, where)
    inner = get_args(kind)
    if get_origin(kind) is tuple and isinstance(value, list) and any(map(_of_settings, inner)):
        return tuple(decode(item, inner[0], f"entry {k} of {where}") for k, item in enumerate(value))
    check_value(value, kind, where)
    if type(value) is int and float in (kind, *inner) and int not in inner:
        return float(value)
    return _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value


def _of_settings(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, Algorithm | Architecture))


@cache
def _fields(cls: type) -> dict[str, tuple[Field, Any]]:
    hints = get_type_hints(cls)
    return {field.name: (field, hints[field.name]) for field in fields(cls)}


def _needed(field: Field) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _of(expected: type) -> str:
    return "" if expected is object else f" of {expected.__name__}"


def _named(cls: type) -> dict[str, str]:
    """Return the entry of a class in a file. Raises ValueError if that would not be read back as this very class."""
    if _OWN.get(cls.__name__) is cls:
        return {"type": cls.__name__}
    names: registry.Registry | None = getattr(cls, "registered_in", None)
    name = names.name_of(cls) if names is not None else None
    if names is None or name is None:
        raise ValueError(
            f"{cls.__module__}.{cls.__qualname__} is not registered, and a run folder or model file holds registered "
            f"names alone: call onward.register({cls.__name__}) where it is defined, or keep learner.state_dict(), for "
            "example by safetensors.torch.save_file"
        )
    package = names.package_of(cls)
    return {"type": name, "package": package} if package else {"type": name}


def _class_of(name: Any, package: Any, expected: type, where: str) -> type:
    """Return the class that a file names. Raises ValueError with what to install or register."""
    if not isinstance(name, str) or not (package is None or isinstance(package, str)):
        raise ValueError(f"{where} is of an unknown kind, {shown(name)}")
    if name in _OWN:
        return _OWN[name]
    wanted: registry.Registry | None = getattr(expected, "registered_in", None)
    for names in (wanted,) if wanted in _REGISTRIES else _REGISTRIES:
        if names is not None and name in names:
            return names.find(name)
    for names in _REGISTRIES:  # of another kind than is expected here
        if name in names:
            return names.find(name)
    try:
        return (wanted if wanted in _REGISTRIES and wanted else registry.ALGORITHMS).find(name, package=package)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
