"""Tables in files, .csv, .tsv and .parquet: one column is predicted, the others are learned from."""

import csv
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onward.core import InputForm, Task, measured

from .arrays import from_arrays, read_rows, targets_of
from .carve import carve, warn_without_test
from .images import Splits
from .samples import Samples, as_read
from .source_files import cause, stamp
from .table_numbers import check_plain, with_decimal_commas

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
TEST_FRACTION = 0.2

_LABELS = ("label", "labels", "class", "target")
_NAMES = {"train": ("train",), "test": ("test",), "validation": ("val", "valid", "validation")}
_MOST_CLASSES = 20  # of whole numbers; a column of more of them is one of numbers
_SHOWN = 200  # characters of a list of columns

Split = Literal["train", "test", "validation"]


@dataclass(frozen=True)
class Columns:
    """Which column of a table is predicted, as what, and which are left out; None: found in the table."""

    label: str | None = None
    task: Task | None = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableFiles:
    """The file of each split; a file alone is that of `train`."""

    root: Path
    parts: dict[Split, Path]

    def settled(self, columns: Columns) -> Columns:
        """Return which column is predicted, and as what, where that was not said. Raises ValueError as reading does."""
        frame = _read(self.parts["train"])
        label = _label(frame, columns.label, self.parts["train"])
        return Columns(label, columns.task or _task(frame[label]), columns.ignore)


def table_files(path: Path) -> TableFiles | None:
    """Return the tables of a path: a file, or train.csv and test.csv in a folder; None if there are none.

    Files of parquet with a column of encoded images hold no table.
    """
    if path.is_file() or path.suffix.lower() in TABLE_SUFFIXES:
        return TableFiles(path, {"train": path}) if _is_table(path) else None
    parts: dict[Split, Path] = {}
    for split, names in _NAMES.items():
        called = {f"{name}{suffix}" for name in names for suffix in TABLE_SUFFIXES}
        files = sorted(path.iterdir()) if path.is_dir() else []
        here = [file for file in files if file.name.lower() in called and file.is_file() and _is_table(file)]
        if len(here) > 1:
            raise ValueError(f"{path} has {here[0].name} and {here[1].name}, both of {split}: keep one of them")
        if here:
            parts[split] = here[0]  # pyright: ignore[reportArgumentType]
    return TableFiles(path, parts) if "train" in parts else None


def splits_of_table(files: TableFiles, columns: Columns, *, fraction: float, seed: int) -> Splits:
    """Return splits of a table; categories are those of all its rows.

    Without a test file, one fifth is carved out, which no setting ever moves; without a validation file a `fraction`
    of the rest. Raises ValueError for missing values, for columns that are not there, and as `from_arrays` does.
    """
    if columns.label is None:
        columns = files.settled(columns)
        _note(files.root, columns)
    columns = Columns(columns.label, columns.task or files.settled(columns).task, columns.ignore)
    label, task = str(columns.label), columns.task or "classes"
    frames = _read_alike(files.parts)
    read = {"train": _labeled(frames["train"], files.parts["train"], columns)}
    check_plain(read["train"][0], files.parts["train"])
    names = (label,) if task == "values" else _classes(read["train"][1])
    read |= {split: _labeled(frames[split], file, columns, names) for split, file in files.parts.items()}
    if "test" not in read:
        if "validation" in read:
            warn_without_test(files.root)
        inputs, labels = read["train"]
        strata = targets_of(labels, task, names, "labels")
        strata = strata.new_zeros(len(strata)).long() if task == "values" else strata
        kept, aside = (part.numpy() for part in carve(strata, TEST_FRACTION, 0, class_names=names))
        read |= {"train": (inputs.iloc[kept], labels[kept]), "test": (inputs.iloc[aside], labels[aside])}
    whole = _whole_categories([inputs for inputs, _ in read.values()])
    try:
        measured(whole[0], "table", str(files.parts["train"]))
    except ValueError as error:
        raise ValueError(f"{error} (ignore leaves it out)") from None
    given: dict[str, Any] = {}
    for split, inputs in zip(read, whole, strict=True):
        given |= {f"{split}_images": inputs, f"{split}_labels": read[split][1]}
    return from_arrays(
        given.pop("train_images"),
        given.pop("train_labels"),
        kind="table",
        task=task,
        class_names=names,
        validation_fraction=fraction,
        seed=seed,
        name=files.root.resolve().stem,
        **given,
    )


