"""The named image sets, read once from local parquet shards or from the Hugging Face hub."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .decode import PixelBuffer
from .images import Decoded
from .parquet import batches, shard_files
from .samples import Samples
from .source_files import cause


@dataclass(frozen=True)
class NamedSet:
    """A public set: its address on the hub and its content; `default_size` is the side in pixels it is brought to."""

    name: str
    hub_id: str
    config: str | None
    image_column: str
    label_column: str
    train_split: str
    test_split: str
    default_size: int
    channels: int
    num_classes: int
    num_train: int
    num_test: int
    title: str
    """The name as it is written in a text."""
    description: str
    # The hub's own parquet export, for a repository that is a loading script: `datasets` 4 runs no scripts.
    revision: str | None = None


NAMED_SETS = (
    NamedSet(
        "mnist", "ylecun/mnist", "mnist", "image", "label", "train", "test",
        28, 1, 10, 60_000, 10_000,
        "MNIST", "handwritten digits, 60k + 10k, 28x28 gray",
    ),
    NamedSet(
        "fashion_mnist", "zalando-datasets/fashion_mnist", "fashion_mnist", "image", "label", "train", "test",
        28, 1, 10, 60_000, 10_000,
        "Fashion-MNIST", "articles of clothing, 60k + 10k, 28x28 gray",
    ),
    NamedSet(
        "cifar10", "uoft-cs/cifar10", "plain_text", "img", "label", "train", "test",
        32, 3, 10, 50_000, 10_000,
        "CIFAR-10", "small photographs, 50k + 10k, 32x32 color",
    ),
    NamedSet(
        "cifar100", "uoft-cs/cifar100", "cifar100", "img", "fine_label", "train", "test",
        32, 3, 100, 50_000, 10_000,
        "CIFAR-100", "small photographs of 100 classes, 50k + 10k, 32x32 color",
    ),
    NamedSet(
        "svhn", "ufldl-stanford/svhn", "cropped_digits", "image", "label", "train", "test",
        32, 3, 10, 73_257, 26_032,
        "SVHN", "street view house numbers, 73k + 26k, 32x32 color",
    ),
    NamedSet(
        "imagenette", "frgfm/imagenette", "160px", "image", "label", "train", "validation",
        128, 3, 10, 9_469, 3_925,
        "ImageNette", "ten easy ImageNet classes, 9.5k + 3.9k, brought to 128x128 color", "refs/convert/parquet",
    ),
    NamedSet(
        "tiny_imagenet", "zh-plus/tiny-imagenet", None, "image", "label", "train", "valid",
        64, 3, 200, 100_000, 10_000,
        "Tiny ImageNet", "200 ImageNet classes, 100k + 10k, 64x64 color",
    ),
    NamedSet(
        "imagenet", "ILSVRC/imagenet-1k", None, "image", "label", "train", "validation",
        64, 3, 1000, 1_281_167, 50_000,
        "ImageNet", "ImageNet-1k, 1.28M + 50k, brought to 64x64 color (16 GB, or streamed); accept its license first",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One stream of rows: `where` names it in errors, `open` yields batches and features, `remedy` mends a failure."""

    where: str
    open: Callable[[], Iterator[tuple[dict[str, list], Any]]]
    remedy: str


def shards(named: NamedSet, folder: Path, split: str) -> list[Path]:
    """The parquet files of one split, in order, in the layouts of the hub; raises ValueError when some are missing."""
    # The hub's name for the test split and the plain one are both understood: "valid" and "test".
    spellings = (split,) if split in (named.train_split, "test") else (split, "test")
    files = shard_files((folder, folder / "data", folder / (named.config or "default")), spellings)
    if files:
        return files
    wanted = " or ".join(f"{spelling}-*.parquet" for spelling in spellings)
    there = sorted(entry.name for entry in folder.iterdir() if entry.suffix != ".parquet")
    instead = f" (there is {there[0]}, but named sets are read from parquet files alone)" if there else ""
    raise ValueError(f"{folder} has no {wanted}{instead}: copy the {split} shards of {named.hub_id} there")


def read_shards(named: NamedSet, train: list[Path], test: list[Path], *, size: int) -> Decoded:
    """Decode local parquet shards; raises ValueError naming file, column or row when one cannot be used."""

    def parts(files: list[Path]) -> list[Part]:
        return [Part(str(file), partial(batches, file), "copy the shard again") for file in files]

    return _read(named, parts(train), parts(test), size=size)


def read_hub(named: NamedSet, *, size: int, looked_in: Path | None) -> Decoded:
    """Decode the set as it streams from the hub; raises ValueError naming both places when it cannot be reached."""
    remedy = _offline_remedy(named, looked_in)

    def parts(split: str) -> list[Part]:
        return [Part(f"{named.hub_id} ({split}) on the hub", partial(_hub_batches, named, split), remedy)]

    return _read(named, parts(named.train_split), parts(named.test_split), size=size)


