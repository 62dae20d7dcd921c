"""Names: METHOD-DATA[-VARIANT][-SCALE] of a row, CONTROL-ROW of a control, and former names of both."""

from collections.abc import Container, Mapping

from onward.recipes.aliases import ALIASES, RETIRED
from onward.recipes.controls import CONTROLS, control
from onward.recipes.recipe import Recipe

_PREFIXES = {"backprop_recompute": "recompute", "backprop_accumulated": "accumulate"}
"""Former names of controls that are now named after the row, not after its backprop control."""


def current(name: str, rows: Container[str] | None = None) -> str:
    """Return the current name of a row, or of a control of one; an unknown name is returned unchanged.

    `rows`: the names of all rows; None: those of onward.
    """
    rows = _own() if rows is None else rows
    if name in rows:
        return name
    if name in ALIASES:
        return ALIASES[name]
    head, _, rest = name.partition("-")
    if head in _PREFIXES:
        row = current(f"backprop-{rest}", rows).removeprefix("backprop-")
        return f"{_PREFIXES[head]}-{row}" if row in rows else name
    row = current(rest, rows) if head in CONTROLS else ""
    return f"{head}-{row}" if row in rows else name


def former(name: str) -> tuple[str, ...]:
    """Return the former names of a row or a control, the latest first."""
    names = [old for old, new in ALIASES.items() if new == name]
    kind, _, row = name.partition("-")
    if kind in CONTROLS and kind not in _PREFIXES.values():
        names += [f"{kind}-{old}" for old in former(row)]
    for before, now in _PREFIXES.items():
        if kind == now:
            named = (f"backprop-{row}", *former(f"backprop-{row}"))
            names += [f"{before}-{old.removeprefix('backprop-')}" for old in named]
    return tuple(dict.fromkeys(names))


def nearest(name: str) -> str:
    """Return the listed row, or control of one, that is nearest to a retired one; "" for any other name."""
    name = current(name, RETIRED)
    if name in RETIRED:
        return RETIRED[name]
    kind, _, row = name.partition("-")
    return f"{kind}-{RETIRED[row]}" if kind in CONTROLS and row in RETIRED else ""


def find(name: str, rows: Mapping[str, Recipe] | None = None) -> Recipe | None:
    """Return the row of a name, or the control of a row for CONTROL-ROW; None if there is neither.

    `rows`: all rows by name; None: those of onward. Former names are known too. Raises ValueError for a control that
    the row cannot have.
    """
    rows = _own() if rows is None else rows
    name = current(name, rows)
    if name in rows:
        return rows[name]
    kind, _, row = name.partition("-")
    return control(rows[row], kind) if kind in CONTROLS and row in rows else None


def find_retired(name: str) -> Recipe | None:
    """Return a row that was removed, or a control of one; None for any other name.

    Raises ValueError for a control that the row cannot have.
    """
    if not nearest(name):
        return None
    from onward.recipes.retired import ROWS  # rarely needed

    return find(name, {row.name: row for row in ROWS})


def _own() -> Mapping[str, Recipe]:
    from onward.recipes.rows import ROWS  # it builds all recipes

    return ROWS