def labeled_rows(files: TableFiles, form: InputForm, task: Task, names: Sequence[str], columns: Columns) -> Samples:
    """Return the rows to evaluate on, as the training had them: those of a test file where there is one, else all."""
    file = files.parts.get("test", files.parts["train"])
    frame = _read(file, *_columns_of(form))
    label = names[0] if columns.label is None and task == "values" else _label(frame, columns.label, file)
    written = task != "classes" or all(map(_is_written_number, names))
    if not written and frame[label].dtype.kind in "biuf":
        texts, numbers = _columns_of(form)
        frame = _read(file, [*texts, label], numbers)  # this file may have numbers there alone
    inputs, labels = _labeled(frame, file, Columns(label, task, columns.ignore), names)
    return read_rows(_as_trained(inputs, form), labels, form, task, names, str(file))


def rows_to_predict(files: TableFiles, form: InputForm, columns: Columns) -> Samples:
    """Return the rows of a table as the training had them, with or without the column that is predicted."""
    file = files.parts.get("test", files.parts["train"])
    frame = _read(file, *_columns_of(form))
    if not len(frame):
        raise ValueError(f"{file} has no rows: give at least one")
    known = {column.name for column in form.columns}
    left_out = [name for name in (columns.label, *columns.ignore) if name in frame.columns and name not in known]
    inputs = frame.drop(columns=left_out)
    _check_present(inputs, file)
    rows = as_read(form.check(_as_trained(inputs, form), str(file)), form)
    return Samples(rows, rows.new_zeros(len(rows)).long())


def _is_table(file: Path) -> bool:
    """Whether a file has rows of plain values; one of parquet may have encoded images instead."""
    if file.suffix.lower() != ".parquet" or not file.is_file():
        return file.suffix.lower() in TABLE_SUFFIXES
    from pyarrow import parquet, types

    try:
        kinds = parquet.read_schema(file).types
    except (OSError, ValueError):  # pyarrow's own errors are of these; reading the file raises them again
        return True
    return not any(types.is_binary(kind) or types.is_large_binary(kind) or types.is_struct(kind) for kind in kinds)


def _read_alike(parts: dict[Split, Path]) -> dict[Split, Any]:
    """Return the tables of a set; what is text in one of them is text in all, such as 01 beside A1."""
    frames: dict[Split, Any] = {split: _read(file) for split, file in parts.items()}
    texts = {name for frame in frames.values() for name in frame.columns if frame[name].dtype.kind not in "biufmM"}
    for split, file in parts.items():
        if any(frames[split][name].dtype.kind in "biuf" for name in texts & {*frames[split].columns}):
            frames[split] = _read(file, texts)
    return frames


