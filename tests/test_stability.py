"""The public names and their signatures are those of tests/api.txt: what changes there, a user of onward meets.

`python tests/test_stability.py` writes the file anew; the difference belongs into the changelog (docs/stability.md).
"""

import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import onward

KEPT = Path(__file__).with_name("api.txt")
PAGE = Path(__file__).parent.parent / "docs" / "stability.md"
STABLE = ("algorithms", "core", "hardware", "measure", "nets", "parts")
"""Rooms whose names and signatures change by the policy alone, beside the names of `onward` itself."""
PROVISIONAL = (
    "compare",
    "costs",
    "data",
    "export",
    "modules",
    "pipeline",
    "plots",
    "recipes",
    "results",
    "runs",
    "sklearn",
    "testing",
    "training",
)
"""Rooms whose names may change with any version, with a line in the changelog."""
_PLAIN = (int, float, str, bool, type(None))


def snapshot() -> list[str]:
    """Return a line for every public name: stable ones with their signatures, provisional ones by name."""
    lines = ["# stable: the names of `import onward`, and the rooms " + ", ".join(STABLE)]
    for name in vars(onward)["__all__"]:
        lines += _described(f"onward.{name}", getattr(onward, name), methods=True)
    for room in _with_slots(STABLE):
        module = import_module(f"onward.{room}")
        for name in sorted(module.__all__):
            lines += _described(f"onward.{room}.{name}", getattr(module, name), methods=False)
    lines += ["", "# provisional: " + ", ".join(PROVISIONAL)]
    for room in PROVISIONAL:
        module = import_module(f"onward.{room}")
        lines += [f"onward.{room}.{name}" for name in sorted(getattr(module, "__all__", ()))]
    return lines


def _with_slots(rooms: tuple[str, ...]) -> list[str]:
    """Return the rooms, and in the place of `parts` its slots."""
    slots = sorted(path.parent.name for path in Path(str(onward.parts.__file__)).parent.glob("*/__init__.py"))
    return [name for room in rooms for name in ([f"parts.{slot}" for slot in slots] if room == "parts" else [room])]


def _described(place: str, value: Any, *, methods: bool) -> list[str]:
    if isinstance(value, ModuleType):
        value = getattr(value, place.rpartition(".")[2])  # a room that is called
    if not callable(value) or not hasattr(value, "__qualname__"):
        return [place]
    lines = [f"{place}{_signature(value)}"]
    if methods and isinstance(value, type):
        for name, member in sorted(vars(value).items()):
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | classmethod)):
                shown = "" if isinstance(member, property) else _signature(getattr(value, name))
                lines.append(f"{place}.{name}{shown}")
    return lines


def _signature(value: Any) -> str:
    try:
        found = inspect.signature(value)
    except ValueError:  # of a class that is written in C
        return ""
    parameters = [_parameter(parameter) for parameter in found.parameters.values()]
    starred = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in found.parameters.values())
    keywords = [k for k, p in enumerate(found.parameters.values()) if p.kind is p.KEYWORD_ONLY]
    if keywords and not starred:
        parameters.insert(keywords[0], "*")
    return f"({', '.join(parameters)})"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}"
    default = parameter.default
    return f"{parameter.name}={default!r}" if isinstance(default, _PLAIN) else f"{parameter.name}=..."


def test_public_names_and_signatures_are_those_on_record():
    now, kept = snapshot(), KEPT.read_text(encoding="utf-8").splitlines()
    gone, new = [line for line in kept if line not in now], [line for line in now if line not in kept]
    assert now == kept, f"gone: {gone}; new: {new}; {__doc__}"


def test_the_page_says_what_is_stable():
    page = PAGE.read_text(encoding="utf-8")
    stable, _, rest = page.partition("**provisional**")
    assert all(f"`{room}`" in stable for room in STABLE) and all(f"`{room}`" in rest for room in PROVISIONAL)


def test_a_signature_is_written_with_its_plain_defaults():
    def sample(a, *, b=1, c="x", d=object):
        return a, b, c, d

    assert _signature(sample) == "(a, *, b=1, c='x', d=...)"
    assert _described("onward.fit", onward.fit, methods=False)[0].startswith(
        "onward.fit(algorithm, net, data, *, epochs="
    )


if __name__ == "__main__":
    KEPT.write_text("\n".join(snapshot()) + "\n", encoding="utf-8")
    sys.stdout.write(f"{KEPT}\n")
