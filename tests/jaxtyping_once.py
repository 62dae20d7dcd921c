"""Annotations are checked by beartype alone where they name no shapes, and each once in a call.

jaxtyping binds the arguments of every call, and checks them again beside the result: that took a fifth of the time of
all tests. What is checked is the same.
"""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import beartype
from jaxtyping import AbstractArray, config

_twice = jaxtyping.jaxtyped
_in_scope = functools.partial(_twice, "context")  # sizes of a call, by the names of axes


def check_once(annotated: Any = None, *, typechecker: Any) -> Any:
    """Decorate what jaxtyping's import hook decorates: functions, classes, and the descriptors of their methods."""
    if annotated is None:
        return functools.partial(check_once, typechecker=typechecker)
    if inspect.isclass(annotated):
        if dataclasses.is_dataclass(annotated) and not hasattr(annotated.__init__, "checked_once"):
            annotated.__init__ = _checked(annotated.__init__)
        return annotated
    return _checked(annotated) if inspect.isfunction(annotated) else _twice(annotated, typechecker=typechecker)


def _checked(function: types.FunctionType) -> Callable:
    hints = {name: _resolved(hint, function) for name, hint in function.__annotations__.items()}
    shaped = any(_names_shapes(hint) for hint in hints.values())
    check_result = _result_check(function, hints.pop("return", Any))
    check_arguments = _argument_check(function, hints)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if config.jaxtyping_disable:
            return function(*arguments, **named)
        if not shaped:
            check_arguments(*arguments, **named)
            return check_result(function(*arguments, **named))
        with _in_scope():
            check_arguments(*arguments, **named)
            return check_result(function(*arguments, **named))

    call.checked_once = True  # type: ignore[attr-defined]
    return call


def _argument_check(function: types.FunctionType, hints: dict[str, Any]) -> Callable:
    """Return a function that takes the same: it has ended, with what it looked at, before the other one begins."""
    parameters = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else None)
        for p in inspect.signature(function, follow_wrapped=False).parameters.values()
    ]
    made: dict[str, Any] = {}
    exec(f"def check{inspect.Signature(parameters)}: ...", made)
    check = made["check"]
    check.__defaults__, check.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return _named(check, function, hints)


def _result_check(function: types.FunctionType, hint: Any) -> Callable:
    def check(result):
        return result

    return check if hint is Any else _named(check, function, {"result": hint})


def _named(check: Any, function: types.FunctionType, hints: dict[str, Any]) -> Callable:
    check.__annotations__, check.__module__, check.__qualname__ = hints, function.__module__, function.__qualname__
    return beartype(check)


def _resolved(hint: Any, function: types.FunctionType) -> Any:
    """Return what a hint names; Any where that is defined further down in its file, as jaxtyping does."""

    def holder(value): ...

    holder.__annotations__ = {"value": hint}
    try:
        return get_type_hints(holder, function.__globals__, include_extras=True)["value"]
    except Exception:  # noqa: BLE001 (whatever a name stands for)
        return Any


def _names_shapes(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    return any(_names_shapes(part) for part in (hint if isinstance(hint, list) else get_args(hint)))