def _read(file: Path, texts: Collection[str] = (), numbers: Collection[str] = ()) -> Any:
    """Return a table of a file; columns that are known to hold texts, or numbers, are read as such.

    Raises ValueError naming what is wrong.
    """
    import pandas  # which takes half a second

    stamp(file)
    try:
        if file.suffix.lower() == ".parquet":
            frame = pandas.read_parquet(file)
            return frame.reset_index() if any(frame.index.names) else frame
        separator, names = _head(file)
        kinds: Any = {name: str for name in texts if name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # rows longer than the first would be cut
            frame = pandas.read_csv(
                file,
                sep=separator,
                dtype=kinds,
                index_col=False,
                low_memory=False,
                encoding="utf-8-sig",
                skipinitialspace=True,
            )
    except (Warning, ValueError, OSError, ImportError, csv.Error) as error:
        if str(error).startswith(str(file)):
            raise
        raise ValueError(f"{file} cannot be read as a table ({cause(error)}): {_remedy(file, error)}") from None
    _check_names(frame, file)
    if separator != ",":
        frame = with_decimal_commas(frame, texts=texts, numbers=numbers)
    if names[0]:
        return frame
    first = frame.iloc[:, 0]  # what pandas writes before the columns: numbers of rows
    if first.dtype.kind not in "iu" or first.duplicated().any():
        raise ValueError(f"{file} has a column without a name, number 1: give it a name, or remove it")
    return frame.iloc[:, 1:]


def _remedy(file: Path, error: Exception) -> str:
    if file.suffix.lower() == ".parquet":
        return "copy it again, or save it as .csv"
    if isinstance(error, UnicodeError | OSError):
        return "save it again as UTF-8 text"
    return "give each row one entry for each column; a text that holds what separates columns goes in quotes"


def _head(file: Path) -> tuple[str, list[str]]:
    """Return what separates the columns of a file of texts, and their names. Raises ValueError for other names."""
    with open(file, newline="", encoding="utf-8-sig") as content:
        first = content.readline()
        separator = max(",;\t|", key=first.count)
        content.seek(0)
        names = next(csv.reader(content, delimiter=separator, skipinitialspace=True), [])
    if not names:
        raise ValueError(f"{file} is empty: give it a line of names, and a line for each row")
    empty, doubled = ("" in names[1:]), next((name for name in names if names.count(name) > 1), None)
    if all(_is_number(name) for name in names) or (doubled and _is_number(doubled)):
        raise ValueError(
            f"{file} begins with numbers, {first.strip()[:60]!r}: write the names of the columns above them"
        )
    if empty or doubled is not None:
        fault = (
            f"a column without a name, number {names.index('', 1) + 1}" if empty else f"two columns called {doubled!r}"
        )
        raise ValueError(f"{file} has {fault}: give each a name of its own, or remove it")
    return separator, names


def _check_names(frame: Any, file: Path) -> None:
    """Raise ValueError where the first line is a row: numbers above numbers, and a text above texts that recurs."""
    texts = [name for name in frame.columns if frame[name].dtype.kind not in "biufmM"]
    recurring = [name for name in texts if (frame[name] == name).any()]
    above_numbers = [_is_number(name) for name in frame.columns if name not in texts]
    if recurring and all(above_numbers) and (above_numbers or recurring == texts):
        raise ValueError(
            f"{file} begins with a row, {recurring[0]!r} is an entry of others too: write the names of the columns "
            "above it"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_written_number(text: str) -> bool:
    """Whether a text is a number as `_labeled` writes it, which 01 is not."""
    return _is_number(text) and text in (str(float(text)), f"{float(text):.0f}")


def _label(frame: Any, label: str | None, file: Path) -> str:
    """Return the column that is predicted: the one named, or one called label or class, or the last one."""
    columns = [str(name) for name in frame.columns]
    if label is not None and label not in columns:
        raise ValueError(f"{file} has no column {label!r} to predict: it has {_listed(columns)}")
    if label is None:
        called = [name for name in columns if name.strip().lower() in _LABELS]
        label = called[0] if len(called) == 1 else columns[-1]
    if len(columns) < 2:
        raise ValueError(f"{file} has the column {label!r} alone: add columns to learn from")
    return label


def _task(labels: Any) -> Task:
    """Return what a column holds: classes of texts, truth values or few whole numbers; else numbers."""
    if labels.dtype.kind not in "iuf":
        return "classes"
    numbers = labels.dropna()
    return "classes" if (numbers % 1 == 0).all() and numbers.nunique() <= _MOST_CLASSES else "values"


def _note(root: Path, columns: Columns) -> None:
    what = "a class" if columns.task == "classes" else "a number"
    warnings.warn(f"the column {columns.label!r} of {root} is predicted, as {what}: label names another", stacklevel=6)


def _labeled(frame: Any, file: Path, columns: Columns, names: Sequence[str] = ()) -> tuple[Any, np.ndarray]:
    """Return the columns that are learned from, and the labels: texts of classes, or numbers.

    Numbers are written as those of `names` are, the classes of a training, which may have had 1.5 beside 1.0.
    """
    label = _label(frame, columns.label, file)
    strange = next((name for name in columns.ignore if name not in frame.columns), None)
    if strange is not None:
        raise ValueError(f"{file} has no column {strange!r} to leave out: it has {_listed(frame.columns)}")
    if not len(frame):
        raise ValueError(f"{file} has no rows: give at least ten of each class")
    inputs = frame.drop(columns=[name for name in frame.columns if name in columns.ignore and name != label])
    _check_present(inputs, file)
    labels, inputs = inputs[label], inputs.drop(columns=[label])
    if columns.task != "values":
        whole = labels.dtype.kind in "iuf" and bool((labels % 1 == 0).all())
        texts = [str(int(each)) if whole else str(each) for each in labels]
        if labels.dtype.kind in "iuf":
            written = {float(name): name for name in names if _is_number(name)}
            texts = [written.get(float(each), text) for each, text in zip(labels, texts, strict=True)]
        return inputs, np.array(texts, dtype=object)
    if labels.dtype.kind not in "biuf":
        odd = next((each for each in labels if not _is_number(str(each))), labels.iloc[0])
        raise ValueError(f"the column {label!r} of {file} holds {odd!r}, which is no number: give task classes")
    return inputs, labels.to_numpy(dtype=np.float64)


def _check_present(frame: Any, file: Path) -> None:
    """Raise ValueError where entries are missing, naming all columns that lack some."""
    counts = frame.isna().sum()
    gone = [f"{name} ({count} of {len(frame)} rows)" for name, count in counts.items() if count]
    if gone:
        raise ValueError(
            f"{file} has no value in {_listed(gone)}{_as_none(file)}: fill them in, remove these rows, or leave "
            "columns out (ignore)"
        )


def _as_none(file: Path) -> str:
    return "" if file.suffix.lower() == ".parquet" else "; NA, None, null and nan count as none"


def _classes(labels: np.ndarray) -> tuple[str, ...]:
    """Return the classes, in order; of numbers in theirs."""
    names = set(labels)
    return tuple(sorted(names, key=float) if all(map(_is_number, names)) else sorted(names))


def _whole_categories(frames: list[Any]) -> list[Any]:
    """Return tables of one set, in which each column of texts has the categories of all of them."""
    import pandas

    together = pandas.concat(frames)
    changed = [frame.copy() for frame in frames]
    for name in together.columns:
        texts = together[name]
        if texts.dtype.kind in "biufmM" or not all(isinstance(each, str) for each in texts):
            continue
        categories = sorted(set(texts))
        if len(categories) == len(texts):  # refused with a reason of its own
            continue
        for frame in changed:
            frame[name] = pandas.Categorical(frame[name], categories=categories)
    return changed


def _columns_of(form: InputForm) -> tuple[list[str], list[str]]:
    """Return the columns of a training that held texts, and those that held numbers."""
    texts = [column.name for column in form.columns if column.categories is not None]
    return texts, [column.name for column in form.columns if column.categories is None]


def _as_trained(inputs: Any, form: InputForm) -> Any:
    """Return a table for a model that was trained on one; bare numbers for a model without names of columns."""
    return inputs if form.columns else inputs.to_numpy()


def _listed(names: Any) -> str:
    shown = ", ".join(map(str, names))
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} ... ({len(names)} in all)"
