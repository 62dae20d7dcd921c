"""A user's own set in parquet files: images in one column, labels in another, found by their content."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onward.core import class_indices

from .carve import carve_test
from .decode import PixelBuffer
from .folder import IMAGE_SUFFIXES
from .images import Decoded
from .named import encoded
from .parquet import batches, shard_files
from .samples import Samples, images_of
from .source_files import cause

TEST_FRACTION = 0.2

_KEEP = "keep one of images (encoded bytes) and call the other one label"

Shards = tuple[list[Path], list[Path], list[Path]]
"""Files of the train, test and validation split; without the latter two they are carved out of train."""


def own_shards(root: Path) -> Shards | None:
    """Return the parquet files of a folder without folders of classes, or a file itself; None if there are none."""
    if root.suffix.lower() == ".parquet" and root.is_file():
        return [root], [], []
    folders = (root, root / "data")
    train = shard_files(folders, ("train",)) if root.is_dir() else []
    test = shard_files(folders, ("test",)) if train else []
    validation = shard_files(folders, ("validation", "valid", "val")) if train else []
    if not train and root.is_dir() and not _class_folders(root):
        train = sorted(root.glob("*.parquet"))
    return (train, test, validation) if train else None


def _class_folders(root: Path) -> bool:
    """Whether two folders inside one have images: beside classes a parquet file is none of the set."""
    folders = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    holding = [any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.iterdir()) for folder in folders]
    return sum(holding) > 1


def read_own(files: Shards, *, size: int | None) -> Decoded:
    """Decode the images; `size` is the side in pixels, None keeps the one all images share.

    Labels are numbers from 0, class labels with names, or texts. Raises ValueError naming file, column or row.
    """
    labels: list[Any] = []
    buffer = PixelBuffer(channels=None, size=(size, size) if size else None, deep=True)
    named: list[tuple[tuple[str, ...] | None, int]] = []
    counts = []
    for split in files:
        for file in split:
            names, before = _append(buffer, labels, file), len(named) and named[-1][1]
            if len(labels) > before:
                named.append((names, len(labels)))
        counts.append(len(labels))
    if not counts[0]:
        raise ValueError(f"{files[0][0]} has no rows: copy it again")
    names, indices = _numbered(*_of_one_order(labels, named), files[0][0])
    buffer.labels[:] = indices
    both = buffer.images(gray=buffer.all_gray)
    first, second = counts[0], counts[1]
    train, test, validation = (
        images_of(both.pixels[part], both.labels[part]) if part.stop > part.start else None
        for part in (slice(0, first), slice(first, second), slice(second, counts[2]))
    )
    assert train is not None
    if test is None:
        train, test = carve_test(train, TEST_FRACTION, class_names=names)
    return Decoded(train, test, names, validation)


def read_own_labeled(files: Shards, class_names: Sequence[str], *, channels: int, size: tuple[int, int]) -> Samples:
    """Return the labeled images to evaluate on: those of the test files, or of the validation files, else all.

    Raises ValueError for a class that the training did not have, and as `read_own` does.
    """
    train, test, validation = files
    buffer = PixelBuffer(channels=channels, size=size, deep=True)
    indices: list[int] = []
    for file in test or validation or train:
        labels: list[Any] = []
        names = _append(buffer, labels, file)
        indices += class_indices(_texts(labels, names, class_names, file), class_names, f"{file}: label").tolist()
    if not indices:
        raise ValueError(f"{(test or validation or train)[0]} has no rows: copy it again")
    buffer.labels[:] = indices
    return buffer.images()


def encoded_images(files: Shards) -> Iterator[tuple[str, bytes]]:
    """Yield the place and the encoded bytes of each image, labeled or not, of the files `read_own_labeled` reads.

    Raises ValueError naming the file that cannot be read.
    """
    train, test, validation = files
    for file in test or validation or train:
        row = 0
        for rows, _ in _rows(file):
            cells = rows[_image_column(rows, file)]
            yield from ((f"{file}:{row + k}", encoded(cell, str(file), row + k)) for k, cell in enumerate(cells))
            row += len(cells)
        if not row:
            raise ValueError(f"{file} has no rows: copy it again")


def _of_one_order(
    labels: list[Any], named: list[tuple[tuple[str, ...] | None, int]]
) -> tuple[list[Any], tuple[str, ...] | None]:
    """Return labels and the names of their numbers; `named` has those of each file, and where its labels end.

    Files whose names differ, or that hold texts beside numbers with names, have their labels as texts.
    """
    orders = list(dict.fromkeys(names for names, _ in named if names is not None))
    texts = any(isinstance(label, str) for label in labels)
    if len(orders) < 2 and not (orders and texts):
        return labels, orders[0] if orders else None
    written, begin = list[Any](), 0
    for names, end in named:
        written += [_name(label, names) for label in labels[begin:end]]
        begin = end
    return written, None


def _name(label: Any, names: tuple[str, ...] | None) -> Any:
    return names[label] if names is not None and type(label) is int and 0 <= label < len(names) else label


def _append(buffer: PixelBuffer, labels: list[Any], file: Path) -> tuple[str, ...] | None:
    names, row = None, 0
    for rows, features in _rows(file):
        image, label = _columns(rows, features, file)
        names = names or tuple(getattr(features[label], "names", None) or ()) or None
        for cell, value in zip(rows[image], rows[label], strict=True):
            buffer.append(encoded(cell, str(file), row), 0, where=f"{file}, row {row}")
            labels.append(value)
            row += 1
    return names


def _rows(file: Path) -> Iterator[tuple[dict[str, list], Any]]:
    # pyarrow raises errors of its own; whatever they are, they mean "cannot be read".
    try:
        yield from batches(file)
    except Exception as error:
        raise ValueError(f"{file} cannot be read ({cause(error)}): copy it again") from error


def _columns(rows: dict[str, list], features: Any, file: Path) -> tuple[str, str]:
    """Return the column of images and that of labels. Raises ValueError naming those that are there."""
    image = _image_column(rows, file)
    others = [name for name in rows if name != image]
    labels = [name for name in others if getattr(features[name], "names", None)] or others
    labels = labels if len(labels) == 1 else [name for name in labels if name in ("label", "labels", "class")]
    if len(labels) != 1:
        raise ValueError(f"{file} has the columns {', '.join(rows)}: {_KEEP}")
    return image, labels[0]


def _image_column(rows: dict[str, list], file: Path) -> str:
    images = [name for name, cells in rows.items() if cells and _is_image(cells[0])]
    if len(images) != 1:
        raise ValueError(f"{file} has the columns {', '.join(rows)}: {_KEEP}")
    return images[0]


def _is_image(cell: Any) -> bool:
    return isinstance(cell.get("bytes") if isinstance(cell, dict) else cell, bytes)


def _texts(labels: list[Any], names: tuple[str, ...] | None, known: Sequence[str], file: Path) -> list[str]:
    """Return labels as texts. Raises ValueError for numbers that are neither named nor classes themselves."""
    if names is None:
        odd = [label for label in labels if not isinstance(label, str) and str(label) not in known]
        if odd:
            raise ValueError(
                f"{file} has the label {odd[0]!r}, but the classes are {', '.join(list(known)[:8])}: give them as texts"
            )
        return [str(label) for label in labels]
    odd = [label for label in labels if type(label) is not int or not 0 <= label < len(names)]
    if odd:
        raise ValueError(f"{file} has the label {odd[0]!r}, but names for {len(names)} classes alone: correct it")
    return [names[label] for label in labels]


def _numbered(labels: list[Any], names: tuple[str, ...] | None, file: Path) -> tuple[tuple[str, ...], list[int]]:
    texts = all(isinstance(label, str) for label in labels)
    if texts:
        names = tuple(sorted(set(labels)))
        index_of = {name: k for k, name in enumerate(names)}
        return names, [index_of[label] for label in labels]
    odd = [label for label in labels if type(label) is not int or label < 0]  # None too
    if odd:
        raise ValueError(f"{file} has the label {odd[0]!r}: give numbers from 0, or texts, to all images")
    count = max(labels) + 1
    if names is not None and count > len(names):
        raise ValueError(f"{file} has the label {count - 1}, but names for {len(names)} classes alone: correct it")
    if names is None and len(set(labels)) < count:
        missing = next(k for k in range(count) if k not in set(labels))
        raise ValueError(f"no image of {file} has the label {missing}, though labels reach {count - 1}: renumber them")
    return names or tuple(str(k) for k in range(count)), labels
