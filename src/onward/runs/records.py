"""Records of finished runs: one checksummed JSON file each, written and read here."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from onward.core import Learner
from onward.data import KNOWN_NOTES, NAMED_SETS, Splits, note_on_counts
from onward.data.public import COPIES
from onward.measure import peak_memory
from onward.recipes import Recipe, current, find, former
from onward.runs.codec import decode, encode
from onward.runs.localities import in_words, in_words_on
from onward.runs.result import RunEnvironment, RunResult, result_of
from onward.storage.disk import check_folder, make_folder
from onward.storage.files import read_json, write_json
from onward.training.evaluation import Accuracy


@dataclass(frozen=True)
class Record:
    """A recorded run: its recipe under today's name, and the filed result."""

    recipe: Recipe
    result: RunResult

    @property
    def method(self) -> str:
        """The algorithm's class."""
        return type(self.recipe.algorithm).__name__

    @property
    def data(self) -> str:
        """The images: the name of the set, or what sets this copy of it apart from the public one."""
        return self.result.images

    @property
    def locality(self) -> str:
        """How far the gradient reaches, in words; of a run that did not note it, measured on its network."""
        return self.result.locality or in_words(self.recipe)

    @property
    def accuracy(self) -> float:
        """Test accuracy of the default rule, a fraction."""
        return self.result.test_accuracy


@dataclass(frozen=True, order=True)
class Row:
    """One row of a table: the seeds of a recipe that were trained on the same images."""

    recipe: str
    data: str


_FEW_CLASSES = 100  # whose recalls a result lists
_COMPARED = frozenset(copy.digest for copy in COPIES)

Records = Mapping[Row, list[Record]]
"""A record for each seed, in their order."""


def make_record(
    recipe: Recipe,
    data: Splits,
    learner: Learner,
    *,
    train_seconds: float,
    test: Accuracy,
    validation: Accuracy,
    environment: RunEnvironment,
) -> RunResult:
    """Return all that documents a number: recipe, seed, data, machine, commit. Accuracies are fractions.

    Of numbers to predict they are R2, of several labels the share of samples with all labels right; `test_metrics` are
    further metrics of the default rule, `test_recall_by_class` is there for up to 100 classes.

    `environment` is that in which the run began: what it was trained with.
    """
    memory, meter = peak_memory(learner.device)
    parameters = sum(p.numel() for block in learner.blocks for p in block.parameters())
    own = {f.name for f in fields(RunResult)}  # an environment may not overwrite values of the run
    others = {name: value for name, value in environment.others.items() if name not in own}
    return RunResult(
        **vars(replace(environment, others=others)),
        recipe=recipe.name,
        seed=recipe.seed,
        test_accuracy=test.of_default_rule,
        test_accuracy_by_rule=test.by_rule,
        test_accuracy_by_block=tuple(test.by_block),
        validation_accuracy=validation.of_default_rule,
        task=data.task,
        test_metrics=dict(test.metrics),
        test_recall_by_class=_recall(data, test),
        locality=in_words_on(recipe, data),
        published=None if foreign(recipe, data.name, data.note) else encode(recipe.published),
        data=data.name,
        data_note=data.note,
        n_train=len(data.train),
        n_validation=len(data.validation),
        n_test=len(data.test),
        epochs=recipe.epochs,
        parameters=parameters,
        train_seconds=train_seconds,
        peak_memory_bytes=memory,
        peak_memory_meter=meter,
        config=encode(recipe),
    )


def _recall(data: Splits, test: Accuracy) -> dict[str, float | None] | None:
    """Return the recall of each class by name, None for one without test samples."""
    if test.classes is None or len(data.class_names) > _FEW_CLASSES:
        return None
    shares = [None if recall != recall else recall for recall in test.classes.recall]
    return dict(zip(data.class_names, shares, strict=False))


def foreign(recipe: Recipe, data: str, note: str) -> str:
    """Return why images, by name and note of their data set, are not those of a recipe in the list; else empty."""
    listed = (find(recipe.name) or recipe).data.name
    if recipe.data.name != listed:
        return f"these are not the images of {listed} but of {data}"
    return "" if note in KNOWN_NOTES else f"these are {note}"


def foreign_result(recipe: Recipe, result: RunResult) -> str:
    """Return the same for a result; older results have no note, but numbers of images."""
    named = next((known for known in NAMED_SETS if known.name == recipe.data.name), None)
    note, numbers = result.data_note, (result.n_train, result.n_validation, result.n_test)
    counts = [number for number in numbers if number is not None]
    if named is not None and not note and len(counts) == len(numbers):
        note = note_on_counts(named, sum(counts[:2]), counts[2])
    return foreign(recipe, result.data, note)


def record(folder: Path, result: RunResult) -> Path:
    """File a finished run under `record_path`, in place of one of the same recipe, seed and images.

    Raises ValueError if recipe and seed are not those of its settings, and for a file in the place of a folder.
    """
    recipe = decode(result.config, Recipe, "the settings of a result")
    identity = result.recipe, result.seed
    if identity != (recipe.name, recipe.seed) or not re.fullmatch(r"[\w-][\w.-]*", recipe.name):
        raise ValueError(
            f"a result of recipe {identity[0]!r}, seed {identity[1]!r} has the settings of {recipe.name!r}, seed "
            f"{recipe.seed}: it was put together or edited, and is not recorded"
        )
    path = record_path(folder, recipe.name, recipe.seed, result.data_note)
    before = filed(folder, recipe.name, recipe.seed, result.data_note)
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for inner in reversed(path.relative_to(folder).parents[:-1]):
        make_folder(folder / inner)
    write_json(path, result.to_json())
    if before is not None and before != path:
        before.unlink()  # of a name that the recipe had before
    return path


