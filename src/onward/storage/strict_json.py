"""JSON by RFC 8259: no NaN, no duplicate names, bounded nesting; errors name the violation. And its checksum."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

_DEEPEST = 64  # far deeper than any file of onward


def parse(text: bytes, where: str, *, infinite: bool = False) -> Any:
    """Read JSON; with `infinite`, Infinity too. Raises ValueError that begins with `where` for anything else."""
    try:
        content = json.loads(
            text.decode("utf-8-sig"),
            parse_constant=_infinite if infinite else _constant,
            parse_float=_finite,
            object_pairs_hook=_once,
        )
        _check(content)
    except RecursionError:
        raise ValueError(f"{where} is nested too deeply: it is damaged or not from onward") from None
    except UnicodeError:
        raise ValueError(f"{where} is not readable JSON (its text is not UTF-8): it is damaged or foreign") from None
    except ValueError as error:
        raise ValueError(f"{where} is not readable JSON ({error}): it is damaged or not from onward") from None
    return content


def json_digest(content: Mapping[str, Any]) -> str:
    """Return the checksum of a JSON object, whatever the order of its names."""
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()


def _constant(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")


def _infinite(word: str) -> float:
    return math.inf if word == "Infinity" else _constant(word)


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word} is out of range")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{name!r} is there more than once")
    return entries


def _check(content: Any) -> None:
    """Raise RecursionError for lists and objects that are nested too deeply, UnicodeError for lone surrogates."""
    level = [content]
    for _ in range(_DEEPEST):
        inner = []
        for value in level:
            if isinstance(value, dict):
                inner += [*value, *value.values()]
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and not value.isascii():
                value.encode()  # half a surrogate pair cannot be written
        level = inner
        if not level:
            return
    raise RecursionError
