"""Dataclasses as JSON and back, checked by the types of their fields.

Unlike settings (`onward.runs.codec`), results name no class: the caller gives it. Keys are the names of fields, in
their order. A field marked `ABSENT` has no key if it has its default: it was not requested, or the file is older.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from onward.storage.forms import PLAIN, check_value, is_union, shown

T = TypeVar("T")

ABSENT = {"absent": True}
"""Metadata of a field that has no key in a file if it has its default."""
OTHERS = {"others": True}
"""Metadata of a dict for the keys of no other field; they are written after those of the fields."""
ASIDE = {"aside": True}
"""Metadata of a field that is in no file."""


def to_json(value: Any) -> Any:
    """Turn results into plain JSON values: dataclasses and named tuples into objects, tuples into lists."""
    if is_dataclass(value):
        members = {f.name: getattr(value, f.name) for f in fields(value) if not _left_out(value, f)}
        return {name: to_json(inner) for name, inner in members.items()} | _others(value)
    if _is_named(type(value)):
        return {name: to_json(inner) for name, inner in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(content: Any, kind: type[T], where: str) -> T:
    """Turn the JSON values of `to_json` back into an object of a class.

    Keys without a field go into the field marked `OTHERS`, or are ignored if there is none.
    Raises ValueError naming `where` and the field for a value that is missing or of another type.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{where} must be an object, got {shown(content)}")
    given: dict[str, Any] = {}
    for name, (expected, needed) in _form(kind).items():
        if name in content:
            given[name] = _value(content[name], expected, f"{name} in {where}")
        elif needed:
            raise ValueError(f"{where} has no {name}: it is not from onward, or from another version")
    taker = _taker(kind)
    if taker is not None:
        given[taker] = {name: value for name, value in content.items() if name not in _form(kind)}
    return kind(**given)


def _value(value: Any, kind: Any, where: str) -> Any:
    inner = get_args(kind)
    if is_union(kind):
        holder = next((each for each in inner if _is_object(each) or get_origin(each) in (tuple, dict)), None)
        if holder is not None and isinstance(value, dict | list):
            return _value(value, holder, where)
    if _is_object(kind):
        return from_json(value, kind, where)
    several = get_origin(kind) is tuple and inner[-1] is Ellipsis and inner[0] not in PLAIN
    if several and isinstance(value, list):
        return tuple(_value(item, inner[0], f"entry {k} of {where}") for k, item in enumerate(value))
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _value(item, inner[1], f"{key!r} of {where}") for key, item in value.items()}
    return _plain(value, kind, where)


def _plain(value: Any, kind: Any, where: str) -> Any:
    check_value(value, kind, where)
    return tuple(value) if get_origin(kind) is tuple else value


def _left_out(value: Any, each: Field) -> bool:
    return not _filed(each) or ("absent" in each.metadata and getattr(value, each.name) == _default(each))


def _default(each: Field) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _filed(each: Field) -> bool:
    """Whether a field has a key in a file."""
    return not {"others", "aside"} & each.metadata.keys()


def _others(value: Any) -> dict[str, Any]:
    taker = _taker(type(value))
    return {} if taker is None else getattr(value, taker)


def _is_object(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or _is_named(kind))


def _is_named(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


@cache
def _taker(kind: type) -> str | None:
    """Return the name of the field for the keys of no other; None if there is none."""
    return next((f.name for f in fields(kind) if "others" in f.metadata), None) if is_dataclass(kind) else None


@cache
def _form(kind: type) -> Mapping[str, tuple[Any, bool]]:
    """Return the type of each field, and whether a file must have it."""
    hints = get_type_hints(kind)
    if _is_named(kind):
        return {name: (hints[name], name not in kind._field_defaults) for name in kind._fields}  # pyright: ignore
    own = [f for f in fields(kind) if _filed(f)]  # pyright: ignore
    return {f.name: (hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in own}
