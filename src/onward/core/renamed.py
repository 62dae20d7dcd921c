"""Former names: fields, attributes and methods that were renamed still work, with a warning."""

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from inspect import getattr_static
from types import MappingProxyType
from typing import Any, TypeVar, cast

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_NONE: Mapping[str, Any] = MappingProxyType({})


class Renamed:
    """The old name of an attribute or method of a class: it gives what the new name gives, with a warning."""

    def __init__(self, new: str):
        self.new = new

    def __set_name__(self, owner: type, old: str) -> None:
        self.owner, self.old = owner, old

    def __get__(self, instance: Any, kind: type) -> Any:
        _warn(self.owner.__name__, self.old, self.new)
        if instance is not None and getattr_static(kind, self.old) is not self:  # called by super() of an old override
            return getattr(self.owner, self.new).__get__(instance)
        return getattr(kind if instance is None else instance, self.new)


def adopt_overrides(cls: type, **renamed: str) -> None:
    """Let a subclass that overrides a method under its old name override it under the new one; `old="new"`."""
    for old, new in renamed.items():
        if old in vars(cls) and new not in vars(cls) and not isinstance(vars(cls)[old], Renamed):
            _warn(cls.__name__, old, new)
            setattr(cls, new, vars(cls)[old])


def renamed_fields(**renamed: str) -> Callable[[C], C]:
    """Decorate a dataclass whose fields were renamed, `old="new"`: old names work too, with a warning.

    Raises ValueError where a field is given by both names. Files with an old name are read by `onward.runs.codec`.
    """

    def decorate(cls: C) -> C:
        build, defaults = cls.__init__, {field.name: field.default for field in fields(cls)}

        @wraps(build)
        def __init__(self: Any, *args: Any, **values: Any) -> None:
            for old in values.keys() & renamed.keys():
                new, value = renamed[old], values.pop(old)
                _warn(cls.__name__, old, new)
                if values.get(new, defaults[new]) not in (defaults[new], value):
                    raise ValueError(f"{old} is the old name of {new}: give {new} alone")
                values[new] = value
            build(self, *args, **values)

        cls.__init__ = __init__
        cls.former_fields = renamed
        for old, new in renamed.items():
            alias = Renamed(new)
            setattr(cls, old, alias)
            alias.__set_name__(cls, old)
        return cls

    return decorate


def former_names(
    module: str, *, calls: Mapping[str, tuple[str, Any]] = _NONE, gone: Mapping[str, str] = _NONE, **renamed: str
) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module with renamed names, `Old="New"`; it raises AttributeError for others.

    `calls` has, for a name whose arguments changed too, the new call as text, and a function that takes the old
    arguments. `gone` has names without a successor and the remedy for each: they raise ImportError, since an import
    shows no other message.
    """

    def __getattr__(name: str) -> Any:
        if name in calls:
            _warn(module, name, calls[name][0])
            return calls[name][1]
        if name in gone:
            raise ImportError(f"{module}.{name} is no longer there: {gone[name]}")
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(module, name, renamed[name])
        return getattr(sys.modules[module], renamed[name])

    return __getattr__


def removed_argument(name: str, *, default: Any, remedy: str) -> Callable[[F], F]:
    """Decorate a function that lost a named argument: its default is accepted with a warning.

    Raises ValueError with the remedy for another value.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def called(*args: Any, **values: Any) -> Any:
            if name in values:
                value, holder = values.pop(name), function.__qualname__.removesuffix(".__init__")
                if value != default:
                    raise ValueError(f"{name}={value!r} is no longer an argument of {holder}: {remedy}")
                _warn(holder, name, "gone: leave it out", verb="is")
            return function(*args, **values)

        return cast(F, called)

    return decorate


def _warn(holder: str, old: str, new: str, *, verb: str = "is now") -> None:
    warnings.warn(f"{holder}.{old} {verb} {new}", DeprecationWarning, stacklevel=3)
