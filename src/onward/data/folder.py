"""A user's own images: one sub-folder per class, directly or under train/ and test/."""

import csv
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .carve import carve_test
from .decode import PixelBuffer
from .images import Decoded
from .samples import Samples, images_of
from .source_files import stamp

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "val", "valid", "validation")
TEST_FRACTION = 0.2

# What desktops and annotation tools leave beside images; anything else that is no image is an error.
LITTER_NAMES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
LITTER_SUFFIXES = (".txt", ".csv", ".json", ".xml", ".md")

T = TypeVar("T")
Files = dict[str, list[Path]]


@dataclass(frozen=True)
class ClassFolders:
    """The image files of each class, sorted; `test` None means that a test split has to be carved from train.

    `validation` are those of val/; None: they are carved from train.
    """

    root: Path
    train: Files
    test: Files | None
    validation: Files | None = None

    @property
    def identity(self) -> list:
        """File names and stamps, which identify the state of the folder. Raises ValueError for irregular files."""
        groups = [("train", self.train), ("test", self.test or {}), ("validation", self.validation or {})]
        files = [
            (split, name, file) for split, classes in groups for name, images in classes.items() for file in images
        ]
        return [(split, name, *stamp(file)) for split, name, file in files]


def scan(root: Path, *, least: int = 2) -> ClassFolders:
    """Find the classes and their files; `least`: how many classes there have to be without folders of splits.

    Raises ValueError naming the folder that is missing, empty or alone.
    """
    if not root.is_dir():
        raise ValueError(_no_folder(root))
    if (root / "metadata.csv").is_file():
        return _listed_splits(root, least)
    inside = {folder.name for folder in _subfolders(root)}
    if "train" not in inside or not _is_split(root / "train"):
        for name in sorted(inside):
            if name.lower() in TRAIN_NAMES and name != "train" and _subfolders(root / name):
                raise ValueError(f"{root / name} looks like a training split: call it train, and the other one test")
        if "train" in inside and inside <= {"train", *TEST_NAMES}:
            raise ValueError(
                f"{root / 'train'} holds images that are not sorted into classes: put them into a sub-folder for each "
                "class, or list them in train/metadata.csv with the columns file_name and label"
            )
        return ClassFolders(root, _classes(root, least), None)
    here = [name for name in TEST_NAMES if name in inside]
    if not here:
        others = ", ".join(sorted(inside - {"train"}))
        hint = f" (but {others}: call the one to test on test/)" if others else ""
        raise ValueError(f"{root} has train/ but no test/{hint}: add it, or give {root / 'train'} to carve it out")
    test = "test" if "test" in here else None
    held = next((name for name in here if name != "test"), None)
    of_test, of_held = (f"{test}/" if test else "carved from train/"), (f"{held}/" if held else "carved from train/")
    for unused in sorted(inside - {"train", test, held}):
        _warn(f"{root / unused} is not used: the test split is {of_test}, validation is {of_held}")
    train, parts = _files_by_class(root / "train"), [_beside(root, name) if name else None for name in (test, held)]
    return ClassFolders(root, train, *parts)


def _beside(root: Path, split: str) -> Files:
    """Return the files of another split. Raises ValueError unless it has the classes of train."""
    train, classes = _files_by_class(root / "train"), _files_by_class(root / split)
    check_names_apart(dict.fromkeys((*train, *classes)), str(root))
    different = sorted(set(train) ^ set(classes))
    if different:
        present, absent = ("train", split) if different[0] in train else (split, "train")
        raise ValueError(f"class '{different[0]}' is in {root / present} but not in {root / absent}: give it both")
    return classes


