"""The index of `onward list` and completion, in a file: reading it is fast, importing the recipes imports torch.

The file names the sources that it was made from. Where one of them differs, the recipes themselves are asked, which
takes seconds and is never out of date. `python -m onward.cli.index` writes it again.
"""

import json
import statistics
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from onward.registry import imported_modules
from onward.storage.strict_json import json_digest

_SOURCE = Path(__file__).parent.parent
_FILE = Path(__file__).with_name("index.json")
_MADE_FROM = ("algorithms/*.py", "recipes/*.py", "recipes/*/*.py", "data/named.py", "data/sources.py")


class RecipeRow(NamedTuple):
    """The entry of a recipe in the list."""

    name: str
    method: str
    data: str
    description: str


class Summary(NamedTuple):
    """Summary of the records of a recipe: results of its seeds on the test split, fractions or R2, and minutes each."""

    tests: Sequence[float]
    minutes: float
    data: str = ""
    """The copy of a data set that they were trained on, where it is not the public one."""
    task: str = ""
    """The task, where it is not one class of each sample."""

    @property
    def test(self) -> float:
        """Mean result on the test split."""
        return statistics.mean(self.tests)


class Listed(NamedTuple):
    """All that is listed: names with a line each, and by recipe its records and how far its gradient reaches."""

    algorithms: Sequence[Sequence[str]]
    recipes: Sequence[RecipeRow]
    controls: Sequence[Sequence[str]]
    old_names: Mapping[str, str]
    data_sets: Sequence[Sequence[str]]
    records: Mapping[str, Summary]
    locality: Mapping[str, str]
    shared_controls: Mapping[str, str]
    """By recipe, the control by backprop of another one that is its own too."""


def read_index() -> Listed:
    """Return what the file has, and the entries of installed packages and of files given by --with."""
    kept = json.loads(_FILE.read_text(encoding="utf-8"))
    descriptions = kept if kept["sources"] == sources() else described()
    own = Listed(
        descriptions["algorithms"],
        [RecipeRow(**row) for row in descriptions["recipes"]],
        descriptions["controls"],
        descriptions["old_names"],
        descriptions["data_sets"],
        {name: Summary(**summary) for name, summary in kept["records"].items()},
        kept["locality"],
        kept["shared_controls"],
    )
    announced = bool(imported_modules()) or any(
        metadata.entry_points(group=f"onward.{kind}") for kind in ("algorithms", "data", "recipes")
    )
    return _with_packages(own) if announced else own


def recipe_names(begun: str = "") -> list[str]:
    """Return what `onward train` takes: recipes, and their controls where the name of one is begun."""
    index = read_index()
    rows = [recipe.name for recipe in index.recipes]
    kinds = [kind for kind, _ in index.controls if begun.startswith(f"{kind}-")]
    return [*rows, *(f"{kind}-{row}" for kind in kinds for row in rows)]


def sources() -> dict[str, int]:
    """Return a checksum of every file that decides what is listed."""
    paths = sorted(path for pattern in _MADE_FROM for path in _SOURCE.glob(pattern))
    return {path.relative_to(_SOURCE).as_posix(): _checksum(path) for path in paths}


def _checksum(path: Path) -> int:
    return zlib.crc32(path.read_bytes().replace(b"\r\n", b"\n"))


def described() -> dict[str, Any]:
    """Return the index, computed from the recipes themselves."""
    from onward.algorithms import ALGORITHMS
    from onward.data import DATA_SETS
    from onward.recipes import CONTROLS, RECIPES, former

    names = [
        *(recipe.name for recipe in RECIPES),
        *(f"{kind}-{recipe.name}" for kind in CONTROLS for recipe in RECIPES),
    ]
    return {
        "algorithms": [[cls.__name__, _first_line(cls)] for cls in ALGORITHMS],
        "recipes": [_recipe_row(recipe)._asdict() for recipe in RECIPES],
        "controls": [list(item) for item in CONTROLS.items()],
        "old_names": {old: name for name in names for old in former(name)},
        "data_sets": [list(item) for item in DATA_SETS],
    }


def _recipe_row(recipe: Any) -> RecipeRow:
    return RecipeRow(recipe.name, type(recipe.algorithm).__name__, recipe.data.name, recipe.description)


