"""A user's own images: one sub-folder per class, directly or under train/ and test/."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from .carve import carve_test
from .decode import PixelBuffer
from .images import Decoded, Images

TEST_NAMES = ("test", "val", "valid", "validation")
TEST_FRACTION = 0.2

Files = dict[str, list[Path]]


@dataclass(frozen=True)
class ClassFolders:
    """The image files of each class, sorted; `test` None means that a test split has to be carved from train."""

    root: Path
    train: Files
    test: Files | None

    @property
    def identity(self) -> list:
        """What tells this state of the folder from any other: file names, bytes and modification times."""
        groups = [("train", self.train), ("test", self.test or {})]
        files = [(split, name, file) for split, classes in groups for name, found in classes.items() for file in found]
        return [(split, name, str(file.resolve()), *_stamp(file)) for split, name, file in files]


def scan(root: Path) -> ClassFolders:
    """Find the classes and their files; raises ValueError naming the folder that is missing, empty or alone."""
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder: give one that holds a sub-folder of images for each class")
    inside = {folder.name for folder in _subfolders(root)}
    if "train" not in inside:
        return ClassFolders(root, _classes(root), None)
    tests = [name for name in TEST_NAMES if name in inside]
    if not tests:
        raise ValueError(f"{root} has train/ but no test/: add it, or give {root / 'train'} to have it carved out")
    for unused in tests[1:]:
        warnings.warn(f"{root / unused} is not used: validation is carved from train/", stacklevel=3)
    train, test = _classes(root / "train"), _classes(root / tests[0])
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


def _classes(root: Path) -> Files:
    classes = {folder.name: _files(folder) for folder in _subfolders(root)}
    if len(classes) < 2:
        found = f"only the class folder '{next(iter(classes))}'" if classes else "no class folders"
        raise ValueError(f"{root} has {found}: a classifier needs two or more sub-folders of images")
    return classes


def _files(folder: Path) -> list[Path]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_dir():
            raise ValueError(f"{entry} is a folder inside the class '{folder.name}': put images directly into classes")
    if not entries:
        raise ValueError(f"class folder {folder} is empty: add images or remove it")
    return entries


def _subfolders(root: Path) -> list[Path]:
    # Hidden folders and "__MACOSX" are left behind by archives and desktops, never meant as classes.
    hidden = (".", "__")
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(hidden))


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