def read_folder(folders: ClassFolders, *, size: int | None) -> Decoded:
    """Decode all files; `size` is the side in pixels, None keeps the one all files share (else ValueError)."""
    buffer = PixelBuffer(channels=None, size=(size, size) if size else None, deep=True)
    class_names = tuple(folders.train)
    _append(buffer, folders.train)
    num_train = len(buffer.labels)
    if folders.test is not None:
        _append(buffer, folders.test)
    num_test = len(buffer.labels)
    if folders.validation is not None:
        _append(buffer, folders.validation)
    both = buffer.images(gray=buffer.all_gray)
    if folders.test is None:
        own = images_of(both.pixels[:num_train], both.labels[:num_train])
        train, test = carve_test(own, TEST_FRACTION, class_names=class_names)
    else:
        train = images_of(both.pixels[:num_train], both.labels[:num_train])
        test = images_of(both.pixels[num_train:num_test], both.labels[num_train:num_test])
    if folders.validation is None:
        return Decoded(train, test, class_names)
    return Decoded(train, test, class_names, images_of(both.pixels[num_test:], both.labels[num_test:]))


def read_labeled(root: Path, class_names: Sequence[str], *, channels: int, size: tuple[int, int]) -> Samples:
    """Return the labeled images of a folder for evaluation: those of test/, or of val/, where there is one, else all.

    A single class is enough, and names may be written in another Unicode form, as copies between systems make. Raises
    ValueError for a class that the training did not have, and for unreadable files.
    """
    folders = scan(root, least=1)
    files = _in_one_form(folders.test or folders.validation or folders.train)
    index_of = _in_one_form({name: k for k, name in enumerate(class_names)})
    new = next((name for name in files if name not in index_of), None)
    if new is not None:
        shown = ", ".join(class_names[:8]) + (", ..." if len(class_names) > 8 else "")
        raise ValueError(f"{root} has the class {new!r}, but the model was trained on {shown}: rename or remove it")
    buffer = PixelBuffer(channels=channels, size=size, deep=True)
    for name, images in files.items():
        for file in images:
            buffer.append(file, index_of[name], where=str(file))
    return buffer.images()


def _in_one_form(of_names: Mapping[str, T]) -> dict[str, T]:
    """Return what belongs to each class name by the name's composed Unicode form."""
    return {unicodedata.normalize("NFC", name): value for name, value in of_names.items()}


def image_files(root: Path) -> list[Path]:
    """Return the files below a folder that are images by their ending, sorted; hidden ones are left out."""
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
    if not files:
        raise ValueError(f"{root} has no images ({', '.join(IMAGE_SUFFIXES)}): name a folder of images")
    return files


def _files_by_class(folder: Path) -> Files:
    """Return the files of each class: those that its metadata.csv lists, or those of its sub-folders."""
    if not (folder / "metadata.csv").is_file():
        return _classes(folder)
    files = _listed(folder)
    if len(files) > 1:
        raise ValueError(f"{folder / 'metadata.csv'} has a column split: put it beside the folders of the splits")
    return _enough_classes(files["train"], folder / "metadata.csv")


def _listed_splits(root: Path, least: int) -> ClassFolders:
    """Return what metadata.csv lists, by the splits of its column split, where it has one."""
    files, table = _listed(root), root / "metadata.csv"
    train = _enough_classes(files.get("train", {}), table, least)
    for split, classes in files.items():
        strange = next((name for name in classes if name not in train), None)
        if strange is not None:
            raise ValueError(f"{table} has the class {strange!r} in {split}, but not in train: add images or remove it")
    parts = {split: {name: classes.get(name, []) for name in train} for split, classes in files.items()}
    return ClassFolders(root, train, parts.get("test"), parts.get("validation"))