def _with_packages(index: Listed) -> Listed:
    """Add the entries of installed packages and of imported files, which are imported for this, and torch with them."""
    from onward import registry
    from onward.recipes.lookup import listed_recipes

    listed = {row.name for row in index.recipes}
    added = [recipe for name, recipe in listed_recipes().items() if name not in listed]
    methods = {name for name, _ in index.algorithms}
    others = {name: cls for name, cls in registry.ALGORITHMS.values().items() if name not in methods}
    data = [[name, _first_line(made)] for name, made in registry.DATA.values().items()]
    return index._replace(
        algorithms=[*index.algorithms, *([name, _first_line(cls)] for name, cls in others.items())],
        recipes=[*index.recipes, *map(_recipe_row, added)],
        data_sets=[*index.data_sets, *data],
    )


def _first_line(described: Any) -> str:
    return ((described.__doc__ or "").strip().splitlines() or [""])[0]


def summarized(folder: Path, old_names: Mapping[str, str]) -> dict[str, Summary]:
    """Return by recipe, under its current name, the summary of the records below a folder; damaged ones are skipped.

    Records of a copy of a data set that is not the public one count, with its name, where there are no others.
    """
    copies: dict[str, dict[str, list[tuple[float, float, str]]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("runs/**/seed-*.json")):
        try:
            result = json.loads(path.read_bytes())
            if result.pop("sha256") != json_digest(result):
                continue
            if path.name != f"seed-{result.get('seed', path.stem[5:])}.json":
                continue  # a copy
            accuracy, seconds = float(result["test_accuracy"]), float(result["train_seconds"])  # not in every JSON file
            numbers = accuracy, seconds, str(result.get("task") or "classes")
            name = path.relative_to(folder).parts[1]
            copies[old_names.get(name, name)][str(result.get("data_note", ""))].append(numbers)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return {name: _summary(*min(notes.items())) for name, notes in copies.items()}  # no note comes first


def with_own(filed: Mapping[str, Summary], own: Mapping[str, Summary]) -> dict[str, Summary]:
    """Return filed summaries and a user's own, which count before them, but not one of a copy before a public set's."""
    kept = {name for name in own.keys() & filed.keys() if own[name].data and not filed[name].data}
    return {**filed, **{name: summary for name, summary in own.items() if name not in kept}}


def _summary(note: str, runs: Sequence[tuple[float, float, str]]) -> Summary:
    tests = [round(accuracy, 6) for accuracy, _, _ in runs]
    minutes = round(statistics.mean(seconds for _, seconds, _ in runs) / 60, 3)
    task = runs[0][2]
    return Summary(tests, minutes, note, "" if task == "classes" else task)


def localities(folder: Path) -> dict[str, str]:
    """Return by recipe how far its gradient reaches, where that is known; measure it for what is on record."""
    from onward.recipes import RECIPES
    from onward.runs.localities import kept, write
    from onward.runs.records import read_records

    recorded = [runs[0].recipe for runs in read_records(folder).values()]
    write(recorded, RECIPES)
    return {recipe.name: kept(recipe) for recipe in RECIPES if kept(recipe)}


def shared_controls(folder: Path) -> dict[str, str]:
    """Return by recipe the control of its records below a folder, where that has another recipe's name."""
    from onward.results.tables import control_of
    from onward.runs.records import read_records

    records = read_records(folder)
    beside = {row.recipe: control_of(row, records) for row in records}
    names = {name: runs[0].recipe.name for name, runs in beside.items() if runs}
    return {name: other for name, other in sorted(names.items()) if other != f"backprop-{name}"}


def write_index(records: Path) -> None:
    """Make the file from the recipes and the records of a folder."""
    descriptions = described()
    summaries = summarized(records, descriptions["old_names"])
    filed = {"records": {name: _written(each) for name, each in summaries.items()}, "locality": localities(records)}
    filed["shared_controls"] = shared_controls(records)
    content = {"sources": sources(), **descriptions, **filed}
    _FILE.write_text(_lines(content), encoding="utf-8", newline="\n")


def _written(summary: Summary) -> dict[str, Any]:
    return {key: value for key, value in summary._asdict().items() if key not in ("data", "task") or value}


def _lines(content: Mapping[str, Any]) -> str:
    """Write an entry a line, so that a change of one recipe is a change of few lines."""
    parts = []
    for key, value in content.items():
        entries = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()] if isinstance(value, dict) else None
        brackets, entries = ("[]", [json.dumps(v) for v in value]) if entries is None else ("{}", entries)
        parts.append(f"{json.dumps(key)}: {brackets[0]}\n" + ",\n".join(entries) + f"\n{brackets[1]}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    write_index(Path("results"))
