"""Strict JSON: every form that is none is named, and none is a traceback."""

import pytest

from onward.storage.strict_json import parse


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" * 1000 + b"]" * 1000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested too deeply"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "1e999 is out of range"),
        (b"1" * 5000, "not readable JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is there more than once"),
        (b'"\xff"', "not UTF-8"),
        (b'"\\ud800"', "not UTF-8"),
        (b'{"\\ud800": 1}', "not UTF-8"),
        (b"", "not readable JSON"),
        (b"{'a': 1}", "not readable JSON"),
        (b"\x00", "not readable JSON"),
    ],
)
def test_what_is_no_json_is_refused_by_name(text: bytes, says: str):
    with pytest.raises(ValueError, match=f"^x.json .*{says}"):
        parse(text, "x.json")


def test_json_is_read():
    assert parse('{"a": [1, -2.5e3, "ä", null, true, {}]}'.encode(), "x") == {"a": [1, -2500.0, "ä", None, True, {}]}
