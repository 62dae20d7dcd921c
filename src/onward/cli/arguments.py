"""Reading a command line by tyro, whose boxed error messages become one line."""

import contextlib
import difflib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeVar

import tyro

from onward.cli.usage import CommandLineError
from onward.screen import say

T = TypeVar("T")

_ELSEWHERE = {
    "lr": "--trainer.learning-rate",
    "learning-rate": "--trainer.learning-rate",
    "wd": "--trainer.weight-decay",
    "weight-decay": "--trainer.weight-decay",
    "opt": "--trainer.optimizer",
    "optimizer": "--trainer.optimizer",
    "optim": "--trainer.optimizer",
    "momentum": "--trainer.momentum",
    "precision": "--trainer.precision",
    "amp": "--trainer.precision",
    "avg": "--trainer.ema-decay",
    "average": "--trainer.ema-decay",
    "ema": "--trainer.ema-decay",
    "bf16": "--trainer.precision",
    "bs": "--batch-size",
    "b": "--batch-size",
    "epoch": "--epochs",
    "num-epochs": "--epochs",
    "n-epochs": "--epochs",
    "max-epochs": "--epochs",
    "random-seed": "--seed",
    "dataset": "--data.name",
    "data": "--data.name",
    "data-path": "--data-dir",
    "data-root": "--data-dir",
    "root": "--data-dir",
    "image-size": "--data.size",
    "img-size": "--data.size",
    "width": "--net.width",
    "hidden-size": "--net.width",
    "depth": "--net.depth",
    "dropout": "--net.dropout",
    "gpu": "--device",
    "cuda": "--device",
    "output-dir": "--runs-dir",
    "out": "--runs-dir",
    "out-dir": "--runs-dir",
    "num-workers": "--workers",
}
"""Flags of a recipe by their names in other tools."""

_REMOVED = {"--compile": "--compile was removed: compiled bodies took longer than plain ones; leave it out"}
"""Flags of before that nothing replaces, with what to do."""

_FEW = 3  # flags that may have been meant; more are all there are
_BARE = ("recipe", "options", "pipelining")
"""Settings whose flags have no prefix."""


def parse(
    kind: type[T], command: str, words: Sequence[str], *, default: T | None = None, advice: str | None = None
) -> T:
    """Read `words` as a `kind`; `advice` is added where a flag is not known and no other is like it.

    Raises CommandLineError with one line, SystemExit(0) after showing help.
    """

    _refuse_empty(words)
    words = _with_new_names(words, default)

    def read() -> T:
        return tyro.cli(
            kind,
            prog=f"onward {command}",
            args=words,
            default=tyro.MISSING_NONPROP if default is None else default,
            config=(tyro.conf.AvoidSubcommands,),
        )

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return read()
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
    message = _one_line(_complaint(read))
    if message.startswith("Unrecognized options"):
        message = _with_remedy(message, words, command, default, advice)
    raise CommandLineError(message)


def _with_remedy(message: str, words: Sequence[str], command: str, default: object, advice: str | None) -> str:
    """Return a message about unknown words with what they may have meant. CommandLineError for a flag of the past."""
    for word in words:
        if word in _REMOVED:
            raise CommandLineError(_REMOVED[word])
    meant = [] if default is None else _meant(words, default)  # flags of a recipe are those of a default
    if meant:
        hint = f"did you mean {' or '.join(meant)}?" if len(meant) <= _FEW else f"there are {', '.join(meant)}"
        return f"{message.partition('; did you mean')[0]}; {hint}"
    if advice is not None and "did you mean" not in message:
        return f"{message}; {advice}"
    if any(word.startswith("-") for word in message.partition(": ")[2].split()):
        return message
    verb = command.partition(" ")[0]
    return f"{message}: `onward {verb}` takes one name at a time, and flags, which `onward {verb} --help` lists"


def _with_new_names(words: Sequence[str], default: object) -> list[str]:
    """Return a command line with renamed flags by their new names, and print a note for each."""
    renamed, with_new_names = dict(_renamed(default)), []
    for word in words:
        flag, equals, value = word.partition("=")
        new = renamed.get(flag.replace("_", "-"))
        if new is not None:
            say(f"{flag} is now {new}", error=True)
        with_new_names.append(word if new is None else f"{new}{equals}{value}")
    return with_new_names


_COLUMNS = "COLUMNS"  # by which tyro breaks its lines


