"""Forms: checks that a JSON value has the type of a field."""

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
PLAIN = (int, float, str, bool)
"""Types that `isinstance` decides without reading the value's content."""
_LARGEST = 2**63  # limit of sizes and values of tensors


def check_object(content: Any, form: Mapping[str, Any], where: str) -> None:
    """Raise ValueError naming the field unless `content` is an object with at least the fields of `form`, by type."""
    if not isinstance(content, dict):
        raise ValueError(f"{where} must be an object, got {shown(content)}")
    for name, kind in form.items():
        if name not in content:
            raise ValueError(f"{where} has no {name}: it is not from onward, or from another version")
        check_value(content[name], kind, f"{name} in {where}")


def check_value(value: Any, kind: Any, where: str) -> None:
    """Raise ValueError unless a JSON value is of a type: a plain one, a Literal, a union, a list, tuple or dict."""
    if kind in (Any, object):
        return
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (list, tuple):
        _check_list(value, kind, where)
    elif origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object, got {shown(value)}")
        for key, item in value.items():
            check_value(item, inner[1], f"{key!r} of {where}")
    elif not _is(value, kind):
        raise ValueError(f"{where} must be {_said(kind)}, got {shown(value)}")


@contextmanager
def naming(said: str) -> Iterator[None]:
    """Convert any error inside the `with` into a ValueError that begins with `said`: for decoding files."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{said}: {reason}") from None


def shown(value: Any) -> str:
    """Write a value so that it fits a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _check_list(value: Any, kind: Any, where: str) -> None:
    inner = get_args(kind)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where} must be a list, got {shown(value)}")
    if get_origin(kind) is list or inner[-1] is Ellipsis:
        if inner[0] in PLAIN and _all_are(value, inner[0]):
            return
        inner = (inner[0],) * len(value)
    if len(value) != len(inner):
        raise ValueError(f"{where} must have {len(inner)} entries, got {len(value)}")
    for index, (item, each) in enumerate(zip(value, inner, strict=True)):
        check_value(item, each, f"entry {index} of {where}")


def _all_are(values: Sequence[Any], kind: Any) -> bool:
    """Whether all values are certainly of a plain type, in one pass: a matrix can have a million."""
    types_met = set(map(type, values))
    if types_met == {int} and kind in (int, float):
        return min(values) >= -_LARGEST and max(values) < _LARGEST
    return types_met <= {kind} and kind is not int


def _is(value: Any, kind: Any) -> bool:
    if is_union(kind):
        return any(_fits(value, each) for each in get_args(kind))
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if kind in (int, float) and isinstance(value, int) and not isinstance(value, bool):
        return -_LARGEST <= value < _LARGEST
    return type(value) is kind


def _fits(value: Any, kind: Any) -> bool:
    try:
        check_value(value, kind, "")
    except ValueError:
        return False
    return True


def _said(kind: Any) -> str:
    if is_union(kind):
        return " or ".join(_said(each) for each in get_args(kind))
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (list, tuple, dict):
        return "a list" if get_origin(kind) is not dict else "an object"
    return _WORDS.get(kind, kind.__name__ if isinstance(kind, type) else str(kind))
