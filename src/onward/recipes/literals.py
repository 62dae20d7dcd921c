"""A recipe as a Python literal, as in its file: all fields that are not their defaults, one line per part."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from fractions import Fraction
from typing import Any

from onward.recipes.recipe import Recipe

WIDTH = 116  # of a line inside the brackets of a recipe
_INDENT = "    "
_LINES = (
    ("method", "variant", "scale", "name", "description"),
    ("data",),
    ("algorithm", "net"),
    ("trainer", "epochs", "batch_size", "seed", "class_weights", "backprop_rate"),
    ("published",),
)
_ALWAYS = {("TrainerSettings", "learning_rate"), ("DataSettings", "name"), ("Recipe", "batch_size")}


def literal(recipe: Recipe) -> str:
    """Return a recipe as Python code, which evaluates to an equal recipe."""
    written_fields = dict(_fields_of(recipe))
    if recipe.name == recipe.computed_name():
        written_fields.pop("name", None)
    lines = []
    for names in _LINES:
        lines += _packed([f"{name}={written_fields[name]}" for name in names if name in written_fields], WIDTH)
    return "\n".join(["Recipe(", *(f"{_INDENT}{line}" for line in lines), ")"])


def written(value: Any) -> str:
    """Return a setting as Python code, a dataclass with the fields that are not their defaults."""
    if is_dataclass(value):
        return f"{type(value).__name__}({', '.join(f'{name}={text}' for name, text in _fields_of(value))})"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _fields_of(value: Any) -> Iterable[tuple[str, str]]:
    """Return name and text of each field that is not its default, or that is always written."""
    for field in fields(value):
        own = getattr(value, field.name)
        if own != _default(field) or (type(value).__name__, field.name) in _ALWAYS:
            yield field.name, written(own)


def _default(field: Field) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _number(value: float) -> str:
    """Return a number as Python code; a fraction of small integers as such: 1 / 6."""
    part = Fraction(value).limit_denominator(100) if value == value and abs(value) < 1 else Fraction(0)
    long = len(repr(value)) > 12 and part.numerator / part.denominator == value
    return f"{part.numerator} / {part.denominator}" if long else repr(value)


def _packed(items: Sequence[str], width: int) -> list[str]:
    """Return items with commas in as few lines as the width allows; an item of several lines begins a new line."""
    lines: list[str] = []
    alone = True
    for item in items:
        if not alone and len(lines[-1]) + len(item) + 2 <= width:
            lines[-1] += f" {item},"
        else:
            broken = _broken(f"{item},", width)
            lines, alone = [*lines, *broken], len(broken) > 1
    return lines


def _broken(item: str, width: int) -> list[str]:
    """Return a call that is too wide with its arguments on separate lines."""
    if len(item) <= width or not item.endswith("),"):
        return [item]
    head, _, inside = item.removesuffix("),").partition("(")
    return [f"{head}(", *(f"{_INDENT}{line}" for line in _packed(_arguments(inside), width - len(_INDENT))), "),"]


def _arguments(inside: str) -> list[str]:
    """Cut the text between the brackets of a call at its outer commas."""
    parts, depth, quoted = [""], 0, False
    for letter in inside:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [argument.strip() for argument in parts]