def _complaint(read: Callable[[], object]) -> str:
    """Parse once more, with lines so wide that no value is broken; return the error message."""
    complaint, before = io.StringIO(), os.environ.get(_COLUMNS)
    os.environ[_COLUMNS] = "10000"
    try:
        with contextlib.redirect_stderr(complaint), contextlib.suppress(SystemExit):
            read()
    finally:
        if before is None:
            del os.environ[_COLUMNS]
        else:
            os.environ[_COLUMNS] = before
    return complaint.getvalue()


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise CommandLineError for an empty value, which for a path would be the current folder, and for zero bytes."""
    for before, word in zip(["", *words], words, strict=False):
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if not value and (equals or not flag):
            raise CommandLineError(f"{flag or before or 'a word'} is empty: give it a value or leave it out")
        if "\0" in word:
            raise CommandLineError(
                f"{flag or before} {value!r} has a zero byte, which no name or number has: remove it"
            )


def _meant(words: Sequence[str], default: object) -> list[str]:
    """Return the flags that unknown ones probably mean: those of other tools, or flags without their prefix."""
    known = dict(_flags(default))
    prefixes = {flag.rpartition(".")[0] for flag in known}
    names = [word[2:].partition("=")[0].replace("_", "-") for word in words if word.startswith("--")]
    flag_of = {flag.rpartition(".")[2].removeprefix("--"): flag for flag in reversed(known)}
    flags: list[str] = []
    for name in names:
        last = name.rpartition(".")[2]
        if f"--{name}" not in known and (meant := _ELSEWHERE.get(name) or flag_of.get(last) or _ELSEWHERE.get(last)):
            flags.append(meant)
        elif f"--{name}" not in known:
            near = [known_name.removeprefix("--") for known_name in known]
            flags += [f"--{close}" for close in difflib.get_close_matches(name, near, n=2, cutoff=0.7)]
            group = f"--{name.rpartition('.')[0]}"
            if not flags and group != "--" and group in prefixes:  # nothing is like it: show what there is
                flags += [flag for flag in known if flag.rpartition(".")[0] == group]
    return list(dict.fromkeys(flags))


def _flags(settings: object, before: str = "") -> Iterator[tuple[str, object]]:
    """Yield the flags of settings, outer ones first; recipe, options and pipelining add nothing before theirs."""
    inner = []
    for field in fields(settings) if is_dataclass(settings) else ():
        value = getattr(settings, field.name, None)
        name = field.name.replace("_", "-")
        if not is_dataclass(value):
            yield f"--{before}{name}", value
        else:
            inner.append((value, "" if name in _BARE else f"{before}{name}."))
    for value, prefix in inner:
        yield from _flags(value, prefix)


def _renamed(settings: object, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield each renamed flag with its new name."""
    for old, new in getattr(settings, "former_fields", {}).items():
        yield f"--{before}{old.replace('_', '-')}", f"--{before}{new.replace('_', '-')}"
    for field in fields(settings) if is_dataclass(settings) else ():
        name = field.name.replace("_", "-")
        yield from _renamed(getattr(settings, field.name, None), "" if name in _BARE else f"{before}{name}.")


_NUMBER = (
    (r"invalid literal for int\(\) with base 10: (.*)", "a whole number"),
    (r"could not convert string to float: (.*)", "a number"),
    (r"no type matching \{None\}\|INT could be instantiated from \[(.*?)\]\. Got errors.*", "a whole number or None"),
    (
        r"no type matching \{None,balanced\}\|.*? could be instantiated from \[(.*?)\]\. Got errors.*",
        "balanced or numbers",
    ),
    (r"no type matching \{None\}\|FLOAT could be instantiated from \[(.*?)\]\. Got errors.*", "a number or None"),
)
"""Python's errors for texts that are no numbers, and the expected kind of value."""


def _plainly(complaint: str) -> str:
    """Return a complaint of a flag's value in the words of a command line."""
    for pattern, wanted in _NUMBER:
        if match := re.fullmatch(rf"Error parsing (\S+): {pattern}", complaint):
            return f"{match[1]} takes {wanted}, not {match[2]}"
    return complaint


def _one_line(boxed: str) -> str:
    """Return the message and the nearest flags of a boxed error, without frame, title and explanations."""
    lines = [line.strip("│╰╯ ") for line in boxed.splitlines()[1:]]
    sections = [part for part in re.split(r"[─-]{5,}", "\n".join(lines)) if part.strip()]
    if not sections:
        return "the command line cannot be understood; see --help"
    message = [_plainly(" ".join(sections[0].split()))]
    for section in sections[1:]:
        if section.strip().startswith("Perhaps you meant"):
            near = sorted(re.findall(r"--[\w.-]+", section), key=len)[:_FEW]  # of many, those of a whole group
            message.append("; did you mean " + " or ".join(near) + "?")
    return "".join(message)


def check_place(flag: str, path: Path | None) -> None:
    """Raise ValueError, before the work, for a file that could not be written at its end."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError(f"--{flag} {path} cannot be written: name a file in a folder that is there")
    if path is not None and path.exists() and not path.is_file():
        raise ValueError(f"--{flag} {path} is a device or a pipe, which a file would replace: name a file")
