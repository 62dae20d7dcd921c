"""Results as JSON and back: keys, their order, what has none, and what is wrong in a line that names the field."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pytest

from onward.storage import forms
from onward.storage.typed import ABSENT, ASIDE, OTHERS, from_json, to_json


class Rate(NamedTuple):
    best: float
    worst: float = 0.0


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Whole:
    count: int
    note: str | None = field(default=None, metadata=ABSENT, kw_only=True)
    pair: tuple[float, int]
    parts: tuple[Part, ...]
    level: float | Literal["inf"] | None
    rates: dict[str, Rate | float]
    first: Part | None = None


WHOLE = Whole(1, (0.5, 2), (Part("a", (1, 2)), Part("b", ())), "inf", {"x": Rate(1.0), "y": 2.0})
JSON = {
    "count": 1,
    "pair": [0.5, 2],
    "parts": [{"name": "a", "sizes": [1, 2]}, {"name": "b", "sizes": []}],
    "level": "inf",
    "rates": {"x": {"best": 1.0, "worst": 0.0}, "y": 2.0},
    "first": None,
}


def test_an_object_is_written_with_its_fields_in_their_order():
    assert to_json(WHOLE) == JSON and list(to_json(WHOLE)) == list(JSON)
    noted = Whole(1, (0.5, 2), (), None, {}, Part("c", (3,)), note="n")
    assert list(to_json(noted))[:3] == ["count", "note", "pair"]


def test_what_was_written_is_read_as_it_was():
    assert from_json(JSON, Whole, "here") == WHOLE
    noted = Whole(1, (0.5, 2), (), 0.25, {}, Part("c", (3,)), note="n")
    assert from_json(to_json(noted), Whole, "here") == noted


@dataclass(frozen=True)
class Open:
    count: int
    rest: dict[str, object] = field(default_factory=dict, metadata=OTHERS)
    place: str = field(default="", metadata=ASIDE)


def test_a_field_can_take_the_keys_of_another_version_and_another_is_in_no_file():
    content = {"rest": 3, "count": 1, "place": "there", "later": [2]}
    found = from_json(content, Open, "here")
    assert found == Open(1, {"rest": 3, "place": "there", "later": [2]})
    assert to_json(found) == content and list(to_json(found)) == ["count", "rest", "place", "later"]
    assert to_json(Open(2, place="there")) == {"count": 2}


def test_keys_of_another_version_are_passed_over_and_what_has_a_default_may_lack():
    less = {key: value for key, value in JSON.items() if key != "first"}
    assert from_json({**less, "later": 1}, Whole, "here") == WHOLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "here must be an object, got \\[\\]"),
        ({key: value for key, value in JSON.items() if key != "pair"}, "here has no pair"),
        ({**JSON, "count": "1"}, "count in here must be a whole number, got '1'"),
        ({**JSON, "pair": [0.5]}, "pair in here must have 2 entries, got 1"),
        ({**JSON, "parts": [{"name": 1, "sizes": []}]}, "name in entry 0 of parts in here must be text, got 1"),
        ({**JSON, "level": "low"}, "level in here must be"),
        ({**JSON, "rates": {"x": {"worst": 1.0}}}, "'x' of rates in here has no best"),
        ({**JSON, "first": {"name": "a", "sizes": ["1"]}}, "entry 0 of sizes in first in here must be a whole number"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(content, message: str):
    with pytest.raises(ValueError, match=message):
        from_json(content, Whole, "here")


@dataclass(frozen=True)
class Table:
    counts: tuple[tuple[int, ...], ...]
    values: tuple[float, ...] = ()


def test_numbers_are_checked_all_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(forms, "_is", lambda value, kind: pytest.fail("each number is looked at by itself"))
    content = {"counts": [[1, -2, 2**63 - 1], [-(2**63)]], "values": [0.5, float("nan")]}
    assert from_json(content, Table, "here").counts == ((1, -2, 2**63 - 1), (-(2**63),))
    assert from_json({"counts": [], "values": [1, 2]}, Table, "here") == Table((), (1, 2))


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, 2**63, -(2**63) - 1])
def test_one_wrong_number_among_many_is_named(wrong):
    with pytest.raises(ValueError, match="entry 2 of entry 1 of counts in here must be a whole number"):
        from_json({"counts": [[1], [0, 1, wrong, 3]]}, Table, "here")


@pytest.mark.parametrize("wrong", [False, "1", None, 2**63])
def test_whole_numbers_may_stand_among_others(wrong):
    assert from_json({"counts": [], "values": [0.5, 1]}, Table, "here").values == (0.5, 1)
    with pytest.raises(ValueError, match="entry 1 of values in here must be a number"):
        from_json({"counts": [], "values": [2, wrong, 0.5]}, Table, "here")
