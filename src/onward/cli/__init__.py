"""The `onward` command: list, train, evaluate, predict, export, measure, compare, report, simulate, ...

A file per command. A command's file is imported when it is asked for: torch takes seconds to import. That is why
commands are found here and not by `tyro.extras.SubcommandApp`: it takes commands as functions whose signatures are
their flags, so that `onward --help` or a wrong name would import every file, and torch with them.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from pathlib import Path

from onward.cli.usage import CommandLineError, Mistakes, fitted
from onward.screen import hold_back_all_but_first, likely, open_ended, say

_USAGE = """usage: onward [--with FILE.py] COMMAND ...

  list [WORD]              algorithms, recipes and data sets; recipes with test accuracy and minutes
  show RECIPE              every setting of a recipe, its controls and its records
  train [RECIPE]           carry out a recipe; without a name, the default on scikit-learn's digits
  train --resume RUN       resume a run that was stopped
  evaluate RUN             accuracy of a finished run, by inference rule and by block
  predict RUN IMAGE...     class, confidence and the scores of each block
  export RUN --out DIR     a model, and its training step, for other runtimes: onnx, torch, c, js
  measure RECIPE           operations, time and memory of a training step, beside backprop's
  compare RECIPE...        accuracy, also under noise, memory, time and energy side by side; a page with figures
  report RUN...            the same page for finished runs
  simulate RECIPE          a simulated pipeline over many devices: step time, utilization, memory of each stage
  reproduce RECIPE         train it with several seeds, and compare with the published number
  queue FILE               train those of a list of recipes and seeds that have no record yet
  results                  make results/RESULTS.md from the recorded runs
  completion SHELL         a script that completes commands and recipes in bash, zsh or fish

`onward COMMAND --help` explains a command; `onward train RECIPE --help` lists what can be changed in a recipe.
`--with FILE.py` imports a file first that registers methods, networks, data sets or recipes of your own.
`onward --version` names the versions of onward, torch and Python.
"""

COMMANDS = {
    "list": "listing.run",
    "show": "show.run",
    "train": "train.run",
    "evaluate": "evaluate.run",
    "predict": "predict.run",
    "export": "export.run",
    "measure": "measure.run",
    "compare": "compare.run",
    "report": "compare.run_report",
    "simulate": "simulate.run",
    "reproduce": "reproduce.run",
    "queue": "queue.run",
    "results": "results.run",
    "completion": "completion.run",
}
"""Of each command, the file and the function below this package."""

_LIGHT = ("list", "completion")  # they import no torch


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 for a user's error with one line, 128 + signal if stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    with open_ended():
        try:
            code = _main(words)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            say("onward: stopped", error=True)
            return 130
        except Mistakes as several:
            return _refuse(several.lines)
        except (ValueError, OSError) as error:
            return _refuse([error])


def _refuse(lines: Iterable[object]) -> int:
    """Print a user's error, and return the exit code 2."""
    hold_back_all_but_first()
    for line in lines:
        say(f"onward: {_without_number(line)}", error=True)
    return 2


def _without_number(line: object) -> object:
    """Return an error of the operating system without its number; others unchanged."""
    if isinstance(line, OSError) and line.strerror and isinstance(line.filename, str | Path):
        return f"{line.filename}: {line.strerror}"
    return line


def _main(words: Sequence[str]) -> int:
    words = list(words)
    while words[:1] == ["--with"]:
        words = _with(words)
    if not words or words[0] in ("-h", "--help"):
        print(fitted(_USAGE), end="")
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(_versions())
        return 0
    if words[0] not in COMMANDS:
        raise CommandLineError(f"unknown command {words[0]!r}{likely(words[0], COMMANDS)}; see onward --help")
    file, _, function = COMMANDS[words[0]].partition(".")
    if words[0] in _LIGHT:
        getattr(import_module(f"onward.cli.{file}"), function)(words[1:])
        return 0
    _check_current_folder()
    from onward.cli.execution import work

    return work(getattr(import_module(f"onward.cli.{file}"), function), words[1:])


def _with(words: list[str]) -> list[str]:
    """Import the Python file given by --with; return the words after it."""
    from onward.recipes.lookup import import_file

    if len(words) < 2:
        raise CommandLineError("--with needs a Python file, which is imported first; see onward --help")
    import_file(Path(words[1]))
    return words[2:]


def _check_current_folder() -> None:
    """Raise CommandLineError where the current folder was deleted: a library of torch would end the process."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise CommandLineError("the current folder is gone: change to one that is there, such as cd ~") from None


def _versions() -> str:
    versions = []
    for package in ("onward", "torch"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package}, not installed as a package")
    return ", ".join([*versions, f"Python {sys.version.split()[0]}"])
