"""Registered names: names of algorithms, networks, data sets and recipes in files, and those that other packages add.

A file holds a name, never the path of a module. A name is known because onward has it, because a program called
`onward.register`, or because an installed package announces it as an entry point of the group `onward.algorithms`,
`onward.nets`, `onward.data` or `onward.recipes`. Nothing is imported by a path that is found in a file.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar, cast

Kind = Literal["algorithms", "nets", "data", "recipes"]
T = TypeVar("T")

FILE_PREFIX = "onward_file_"
"""How the module is called that the command line makes of a Python file."""

_ONE = {"algorithms": "algorithm", "nets": "network", "data": "data set", "recipes": "recipe"}


class Registry:
    """What is registered of one kind, by name. An entry point is imported when its name is asked for."""

    def __init__(self, kind: Kind):
        self.kind = kind
        self._values: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}

    def add(self, name: str, value: Any, *, aliases: tuple[str, ...] = ()) -> None:
        """Register a value. Raises ValueError for a name that is no name, or that another value has."""
        for each in (name, *aliases):
            if not isinstance(each, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", each, re.ASCII):
                raise ValueError(f"{each!r} is no name of {_ONE[self.kind]}s: use letters, digits, '_', '-' and '.'")
            holder = self._values.get(self._aliases.get(each, each))
            if holder is not None and holder is not value and not _reloaded(holder, value):
                raise ValueError(
                    f"the name {each!r} is taken by {_called(holder)}: register {_called(value)} by another"
                )
        self._values[name] = value
        self._aliases |= dict.fromkeys(aliases, name)

    def find(self, name: str, *, package: str | None = None) -> Any:
        """Return what has a name. Raises ValueError with what to install or register; `package` brought it once."""
        known = self._known(name)
        if known is None:
            raise ValueError(_unknown(self, name, package))
        return known

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._known(name) is not None

    def name_of(self, value: Any) -> str | None:
        """Return the name under which a value itself is registered; None if it is not."""
        return self._name(value) or (self._load_all() and self._name(value)) or None

    def package_of(self, value: Any) -> str | None:
        """Return the package that brought a value, by its name on PyPI where it has one; None for onward's own."""
        top = getattr(value, "__module__", "").partition(".")[0]
        if top == "onward":
            return None
        if top.startswith(FILE_PREFIX):
            return Path(sys.modules[top].__file__ or top).name
        return next(iter(metadata.packages_distributions().get(top, ())), top)

    def values(self) -> Mapping[str, Any]:
        """Return all that is registered by name, entry points imported. Raises ValueError if one cannot be."""
        self._load_all()
        return dict(self._values)

    def names(self) -> list[str]:
        """Return all names, those of entry points too, which are not imported for it."""
        return sorted({*self._values, *(point.name for point in self._points())})

    def spelled(self, name: str) -> str | None:
        """Return the name that is meant by one in another spelling: mono_forward is MonoForward. None if there is none.

        Case, "_" and "-" do not count, unless names differ in these alone.
        """
        names = self.names()
        alike = [known for known in names if _letters(known) == _letters(name)]
        return name if name in names else alike[0] if len(alike) == 1 else None

    def _known(self, name: str) -> Any:
        if self._aliases.get(name, name) not in self._values:
            for point in self._points():
                if point.name == name:
                    self._load(point)
        return self._values.get(self._aliases.get(name, name))

    def _name(self, value: Any) -> str | None:
        return next((name for name, known in self._values.items() if known is value), None)

    def _load_all(self) -> bool:
        for point in self._points():
            if point.name not in self._values:
                self._load(point)
        return True

    def _load(self, point: metadata.EntryPoint) -> None:
        try:
            value = point.load()
        except Exception as error:
            raise ValueError(
                f"the {_ONE[self.kind]} {point.name!r} of {_package(point)} cannot be imported "
                f"({type(error).__name__}: {error}): repair or uninstall that package"
            ) from error
        self.add(point.name, value, aliases=tuple(getattr(value, "aliases", ())))

    def _points(self) -> Iterator[metadata.EntryPoint]:
        yield from metadata.entry_points(group=f"onward.{self.kind}")


ALGORITHMS = Registry("algorithms")
NETS = Registry("nets")
DATA = Registry("data")
RECIPES = Registry("recipes")


def imported_modules() -> list[ModuleType]:
    """Return the modules that the command line made of Python files, in the order of their import."""
    return [module for name, module in sys.modules.items() if name.startswith(FILE_PREFIX)]


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _reloaded(one: Any, other: Any) -> bool:
    """Whether two classes are one, made twice: a notebook runs a cell again, a module is reloaded."""
    names = [(getattr(value, "__module__", 1), getattr(value, "__qualname__", 2)) for value in (one, other)]
    return names[0] == names[1]


def _called(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    module = sys.modules.get(getattr(value, "__module__", ""))
    if name and module is not None and module.__name__.startswith(FILE_PREFIX):
        return f"{name} of {module.__file__}"
    return f"{value.__module__}.{name}" if name else repr(value)


def _package(point: metadata.EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist is not None else f"the entry point {point.value}"


def _unknown(registry: Registry, name: str, package: str | None) -> str:
    if package is None or package == "__main__":
        remedy = "install the package that has it, or call onward.register on it first"
    elif package.endswith(".py"):
        remedy = f"it came with the file {package}: onward --with path/to/{package} COMMAND"
    else:
        remedy = f"it came with {package!r}: install that package, or import it where it calls onward.register"
    return f"unknown {_ONE[registry.kind]} {name[:60]!r}; {remedy}"


def register(value: T, *, name: str | None = None, aliases: tuple[str, ...] = ()) -> T:
    """Make an algorithm, a network, a data set or recipes known by name, so that files can hold them; return it.

    A class of `Algorithm` or `Architecture` is registered under its own name unless another is given, so that this
    also works as a decorator; recipes under theirs. A data set is a function of `DataSettings` and the data folder
    (a path or None) that returns `Splits`. `aliases` are names that it had before: files that hold them stay readable.
    Raises ValueError for what is none of these, or a name that is taken.
    """
    if isinstance(value, tuple | list):
        for each in value:
            register(each)
        return cast(T, value)
    registry: Registry | None = getattr(value, "registered_in", None)
    if (registry is None and isinstance(value, type | str)) or not (registry or callable(value)):
        raise ValueError(
            f"{value!r} cannot be registered: give a class of Algorithm or Architecture, a recipe, "
            "or a function that returns the splits of a data set"
        )
    own = getattr(value, "name", None) if registry is RECIPES else getattr(value, "__name__", None)
    if registry is not RECIPES and registry is not None and not isinstance(value, type):
        raise ValueError(f"{value!r} is an object: register its class, {type(value).__name__}")
    (registry or DATA).add(name or str(own), value, aliases=aliases)
    return cast(T, value)
