"""Every recipe that there was on 28 November 2026, before rows became literals: the same settings, under any name.

`rows_of_november.json.gz` holds the settings of all 960 of them as files held them then, with published number and
control. It is never made again: names in it are in records, run folders, plans and habits. 38 rows of them are retired:
they were never trained, stand in no published table, and are listed no more.
"""

import gzip
import json
from pathlib import Path
from typing import Any

from onward.algorithms import Algorithm
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import Architecture
from onward.recipes import ROWS, Recipe, find, find_retired, nearest
from onward.recipes.aliases import RETIRED
from onward.runs.codec import decode

_THEN = json.loads(gzip.decompress(Path(__file__).with_name("rows_of_november.json.gz").read_bytes()))
_PARTS: list[tuple[str, type]] = [
    ("algorithm", Algorithm),
    ("net", Architecture),
    ("data", DataSettings),
    ("trainer", TrainerSettings),
]


def _then(name: str) -> Recipe:
    """Return a recipe as it was, without texts and published number."""
    *indices, epochs, batch_size, _, _, _ = _THEN["recipes"][name]
    found: dict[str, Any] = {
        part: decode(_THEN[part][index], kind) for (part, kind), index in zip(_PARTS, indices, strict=True)
    }
    return Recipe(name=name, description="", epochs=epochs, batch_size=batch_size, **found)


def _changed(name: str) -> list[str]:
    """Return what differs between a recipe as it was and the one that its name finds today."""
    then, now = _then(name), find(name, ROWS) or find_retired(name)
    if now is None:
        return [f"{name} is not found"]
    published = _THEN["recipes"][name][6]
    found = now.published and [now.published.test_accuracy, now.published.deviation, now.published.seeds]
    if found and published and published[1] is None:
        found[1:] = published[1:3]  # a deviation may have become known since
    printed = [] if found == (published and published[:3]) else [f"published {found}, not {published}"]
    return [f"{name}: {each}" for each in (*then.differences(now), *printed)]


def test_the_recipe_of_an_old_name_has_the_settings_and_the_number_that_it_had():
    assert [told for name in _THEN["recipes"] for told in _changed(name)] == []


def test_all_of_them_are_there_and_those_that_are_retired_are_not_listed():
    gone = [name for name in _THEN["recipes"] if find(name, ROWS) is None]
    rows = [name for name in gone if _THEN["recipes"][name][7]]  # has a control
    assert (len(_THEN["recipes"]), len(gone)) == (960, 156)
    assert {*rows} == RETIRED.keys() and len(rows) == 38
    assert [name for name in _THEN["recipes"] if bool(nearest(name)) != (name in gone)] == []
