"""Loading of any image set: digits, the named sets and the user's own folders."""

import difflib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch

from onward import registry
from onward.core import Count, Range, Seed, Task, check_fields

from .arguments import Data, as_splits
from .array_files import array_files, splits_of
from .augment import PLAIN, Augmentation
from .cache import cached
from .carve import carve_test, carve_validation, warn_without_test
from .decode import resize
from .folder import TEST_NAMES, TRAIN_NAMES, read_folder, scan
from .images import Decoded, Splits, checksum
from .named import NAMED_SETS, NamedSet, hub_shards, read_hub, read_shards, shards
from .own_shards import own_shards, read_own
from .public import note_on, note_on_counts
from .samples import Images
from .source_files import stamp
from .streaming.splits import streamed_splits
from .streaming.workers import spare_cores
from .table_files import TABLE_SUFFIXES, Columns, splits_of_table, table_files

DATA_SETS = (
    ("digits", "scikit-learn's handwritten digits, 1.8k, 8x8 gray; needs no download"),
    *((named.name, named.description) for named in NAMED_SETS),
)


@dataclass(frozen=True)
class DataSettings:
    """Which images to train on and how they are split and augmented; raises ValueError on values out of range."""

    name: str = "digits"
    """digits, a named set (mnist, ...), or the path of your own: a folder of classes, .npz, idx files, .csv."""
    size: Annotated[int, Range(1, 2**16)] | None = None
    """Side in pixels that images are brought to; None keeps the native size."""
    validation_fraction: Annotated[float, Range(0, 1, above=True, below=True)] = 0.1
    """Share of the training images that is set aside to select on."""
    split_seed: Seed = 0
    """Decides which images are set aside; the test split never depends on it."""
    augmentation: Augmentation = PLAIN
    """Random changes to training images; all off by default."""
    buffer: Count | None = None
    """Stream a named set and shuffle among this many images, such as 10000; None holds the whole set in memory."""
    label: str | None = None
    """Column of a table that is predicted; None: the one called label, class or target, else the last one."""
    task: Task | None = None
    """What that column holds, classes or values (numbers); None: by its type."""
    ignore: tuple[str, ...] = ()
    """Columns of a table that are left out."""

    def __post_init__(self):
        check_fields(self)
        if not self.name:
            raise ValueError(f"name is empty: choose one of {_names()} or the path of a folder")
        if self.task == "labels":
            raise ValueError("task is 'labels', but one column is predicted: give classes or values")

    @property
    def columns(self) -> Columns:
        """What was said about the columns of a table."""
        return Columns(self.label, self.task, self.ignore)


def load(settings: DataSettings, *, data_dir: Path | None = None, workers: int | None = None) -> Splits:
    """Read, split and check an image set; `data_dir` (default: ONWARD_DATA) holds named sets as parquet shards.

    With a `buffer` training images are streamed: `workers` processes decode (default: one per spare core; 0: none).
    Raises ValueError with the file, folder or name at fault and what to do about it, and for a `data_dir` that would
    not be used.
    """
    named = next((known for known in NAMED_SETS if known.name == settings.name), None)
    _check_used(settings, named, data_dir)
    _check_columns(settings)
    if settings.buffer is not None:
        return _streamed(named, settings, data_dir, spare_cores() if workers is None else workers)
    if named is None and settings.name in registry.DATA:
        return _registered(settings, data_dir)
    if not _is_named(settings.name) and is_folder(settings.name):
        splits = _in_files(Path(settings.name).expanduser(), settings)
        if splits is not None:
            return splits
    source = _source(settings, named, data_dir)
    return carve_validation(
        source.decoded.train,
        source.decoded.test,
        fraction=settings.validation_fraction,
        seed=settings.split_seed,
        name=source.name,
        class_names=source.decoded.class_names,
        digest=source.digest,
        note=source.note,
        validation=source.decoded.validation,
    )


class _Source(NamedTuple):
    """Decoded images, with the name of their set, their digest, and a note on an unusual version of the set."""

    name: str
    decoded: Decoded
    digest: str
    note: str = ""


