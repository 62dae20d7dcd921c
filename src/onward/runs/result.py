"""Results of finished runs, and the environments that runs began in: the content of their files."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from onward.core import Task
from onward.storage.files import read_json
from onward.storage.typed import ABSENT, ASIDE, OTHERS, from_json, to_json


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a run was spread over processes: blocks of each stage, and the settings of the pipeline."""

    stages: tuple[int, ...]
    replicas: int
    messages: str
    balance: str
    patience: float | None = field(default=None, metadata=ABSENT)
    """Seconds; None in older files."""
    session: str
    """The launch of torchrun."""


@dataclass(frozen=True)
class Seals:
    """Digests that tie the files of a run together."""

    config: str
    model: str
    metrics: str


@dataclass(frozen=True, kw_only=True)
class RunEnvironment:
    """What a run began in, on and with: the content of `environment.json`."""

    versions: dict[str, str | None]
    """Of Python and of packages; None: not installed."""
    platform: str
    device: str
    threads: int
    commit: str | None
    """Of onward's own checkout; None where it was installed."""
    record: bool | None = field(default=None, metadata=ABSENT)
    """False: the run is not to be recorded; else None."""
    init: str | None = field(default=None, metadata=ABSENT)
    """The run whose weights the training began with."""
    data_checksum: str
    pipeline: Placement | None = field(default=None, metadata=ABSENT)
    others: dict[str, Any] = field(default_factory=dict, metadata=OTHERS, repr=False)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The numbers of a finished run and what documents them: the content of `result.json` and of a record.

    Accuracies are fractions. A field is None where an older file lacks it.
    """

    versions: dict[str, str | None] | None = field(default=None, metadata=ABSENT, repr=False)
    """Of Python and of packages; None: not installed."""
    platform: str | None = field(default=None, metadata=ABSENT)
    device: str
    threads: int | None = field(default=None, metadata=ABSENT)
    commit: str | None = None
    """Of onward's own checkout; None where it was installed."""
    record: bool | None = field(default=None, metadata=ABSENT)
    """False: the run is not to be recorded; else None."""
    init: str | None = field(default=None, metadata=ABSENT)
    """The run whose weights the training began with."""
    data_checksum: str | None = field(default=None, metadata=ABSENT)
    pipeline: Placement | None = field(default=None, metadata=ABSENT)
    recipe: str
    seed: int
    test_accuracy: float
    """Of the default rule."""
    test_accuracy_by_rule: dict[str, float]
    test_accuracy_by_block: tuple[float, ...] | None = field(default=None, metadata=ABSENT)
    """Of the scored blocks, in order."""
    validation_accuracy: float
    task: Task | None = field(default=None, metadata=ABSENT)
    """What is predicted: classes, values or labels; None in older files, which are of classes."""
    test_metrics: dict[str, float] | None = field(default=None, metadata=ABSENT)
    """Further metrics of the default rule, by name."""
    test_recall_by_class: dict[str, float | None] | None = field(default=None, metadata=ABSENT)
    """By name of class; None for a class without test samples."""
    locality: str | None = field(default=None, metadata=ABSENT)
    """How far the gradient reaches, in words."""
    backprop_recipe: str | None = field(default=None, metadata=ABSENT, repr=False)
    """Of older files; controls are found by budget."""
    published: dict[str, Any] | None = field(default=None, repr=False)
    """The published number of the recipe, as settings are written; None on other images."""
    data: str
    data_note: str
    """What sets these images apart from the public ones; empty: nothing."""
    n_train: int | None = field(default=None, metadata=ABSENT)
    n_validation: int | None = field(default=None, metadata=ABSENT)
    n_test: int | None = field(default=None, metadata=ABSENT)
    epochs: int
    parameters: int
    train_seconds: float
    peak_memory_bytes: int | None = field(default=None, metadata=ABSENT)
    peak_memory_meter: str | None = field(default=None, metadata=ABSENT)
    config: dict[str, Any] = field(repr=False)
    """The recipe, as settings are written."""
    seals: Seals | None = field(default=None, metadata=ABSENT, repr=False)
    """None before the run's files are tied together, and in older files."""
    others: dict[str, Any] = field(default_factory=dict, metadata=OTHERS, repr=False)
    """What a file of another version has besides."""
    order: tuple[str, ...] = field(default=(), metadata=ASIDE, repr=False, compare=False)
    """The keys of the file that it was read from."""

    @property
    def images(self) -> str:
        """The images: the name of the set, or what sets this copy of it apart from the public one."""
        return self.data_note or self.data

    @property
    def task_or_default(self) -> Task:
        """The task; "classes" where an older file lacks it."""
        return self.task or "classes"

    def to_json(self) -> dict[str, Any]:
        """Return the content of its file; one that was read has the keys of that file, in their order."""
        members = to_json(self)
        content = {name: members.get(name) for name in self.order or members}
        return content | {name: value for name, value in members.items() if value is not None}

    def __getitem__(self, name: str) -> Any:
        """Return an entry of its file. Deprecated: results were dicts before they had fields."""
        _warn(f"result[{name!r}]", name)
        return self.to_json()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an entry of its file, or the default. Deprecated, as `result[name]` is."""
        _warn(f"result.get({name!r})", name)
        return self.to_json().get(name, default)

    def keys(self) -> list[str]:
        """Return the keys of its file. Deprecated, as `result[name]` is: `to_json` returns the dict."""
        _warn("result.keys()", "to_json()")
        return [*self.to_json()]

    def __iter__(self) -> Iterator[str]:
        """Go through the keys of its file. Deprecated, as `result[name]` is: `to_json` returns the dict."""
        _warn("a loop over a result, or `in`,", "to_json()")
        return iter(self.to_json())


def mean_metrics(results: Sequence[RunResult]) -> dict[str, float]:
    """Return the means of those further metrics that all of the results have."""
    metrics = [result.test_metrics or {} for result in results]
    shared = [name for name in metrics[0] if all(name in each for each in metrics)]
    return {name: fmean(each[name] for each in metrics) for name in shared}


def result_of(content: Any, where: str) -> RunResult:
    """Return the result that a file holds. Raises ValueError naming `where` and the field that is missing or wrong."""
    return replace(from_json(content, RunResult, where), order=tuple(content))


def read_result(path: Path) -> RunResult:
    """Read a result. Raises ValueError naming the file that is missing, damaged or foreign."""
    return result_of(read_json(path), str(path))


def _warn(said: str, instead: str) -> None:
    message = f"{said} will be removed in version 0.2: use result.{instead}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