def _listed(root: Path) -> dict[str, Files]:
    """Return the files of each class that metadata.csv lists, by split. Raises ValueError naming the row at fault."""
    table = root / "metadata.csv"
    with open(table, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = [*(rows.fieldnames or ())]
        label = next((name for name in ("label", "class", "target") if name in columns), None)
        if "file_name" not in columns or label is None:
            raise ValueError(f"{table} has the columns {', '.join(columns)}: name them file_name and label")
        classes: dict[str, Files] = {}
        for number, row in enumerate(rows, 2):
            name, given = (row["file_name"] or "").strip(), (row[label] or "").strip()
            if not name or not given:
                raise ValueError(f"{table}, line {number} lacks a {'label' if name else 'file_name'}: complete it")
            split = (row["split"] or "").strip().lower() if "split" in columns else "train"
            if split != "train" and split not in TEST_NAMES:
                raise ValueError(f"{table}, line {number} has the split {split!r}: give train, test or validation")
            split = "validation" if split in TEST_NAMES[1:] else split
            path = root / name
            if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
                raise ValueError(f"{table}, line {number}: {name} is no file in {root}: correct it, or remove the line")
            classes.setdefault(split, {}).setdefault(given, []).append(path)
    return classes


def _enough_classes(classes: Files, table: Path, least: int = 2) -> Files:
    if len(classes) < least:
        raise ValueError(f"{table} has {len(classes)} classes to learn: a classifier needs two or more")
    check_names_apart(classes, str(table))
    return dict(sorted(classes.items()))


def _append(buffer: PixelBuffer, classes: Files):
    for label, files in enumerate(classes.values()):
        for file in files:
            buffer.append(file, label, where=str(file))


def _is_split(folder: Path) -> bool:
    """Whether a folder is a split: a folder called train that holds images itself is a class, beside car and bus."""
    listed = (folder / "metadata.csv").is_file()
    return listed or bool(_subfolders(folder)) or not any(folder.iterdir())


def _classes(root: Path, least: int = 2) -> Files:
    folders = _subfolders(root)
    if len(folders) < least:
        contents = f"only the class folder '{folders[0].name}'" if folders else "no class folders"
        raise ValueError(f"{root} has {contents}{_instead(root)}: a classifier needs two or more sub-folders of images")
    check_names_apart((folder.name for folder in folders), str(root))
    skipped: list[Path] = []
    classes = {folder.name: _files(folder, skipped) for folder in folders}
    if skipped:
        _warn(f"{len(skipped)} files in {root} are no images and were skipped, such as {skipped[0]}")
    return classes


def check_names_apart(names: Iterable[str], where: str) -> None:
    """Raise ValueError for two class names that differ only in their Unicode form, as copies between systems make."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise ValueError(
                f"{where} has {name!r} twice, as {other!a} and as {name!a}: two ways to write the same "
                "letters; make one class of them, or give one another name"
            )


def _files(folder: Path, skipped: list[Path]) -> list[Path]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_dir():
            raise ValueError(f"{entry} is a folder inside the class '{folder.name}': put images directly into classes")
    images = [entry for entry in entries if not _is_litter(entry)]
    skipped += [entry for entry in entries if _is_litter(entry)]
    if not images:
        raise ValueError(f"class folder {folder} is empty: add images or remove it")
    return images


def _is_litter(file: Path) -> bool:
    return file.name.lower() in LITTER_NAMES or file.suffix.lower() in LITTER_SUFFIXES


def _subfolders(root: Path) -> list[Path]:
    # Hidden folders and these two are left behind by archives, desktops and Python, never meant as classes.
    entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    for entry in entries:
        if entry.is_symlink() and not (entry.is_dir() or entry.is_file()):
            raise ValueError(f"{entry} is a link that leads to no folder: repair or remove it")
    return sorted(entry for entry in entries if entry.is_dir() and entry.name not in ("__MACOSX", "__pycache__"))


def _no_folder(root: Path) -> str:
    if root.exists():
        return (
            f"{root} is a file, not a folder: images are read from a folder with a sub-folder for each class, or of "
            "idx files; of files, .npz of arrays is read, and .csv, .tsv and .parquet of tables; all other arrays go "
            "through onward.from_arrays"
        )
    looked = "" if root.is_absolute() else f" in {Path.cwd()}"
    return f"{root} is not a folder{looked}: give one that holds a sub-folder of images for each class"


def _instead(root: Path) -> str:
    """Return a hint for a folder without classes that holds data in another form."""
    suffixes = [entry.suffix.lower() for entry in root.iterdir()]
    images = sum(suffix in IMAGE_SUFFIXES for suffix in suffixes)
    listed = ", nor listed in a metadata.csv with the columns file_name and label"
    return f", but {images} images that are not sorted into classes{listed}" if images else ""


def _warn(message: str):
    warnings.warn(message, stacklevel=4)