def _source(settings: DataSettings, named: NamedSet | None, data_dir: Path | None) -> _Source:
    """Read the images of digits, of a named set or of a folder. Raises ValueError for an unknown name."""
    if settings.name == "digits":
        decoded = _digits(settings.size)
        return _Source("digits", decoded, checksum(decoded.train, decoded.test))
    if named is not None:
        size = settings.size or named.default_size
        decoded, digest = _named(named, size, data_dir)
        return _Source(named.name, decoded, digest, note_on(named, decoded, digest, size=size))
    if is_folder(settings.name):
        return _own_images(Path(settings.name).expanduser(), settings.size)
    near = difflib.get_close_matches(settings.name, _names(), n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        f"unknown data set '{settings.name}': {hint}choose one of {', '.join(_names())}, or the path of a folder "
        f"(there is no folder {settings.name} in {Path.cwd()})"
    )


def _own_images(root: Path, size: int | None) -> _Source:
    """Read a user's folder: parquet shards, or a sub-folder of images for each class."""
    name = root.resolve().name
    if (parquet_files := own_shards(root)) is not None:
        if parquet_files[2] and not parquet_files[1]:
            warn_without_test(root)
        identity = [[[stamp(file) for file in files] for files in parquet_files], size, "own"]
        return _Source(name, *cached(name, identity, lambda: read_own(parquet_files, size=size)))
    folders = scan(root)
    if folders.validation is not None and folders.test is None:
        warn_without_test(root)
    return _Source(name, *cached(name, [folders.identity, size], lambda: read_folder(folders, size=size)))


def load_again(settings: DataSettings, *, data_dir: Path | None = None, workers: int | None = None) -> Splits:
    """Read the images of a run that has begun; `data_dir` is as in `moved`. Raises ValueError as `load` does."""
    settings, data_dir = moved(settings, data_dir)
    return load(settings, data_dir=data_dir, workers=workers)


def moved(settings: DataSettings, data_dir: Path | None) -> tuple[DataSettings, Path | None]:
    """Return the settings of a run's data, and the folder of named sets, where `data_dir` tells the new place of a
    user's folder.

    That is the folder itself, or the one in which it lies under its old name. Raises ValueError where it is gone.
    """
    if _is_named(settings.name):
        return settings, data_dir
    if data_dir is None:
        if is_folder(settings.name) and not Path(settings.name).expanduser().exists():
            raise ValueError(
                f"{settings.name}, which this run began on, is not there: give its new path with --data-dir"
            )
        return settings, None
    below = data_dir / Path(settings.name).name
    return replace(settings, name=os.path.abspath(below if below.exists() else data_dir)), None


def located(settings: DataSettings) -> DataSettings:
    """Return settings with the absolute path of a user's folder."""
    if _is_named(settings.name) or not is_folder(settings.name):
        return settings
    return replace(settings, name=os.path.abspath(Path(settings.name).expanduser()))


def label_of(name: str) -> str:
    """Return what runs on a set are called after: a set of the user's own after its file or folder, or, if that is one
    of its splits, after the folder around it."""
    if not is_folder(name):
        return name
    path = Path(os.path.abspath(Path(name).expanduser()))
    label = path.stem if path.is_file() else path.name
    return path.parent.name or label if label.lower() in (*TRAIN_NAMES, *TEST_NAMES) else label


def is_folder(name: str) -> bool:
    """Whether a name of images means a folder, or a file of arrays or of a table, of the user's own."""
    file = name.lower().endswith((".npz", *TABLE_SUFFIXES))
    return "/" in name or os.sep in name or file or Path(name).is_dir()


def _check_used(settings: DataSettings, named: NamedSet | None, data_dir: Path | None):
    """Raise ValueError for a `data_dir` that was given but would not be used: the user means other images."""
    if data_dir is None or (named is not None and (data_dir / named.name).is_dir()):
        return
    own = f"for a folder of your own with a sub-folder for each class give --data.name {data_dir}"
    if not data_dir.is_dir():
        raise ValueError(
            f"--data-dir {data_dir} is not a folder: name one that holds a folder of parquet files per set"
        )
    if named is not None:
        raise ValueError(
            f"--data-dir {data_dir} has no folder {named.name}: put the parquet files of {named.hub_id} there, or "
            f"leave --data-dir out to read them from the hub; {own}"
        )
    if settings.name == "digits":
        raise ValueError(f"--data-dir {data_dir} is not used: digits come with scikit-learn; leave it out, or {own}")
    if is_folder(settings.name):
        below = data_dir / settings.name
        also = f", or give --data.name {below}" if below.is_dir() else ""
        raise ValueError(
            f"--data-dir {data_dir} is for named sets and is not used with --data.name {settings.name}: "
            f"leave it out{also}"
        )


