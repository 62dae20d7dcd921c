"""JSON whose values are changed in some place, and whose checksum is made anew."""

import hashlib
import json
from typing import Any

from fuzz_case import Case, told

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 10**6, 10**7, 2**31, 2**63, 2**70, -(2**70), 0.5, 1e-320, 1e38, 1e308, -0.0),
    *("", "x", "a\nb", "\x1b[2J", "[/b]", "MLP", "../../evil", "/etc/passwd", "é" * 40, "a" * 5000, "0", "NaN"),
    *([], [1], [[]], ["a", "a"], {}, {"type": "MLP"}, {"type": []}, {"type": "Recipe"}, {"a": {"a": {}}}, [None]),
)
"""What may stand where something else belongs."""

_WORDS = ("NaN", "Infinity", "-Infinity", "1e999", "[" * 500 + "]" * 500, "01", "'x'", "nul", "")
"""What is no JSON, or deep."""


def changed(case: Case, content: Any) -> str:
    """Return the text of JSON with a change in some place, noted in the case."""
    places = list(_places(content))
    if not places:
        return json.dumps(case.draw.choice(_ODD))
    holder, key = case.draw.choice(places)
    old = holder[key]
    way = case.draw.choices(("odd", "near", "drop", "add", "word", "twice", "other"), (6, 4, 3, 1, 1, 1, 3))[0]
    if way == "odd":
        holder[key] = case.draw.choice(_ODD)
    elif way == "near":
        holder[key] = _near(case, old)
    elif way == "drop":
        del holder[key]
    elif way == "add":
        _add(case, holder)
    elif way == "other":
        other, place = case.draw.choice(places)
        holder[key] = json.loads(json.dumps(other[place]))
    now = holder[key] if way in ("odd", "near", "other") else ""
    case.note(f"{way} {key}: {told(old)[:40]} -> {told(now)[:40]}")
    if way == "word":
        holder[key] = "HERE"
        return json.dumps(content).replace('"HERE"', case.draw.choice(_WORDS), 1)
    text = json.dumps(content)
    if way == "twice" and isinstance(key, str):
        text = text.replace(f'"{key}": ', f'"{key}": 1, "{key}": ', 1)
    return text


def _places(value: Any):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def _near(case: Case, old: Any) -> Any:
    """Return a value of the same kind."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return old + case.draw.choice((-1, 1, 10))
    if isinstance(old, float):
        return case.draw.choice((old + 0.01, -old, old * 2, 1 - old, 0.0))
    if isinstance(old, str):
        at = case.draw.randrange(len(old) + 1)
        return old[:at] + case.draw.choice("a0.-/") + old[at + case.draw.choice((0, 1)) :]
    if isinstance(old, list):
        return case.draw.choice((old[::-1], old[1:], old * 2, [*old, *old[:1]]))
    return case.draw.choice((0, "x", [old]))


def _add(case: Case, holder: Any) -> None:
    if isinstance(holder, dict):
        holder[case.draw.choice(("x", "type", "sha", "__class__", "blocks", "test_accuracy", "recipe", "n_test"))] = (
            case.draw.choice(_ODD)
        )
    else:
        holder.append(case.draw.choice(_ODD))


def sealed(text: str) -> str:
    """Return JSON with a checksum as `onward` makes it; what cannot be parsed stays as it is."""
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            return text
        content.pop("sha256", None)
        body = json.dumps(content, sort_keys=True)
        return json.dumps({**content, "sha256": hashlib.sha256(body.encode()).hexdigest()})
    except (ValueError, RecursionError):
        return text