def record_path(folder: Path, recipe: str, seed: int, note: str = "") -> Path:
    """Return where a record belongs: `folder/runs/RECIPE/seed-N.json`, in a folder of its own for a noted data set."""
    return _path(folder, current(recipe), seed, note)


def filed(folder: Path, recipe: str, seed: int, note: str = "") -> Path | None:
    """Return the path of a record, under the name that its recipe has or had; None if there is none."""
    return next((path for path in _record_paths(folder, recipe, seed, note) if path.is_file()), None)


def filed_on_any_images(folder: Path, recipe: str, seed: int) -> list[Path]:
    """Return where the records of a recipe and seed lie, that of the public images before those of other copies."""
    plain = _record_paths(folder, recipe, seed, "")
    copies = (path for own in plain for path in sorted(own.parent.glob(f"*/{own.name}")))
    return [path for path in (*plain, *copies) if path.is_file()]


def _record_paths(folder: Path, recipe: str, seed: int, note: str) -> list[Path]:
    """Return where a record may lie: where it belongs, and where it belonged under each name of before."""
    today = current(recipe)
    return [_path(folder, name, seed, note) for name in (today, *former(today))]


def _path(folder: Path, name: str, seed: int, note: str) -> Path:
    copy = re.sub(r"[^a-z0-9]+", "-", note.lower()).strip("-")
    return folder / "runs" / name / copy / f"seed-{seed}.json"


def read_record(path: Path) -> Record:
    """Read a filed run.

    Raises ValueError naming the file if it is damaged, of settings that are not known, or of another seed than it is
    filed under, as a copy is.
    """
    content = read_json(path)
    try:
        result = result_of(content, str(path))
        recipe = decode(result.config, Recipe, "config")
        _check_consistent(result, recipe)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}): delete the record and train its recipe again") from None
    if path.name != f"seed-{recipe.seed}.json":
        raise ValueError(
            f"{path} holds the record of {path.with_name(f'seed-{recipe.seed}.json')}: move it there, or delete it if "
            "it is a copy"
        )
    device = re.sub(r"\b1 threads$", "1 thread", result.device)  # as older versions wrote it
    return Record(replace(recipe, name=current(recipe.name)), replace(result, device=device))


def _check_consistent(result: RunResult, recipe: Recipe) -> None:
    """Raise ValueError where a result is not that of its settings, or has an accuracy that is no fraction."""
    for name, stated, is_so in (("recipe", result.recipe, recipe.name), ("seed", result.seed, recipe.seed)):
        if stated != is_so:
            raise ValueError(f"{name} is {stated!r} but its settings have {is_so!r}: it was put together or edited")
    accuracies = {"test_accuracy": result.test_accuracy, "validation_accuracy": result.validation_accuracy}
    accuracies |= result.test_accuracy_by_rule
    for name, value in accuracies.items():
        if not (value <= 1 if result.task == "values" else 0 <= value <= 1):
            raise ValueError(f"{name} is {value!r}, which is not a fraction")


def readable_records(folder: Path) -> list[Record]:
    """Return every record below a folder that can be read, those that do not fit together too: for estimates."""
    records = []
    for path in sorted((folder / "runs").rglob("seed-*.json")):
        with contextlib.suppress(ValueError, OSError):
            records.append(read_record(path))
    return records


def read_records(folder: Path) -> dict[Row, list[Record]]:
    """Return all records by recipe and images, those of a row by seed.

    A recipe has its current name, even if filed under a former one. Raises ValueError for a damaged record,
    for one that lies elsewhere than where it is filed, as a copy does, for two of one seed, and for seeds of a row that
    were trained in different ways or on different images.
    """
    rows: dict[Row, list[Record]] = defaultdict(list)
    for path in sorted((folder / "runs").rglob("seed-*.json")):
        this = read_record(path)
        identity = this.result.recipe, this.recipe.seed, this.result.data_note
        if path not in (_path(folder, *identity), record_path(folder, *identity)):
            raise ValueError(
                f"{path} holds the record of {_path(folder, *identity)}: move it there, or delete it if it is a copy"
            )
        seeds = rows[Row(this.recipe.name, this.data)]
        if any(other.recipe.seed == this.recipe.seed for other in seeds):
            raise ValueError(
                f"{path} is the second record of {this.recipe.name}, seed {this.recipe.seed}, beside "
                f"{filed(folder, *identity)}: delete one of them"
            )
        for other in seeds:
            _check_alike(path, this, other)
        seeds.append(this)
    return {row: sorted(seeds, key=lambda this: this.recipe.seed) for row, seeds in sorted(rows.items())}


def _check_alike(path: Path, this: Record, other: Record) -> None:
    """Raise ValueError for two seeds of a row that were trained in different ways, or on different images."""
    named = f"seed {other.recipe.seed} of {this.recipe.name}"
    if other.recipe.identity() != this.recipe.identity():
        raise ValueError(
            f"{path} was trained with other settings than {named} "
            f"({'; '.join(this.recipe.differences(other.recipe))}): train it again, or delete the record"
        )
    if not on_same_images(this.result, other.result):
        raise ValueError(
            f"{path} was trained on other images than {named}, as their checksums tell: train it again, or delete the "
            "record"
        )


def on_same_images(one: RunResult, other: RunResult) -> bool:
    """Whether two results of a row are of the same images, by their checksums; True where one did not note it.

    Images of a set whose public checksum is known were compared with it when they were read; that takes a copy of them
    with one other test image too.
    """
    return are_same_images(one.data_checksum, other.data_checksum)


def are_same_images(one: str | None, other: str | None) -> bool:
    """Whether two checksums are of the same images, as `on_same_images` has it of two results."""
    checksums = {one, other} - {None}
    return len(checksums) < 2 or not checksums.isdisjoint(_COMPARED)
