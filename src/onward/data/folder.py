"""A user's own images: one sub-folder per class, directly or under train/ and test/."""

import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .carve import carve_test
from .decode import PixelBuffer
from .images import Decoded, Images
from .source_files import stamp

TEST_NAMES = ("test", "val", "valid", "validation")
TEST_FRACTION = 0.2

# What desktops and annotation tools leave beside images; anything else that is no image is an error.
LITTER_NAMES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
LITTER_SUFFIXES = (".txt", ".csv", ".json", ".xml", ".md")

Files = dict[str, list[Path]]


@dataclass(frozen=True)
class ClassFolders:
    """The image files of each class, sorted; `test` None means that a test split has to be carved from train."""

    root: Path
    train: Files
    test: Files | None

    @property
    def identity(self) -> list:
        """What tells this state of the folder from any other: file names and stamps. ValueError for what is no file."""
        groups = [("train", self.train), ("test", self.test or {})]
        files = [(split, name, file) for split, classes in groups for name, found in classes.items() for file in found]
        return [(split, name, *stamp(file)) for split, name, file in files]


def scan(root: Path) -> ClassFolders:
    """Find the classes and their files; raises ValueError naming the folder that is missing, empty or alone."""
    if not root.is_dir():
        raise ValueError(_no_folder(root))
    inside = {folder.name for folder in _subfolders(root)}
    if "train" not in inside or not _is_split(root / "train"):
        for name in sorted(inside):
            if name.lower() in ("train", "training") and name != "train" and _subfolders(root / name):
                raise ValueError(f"{root / name} looks like a training split: call it train, and the other one test")
        return ClassFolders(root, _classes(root), None)
    tests = [name for name in TEST_NAMES if name in inside]
    if not tests:
        others = ", ".join(sorted(inside - {"train"}))
        found = f" (but {others}: call the one to test on test/)" if others else ""
        raise ValueError(f"{root} has train/ but no test/{found}: add it, or give {root / 'train'} to carve it out")
    for unused in sorted(inside - {"train", tests[0]}):
        _warn(f"{root / unused} is not used: the test split is {tests[0]}/, validation is carved from train/")
    train, test = _classes(root / "train"), _classes(root / tests[0])
    check_names_apart(dict.fromkeys((*train, *test)), str(root))
    different = sorted(set(train) ^ set(test))
    if different:
        present, absent = ("train", tests[0]) if different[0] in train else (tests[0], "train")
        raise ValueError(f"class '{different[0]}' is in {root / present} but not in {root / absent}: give it both")
    return ClassFolders(root, train, test)


def read_folder(folders: ClassFolders, *, size: int | None) -> Decoded:
    """Decode all files; `size` is the side in pixels, None keeps the one all files share (else ValueError)."""
    buffer = PixelBuffer(channels=None, size=(size, size) if size else None)
    class_names = tuple(folders.train)
    _append(buffer, folders.train)
    num_train = len(buffer.labels)
    if folders.test is not None:
        _append(buffer, folders.test)
    both = buffer.images(grey=buffer.all_grey)
    if folders.test is None:
        train, test = carve_test(both, TEST_FRACTION, class_names=class_names)
    else:
        train = Images(both.pixels[:num_train], both.labels[:num_train])
        test = Images(both.pixels[num_train:], both.labels[num_train:])
    return Decoded(train, test, class_names)


def _append(buffer: PixelBuffer, classes: Files):
    for label, files in enumerate(classes.values()):
        for file in files:
            buffer.append(file, label, where=str(file))


def _is_split(folder: Path) -> bool:
    """A folder called train that holds images itself is a class, such as beside car and bus."""
    return bool(_subfolders(folder)) or not any(folder.iterdir())


def _classes(root: Path) -> Files:
    folders = _subfolders(root)
    if len(folders) < 2:
        found = f"only the class folder '{folders[0].name}'" if folders else "no class folders"
        raise ValueError(f"{root} has {found}{_instead(root)}: a classifier needs two or more sub-folders of images")
    check_names_apart((folder.name for folder in folders), str(root))
    skipped: list[Path] = []
    classes = {folder.name: _files(folder, skipped) for folder in folders}
    if skipped:
        _warn(f"{len(skipped)} files in {root} are no images and were skipped, such as {skipped[0]}")
    return classes


def check_names_apart(names: Iterable[str], where: str) -> None:
    """Raise ValueError for two names of classes that only their bytes tell apart, as copies between systems make."""
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
            f"{root} is a file, not a folder: images are read from a folder with a sub-folder for each class; "
            "arrays (.npz, idx files and the like) go through onward.from_arrays"
        )
    looked = "" if root.is_absolute() else f" in {Path.cwd()}"
    return f"{root} is not a folder{looked}: give one that holds a sub-folder of images for each class"


def _instead(root: Path) -> str:
    """Say what a folder without classes holds, where that is something else that data come in."""
    suffixes = [entry.suffix.lower() for entry in root.iterdir()]
    if ".parquet" in suffixes:
        return ", but parquet files, which are read for the named sets alone"
    images = sum(suffix in IMAGE_SUFFIXES for suffix in suffixes)
    return f", but {images} images that are not sorted into classes" if images else ""


def _warn(message: str):
    warnings.warn(message, stacklevel=4)