def _hub_batches(named: NamedSet, split: str) -> Iterator[tuple[dict[str, list], Any]]:
    import datasets

    _refuse_local_twin(named)
    stream = datasets.load_dataset(
        named.hub_id, split=split, streaming=True, revision=named.revision, **_on_hub(named)
    ).decode(False)
    for batch in stream.iter(batch_size=256):
        yield batch, stream.features


def _refuse_local_twin(named: NamedSet):
    # `datasets` takes a folder of this name in the working directory for the repository on the hub.
    if Path(named.hub_id).exists():
        raise ValueError(f"{Path.cwd() / named.hub_id} would be read in place of the hub: rename it")


def hub_shards(named: NamedSet, *, looked_in: Path | None) -> tuple[list[str], list[str]]:
    """Addresses of the train and test shards on the hub; raises ValueError as `read_hub` does."""
    import datasets

    try:
        _refuse_local_twin(named)
        builder = datasets.load_dataset_builder(named.hub_id, revision=named.revision, **_on_hub(named))
        files: Any = builder.config.data_files
        train, test = ([str(file) for file in files[split]] for split in (named.train_split, named.test_split))
    except Exception as error:
        reason, remedy = cause(error), _offline_remedy(named, looked_in)
        raise ValueError(f"{named.hub_id} on the hub cannot be read ({reason}): {remedy}") from error
    return train, test


def _on_hub(named: NamedSet) -> dict[str, Any]:
    # An exported branch has no named configurations, only one folder for each.
    return {"data_dir": named.config} if named.revision else {"name": named.config}


def _offline_remedy(named: NamedSet, looked_in: Path | None) -> str:
    local = f"in {looked_in}" if looked_in else "on this machine (no data_dir, and ONWARD_DATA is not set)"
    return (
        f"{named.name} is not {local} either; put {named.train_split}-*.parquet and {named.test_split}-*.parquet "
        f"into <data_dir>/{named.name}, or go online (and accept the license of a gated set)"
    )


def _read(named: NamedSet, train: list[Part], test: list[Part], *, size: int) -> Decoded:
    train_images, class_names = _read_split(named, train, size=size)
    test_images, _ = _read_split(named, test, size=size)
    return Decoded(train_images, test_images, class_names)


def _read_split(named: NamedSet, parts: list[Part], *, size: int) -> tuple[Samples, tuple[str, ...]]:
    buffer = PixelBuffer(channels=named.channels, size=(size, size))
    class_names: tuple[str, ...] = ()
    for part in parts:
        row = 0
        for batch, features in _batches(part):
            image_column = find_column(named.image_column, "image", batch, part.where)
            label_column = find_column(named.label_column, "label", batch, part.where)
            class_names = class_names or class_names_of(named, (features or {}).get(label_column), part.where)
            for cell, label in zip(batch[image_column], batch[label_column], strict=True):
                if type(label) is not int or not 0 <= label < named.num_classes:
                    raise wrong_label(named, label, f"{part.where}, row {row}, column '{label_column}'")
                buffer.append(encoded(cell, part.where, row), label, where=f"{part.where}, row {row}")
                row += 1
    if not buffer.labels:
        raise ValueError(f"{parts[0].where} has no rows: {parts[0].remedy}")
    return buffer.images(), class_names


def _batches(part: Part) -> Iterator[tuple[dict[str, list], Any]]:
    # The hub raises errors of four libraries and pyarrow its own; whatever they are, they mean "cannot be read".
    try:
        yield from part.open()
    except Exception as error:
        raise ValueError(f"{part.where} cannot be read ({cause(error)}): {part.remedy}") from error


def find_column(wanted: str, plain: str, columns: Collection[str], where: str) -> str:
    """The set's own column or the plain one; raises ValueError naming the columns that are there instead."""
    for column in (wanted, plain):
        if column in columns:
            return column
    either = f"'{wanted}'" if wanted == plain else f"'{wanted}' or '{plain}'"
    raise ValueError(f"{where} has the columns {sorted(columns)} but not {either}: rename the column")


def wrong_label(named: NamedSet, label: Any, where: str) -> ValueError:
    """The error for a label that is no class of the set."""
    allowed = f"{named.name} has the classes 0..{named.num_classes - 1}"
    return ValueError(f"{where}: label {label!r}, but {allowed}: repair the file")


def class_names_of(named: NamedSet, feature: Any, where: str) -> tuple[str, ...]:
    """The names that a label column carries, else the numbers; raises ValueError if they are not as many as classes."""
    names = tuple(getattr(feature, "names", None) or (str(index) for index in range(named.num_classes)))
    if len(names) != named.num_classes:
        raise ValueError(f"{where} names {len(names)} classes but {named.name} has {named.num_classes}: wrong set?")
    return names


def encoded(cell: Any, where: str, row: int) -> bytes:
    """The image file inside a cell; raises ValueError if there is none."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise ValueError(f"{where}, row {row} has no encoded image bytes: embed the images in the parquet file")
    return content
