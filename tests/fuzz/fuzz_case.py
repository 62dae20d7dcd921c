"""A case of the fuzzer: what it draws from, what it may raise, and the outcome that this comes to."""

import json
import os
import random
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CORRECT, CLEAR, WRONG, UNCLEAR, TRACEBACK, HANG = (
    "correct",
    "clear error",
    "silent wrong",
    "unclear error",
    "traceback",
    "hang",
)
OUTCOMES = (CLEAR, CORRECT, WRONG, UNCLEAR, TRACEBACK, HANG)
BAD = (WRONG, UNCLEAR, TRACEBACK, HANG)

# Texts of Python, NumPy, torch and pyarrow that tell a user neither value nor remedy.
_INTERNAL = re.compile(
    r"object has no attribute|not supported between|unhashable|NoneType|unexpected keyword|positional argument|"
    r"mat1 and mat2|expected scalar type|must match the size|could not convert|invalid literal|out of bounds for|"
    r"index out of range|Error\(s\) in loading|Expected .* got|doesn't match|Overflow when unpacking|<class '|"
    r"must be tuple of ints|cannot reshape|inhomogeneous|too many values|not enough values|torch\.Size|"
    r"is not subscriptable|is not iterable|has no len\(\)|Traceback|truth value of an array|Unrecognized options: $"
)


class Wrong(Exception):
    """Something was done wrong and nothing said so."""


class Unclear(Exception):
    """Something was refused, but not in the way that a user can mend."""


class Hang(BaseException):
    """A case took too long; no `except Exception` of the code under test catches it."""


@dataclass
class Case:
    """One case: its own random numbers, a folder of its own, and what is known about it."""

    draw: random.Random
    folder: Path
    did: list[str] = field(default_factory=list)
    """What was done, to be read beside a bad outcome."""
    names: tuple[str, ...] = ()
    """Of these, an error has to name one; empty: it may name anything."""
    own: tuple[str, ...] = ()
    """Names of the user's own, which an error may repeat as they are: they are made harmless where they are shown."""

    def chance(self, share: float) -> bool:
        return self.draw.random() < share

    def pick(self, choices: Any) -> Any:
        """Return one of some choices and note it, if it is short."""
        chosen = self.draw.choice(choices)
        if isinstance(chosen, str | int | float | bool | None):
            self.note(repr(chosen)[:80])
        return chosen

    def note(self, text: str) -> None:
        self.did.append(text)


@dataclass(frozen=True)
class Target:
    """One kind of input: how its world is made once in a folder, and a case, which returns if all was right."""

    name: str
    share: int
    """Of a hundred cases, so many are its own."""
    prepare: Callable[[Path], Any]
    case: Callable[[Case, Any], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a case, in a word, and what there is to say about it."""

    kind: str
    text: str
    did: str
    seconds: float


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hang inside, if it takes longer; on a busy machine, three times as long if it got little of a processor."""
    started, used = time.monotonic(), time.process_time()

    def stop(*_: Any) -> None:
        starved = time.process_time() - used < seconds / 2 and time.monotonic() - started < 2.5 * seconds
        if not starved:
            raise Hang
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judge(target: Target, world: Any, case: Case, seconds: float = 10.0) -> Outcome:
    """Carry out a case and return its outcome."""
    started = time.perf_counter()
    try:
        with time_limit(seconds):
            target.case(case, world)
        kind, text = CORRECT, ""
    except Hang:
        kind, text = HANG, f"longer than {seconds:g} s"
    except Wrong as wrong:
        kind, text = WRONG, str(wrong)
    except Unclear as error:
        kind, text = UNCLEAR, str(error)
    except (ValueError, OSError) as error:
        fault = unclear(error, case.names, case.own)
        kind, text = (UNCLEAR, f"{fault}: {_place(error)}") if fault else (CLEAR, str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
        kind, text = TRACEBACK, _place(error)
    return Outcome(kind, text, "; ".join(case.did), time.perf_counter() - started)


def unclear(error: Exception, names: tuple[str, ...], own: tuple[str, ...] = ()) -> str:
    """Return what is wrong with the text of an error, or nothing."""
    text = str(error)
    ours = type(error) is ValueError or isinstance(error, OSError) or type(error).__module__.startswith("onward")
    if not ours:  # such as UnicodeDecodeError, JSONDecodeError
        return f"a {type(error).__name__} of a library"
    if not text.strip():
        return "says nothing"
    plain = text
    for name in (*names, *own):
        plain = plain.replace(name, "")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in plain):
        return "has control characters or several lines"
    found = _INTERNAL.search(text)
    if found:
        return f"internal text {found[0]!r}"
    if names and not any(name in text for name in names):
        return f"names none of {', '.join(names)[:80]}"
    if len(plain) > 700:
        return "is longer than 700 letters"
    return ""


def _place(error: BaseException) -> str:
    """Return an error in one line, with the last place of the project that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if f"{os.sep}onward{os.sep}" in frame.filename] or frames
    last = inside[-1]
    short = last.filename.rpartition(f"{os.sep}onward{os.sep}")[2]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]} ({short}:{last.lineno})"


@contextmanager
def unchanged_if_refused(state: Callable[[], Any], what: str) -> Iterator[None]:
    """Raise Wrong if what is inside raises an error and leaves another state behind."""
    before = state()
    try:
        yield
    except Exception:
        if state() != before:
            raise Wrong(f"refused, but {what} changed") from None
        raise


def told(value: Any) -> str:
    """Return a value in a few words."""
    try:
        return json.dumps(value)[:80]
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:80]