def _check_columns(settings: DataSettings) -> None:
    """Raise ValueError for columns that were named, but for data without any; and for a size of rows."""
    table = is_folder(settings.name) and table_files(Path(settings.name).expanduser()) is not None
    if not table and settings.columns != Columns():
        raise ValueError(f"label, task and ignore are about the columns of a table, which {settings.name} is not")
    if table and settings.size is not None:
        raise ValueError(f"{settings.name} is a table, which has no size in pixels: leave --data.size out")


def _in_files(root: Path, settings: DataSettings) -> Splits | None:
    """Return the splits of arrays or of a table in files; None where a path holds neither."""
    share, seed = settings.validation_fraction, settings.split_seed
    if (arrays := array_files(root)) is not None:
        return splits_of(arrays, size=settings.size, fraction=share, seed=seed)
    if (tables := table_files(root)) is not None:
        return splits_of_table(tables, settings.columns, fraction=share, seed=seed)
    return None


def _registered(settings: DataSettings, data_dir: Path | None) -> Splits:
    """Call the function that another package registered for a name. Raises ValueError if it returns no data."""
    splits = registry.DATA.find(settings.name)(settings, data_dir)
    if not isinstance(splits, Data):
        raise ValueError(
            f"the function registered for the data set {settings.name!r} returned {type(splits).__name__}: it must "
            "return Splits, for example those of onward.from_arrays, or another onward.data.Data"
        )
    made = as_splits(splits)
    return (
        replace(made, name=settings.name) if made.name in ("arrays", "dataset") else made
    )  # without a name of its own


def local_folder(named: NamedSet, data_dir: Path | None) -> Path | None:
    """Return the folder that holds a named set on this machine; None if there is none."""
    root = _data_dir(data_dir)
    return root / named.name if root is not None and (root / named.name).is_dir() else None


def _data_dir(given: Path | None) -> Path | None:
    if given is None and os.environ.get("ONWARD_DATA"):
        return Path(os.environ["ONWARD_DATA"]).expanduser()
    return given


def _digits(size: Annotated[int, Range(1, 2**16)] | None) -> Decoded:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    # 0..16 is scaled to 0..255: round(x * 255 / 16).
    pixels = (torch.from_numpy(bunch.images)[:, None] * 255 / 16).round().to(torch.uint8)
    if size is not None and size != pixels.shape[-1]:
        pixels = resize(pixels, size)
    train, test = carve_test(Images(pixels, torch.from_numpy(bunch.target).long()), 0.2)
    return Decoded(train, test, tuple(str(name) for name in bunch.target_names))


def _named(named: NamedSet, size: int, data_dir: Path | None) -> tuple[Decoded, str]:
    folder, root = local_folder(named, data_dir), _data_dir(data_dir)
    if folder is None:
        looked_in = None if root is None else root / named.name
        identity = ["hub", named.hub_id, named.config, named.revision, size]
        return cached(named.name, identity, lambda: read_hub(named, size=size, looked_in=looked_in))
    train, test = (shards(named, folder, split) for split in (named.train_split, named.test_split))
    return cached(
        named.name, [[stamp(file) for file in train + test], size], lambda: read_shards(named, train, test, size=size)
    )


def _streamed(named: NamedSet | None, settings: DataSettings, data_dir: Path | None, workers: int) -> Splits:
    """Return the splits of a named set, its training images streamed. Raises ValueError for other images."""
    if named is None:
        streamed = ", ".join(known.name for known in NAMED_SETS)
        raise ValueError(f"'{settings.name}' cannot be streamed, only {streamed}: leave --data.buffer out")
    folder, root = local_folder(named, data_dir), _data_dir(data_dir)
    if folder is None:
        train, test = hub_shards(named, looked_in=None if root is None else root / named.name)
        stamps, remedy = [*train, *test], "look whether the hub can be reached, then resume the run"
    else:
        local = [shards(named, folder, split) for split in (named.train_split, named.test_split)]
        stamps, remedy = [stamp(file) for files in local for file in files], "copy the shard again"
        train, test = ([str(file) for file in files] for files in local)
    splits = streamed_splits(
        named,
        (train, test),
        stamps,
        remedy=remedy,
        size=settings.size or named.default_size,
        fraction=settings.validation_fraction,
        seed=settings.split_seed,
        buffer=settings.buffer or 1,
        workers=workers,
    )
    return replace(splits, note=note_on_counts(named, len(splits.train) + len(splits.validation), len(splits.test)))


def _names() -> list[str]:
    return [name for name, _ in DATA_SETS]


def _is_named(name: str) -> bool:
    return name in _names() or name in registry.DATA
