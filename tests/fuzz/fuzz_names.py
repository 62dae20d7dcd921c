"""Names of files, folders and classes with markup, escapes and worse: shown as they are, or refused in one line."""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_case import Case, Target, Wrong
from fuzz_run_files import class_folders, command
from PIL import Image

from onward.algorithms import DeeperForward
from onward.core import Learner
from onward.data import DataSettings, from_arrays, load
from onward.nets import MLP
from onward.runs import ModelSpec, load_model, save_model, spec_for
from onward.screen import shown

_PIECES = (
    *(
        "[a]",
        "[/b]",
        "[red]",
        "[/red]",
        "[bold",
        "]",
        "[link=http://x]",
        ":smile:",
        ":boom:",
        "\\[",
        "[[",
        "[@click=x]",
    ),
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\r",
        "\n",
        "\t",
        "\x00",
        "\x7f",
        "\x9b31m",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
    ),
    *(
        "é",
        "日本",
        "🙂",
        "e\u0301",
        "\udcff",
        "İ",
        "ß",
        "*",
        "?",
        "[0-9]",
        "{a,b}",
        "~",
        "$HOME",
        "`id`",
        "%s",
        "%",
        "{}",
    ),
    *(" ", "  ", "'", '"', "<script>", "&amp;", "-", "--help", "--rule", "@file", "#", ";", "|", "a", "b", "cat", "0"),
    *("x" * 60, "x" * 300, ".", "..", "con", "nan", "None", "1e5", "True"),
)


@dataclass
class World:
    """A saved model with plain names, an image and its class, and a folder of images by class."""

    model: Path
    learner: Learner
    spec: ModelSpec
    image: Path
    data: Path


def prepare(folder: Path) -> World:
    data = class_folders(folder / "images", each=6)
    spec = spec_for(DeeperForward(), MLP(width=6, depth=2), load(DataSettings(name=str(data), validation_fraction=0.2)))
    learner = spec.build(seed=1).eval()
    model = folder / "model"
    model.mkdir()
    save_model(model, learner, spec)
    image = data / "a" / "0.png"
    command(["predict", str(model), str(image)])  # imports what it needs
    return World(model, load_model(model)[0], spec, image, data)


def case(case: Case, world: World) -> None:
    case.draw.choices((_image_names, _class_names, _class_folders, _arrays, _data_places), (5, 4, 2, 3, 2))[0](
        case, world
    )


def drawn(case: Case) -> str:
    """Return a name made of odd pieces."""
    name = "".join(case.draw.choices(_PIECES, k=case.draw.choice((1, 1, 2, 3, 4))))
    case.note(ascii(name))
    return name


def _made(write: Any) -> bool:
    """Whether the file system takes a name."""
    try:
        write()
    except (OSError, ValueError):
        return False
    return True


def _image_names(case: Case, world: World) -> None:
    names = [drawn(case) + case.draw.choice((".png", "")) for _ in range(case.draw.choice((1, 1, 2)))]
    # A folder is read with all that is below it.
    paths = [Path(name) for name in names if "/" not in name and name not in ("--help", "-h", ".", "..")]
    made = [path for path in paths if _made(lambda path=path: shutil.copyfile(world.image, path))]
    if len(made) < len(names):
        case.note("some are not there")
    told = [str(path) for path in paths]
    case.own = (*case.own, *(repr(name)[1:-1] for name in told))
    text = _predicted(case, world.model, told)
    if any(path not in made for path in paths):
        raise Wrong("an image that is not there was read")
    wanted = world.spec.class_names[int(world.learner.predict(_pixels(world.image))[0])]
    _check_said(case, text, told, [wanted])


def _pixels(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).copy())[None, None]


def _predicted(case: Case, model: Path, paths: list[str]) -> str:
    asked = case.draw.choice(([], ["--json"], ["--top", "2"]))
    text = command(
        ["predict", *asked, "--", str(model), *paths] if case.chance(0.5) else ["predict", str(model), *paths, *asked]
    )
    case.note("json" if asked == ["--json"] else "table")
    return text


def _check_said(case: Case, text: str, paths: list[str], classes: list[str]) -> None:
    """Raise Wrong unless every name is in what was printed, as it is, and nothing in it is obeyed by a terminal."""
    if any(not letter.isprintable() and letter not in "\n " for letter in text):
        raise Wrong(f"control characters in what was printed: {ascii(text)[:200]}")
    if case.did[-1] == "json":
        rows = [json.loads(line) for line in text.splitlines()]
        if [row["image"] for row in rows] != paths or any(row["class"] not in classes for row in rows):
            raise Wrong(f"JSON of {[row['image'] for row in rows]}, {[row['class'] for row in rows]}")
        return
    for name in (*paths, *classes):
        if _bare(shown(name)) not in _bare(text):
            raise Wrong(f"{name!a} is not in {ascii(text)[:300]}")


def _bare(text: str) -> str:
    """Return a text without what a table adds where it wraps."""
    return re.sub(r"[\s\u2500-\u257f]", "", text)


def _class_names(case: Case, world: World) -> None:
    """Names of classes in a model file may be anything."""
    names = tuple(f"{drawn(case)}{end}" for end in case.draw.choice((("", "", ""), ("1", "2", "3"))))
    case.folder.joinpath("model").mkdir()
    spec = ModelSpec(**{**vars(world.spec), "class_names": names})
    save_model(case.folder / "model", world.learner, spec)
    learner, found = load_model(case.folder / "model")
    if found.class_names != names:
        raise Wrong(f"class names {found.class_names!r}")
    wanted = names[int(learner.predict(_pixels(world.image))[0])]
    text = _predicted(case, case.folder / "model", [str(world.image)])
    _check_said(case, text, [str(world.image)], [wanted])


def _class_folders(case: Case, world: World) -> None:
    """Folders of classes with odd names, in a folder with an odd name."""
    root = Path(drawn(case))
    names = [drawn(case) for _ in range(2)]
    case.own = (str(root), *names)
    try:
        for name in names:
            shutil.copytree(world.data / "a", root / name)
    except (OSError, ValueError, shutil.Error):
        return  # the file system does not take it, or both are one
    if {str(root), *names} & {"", ".", ".."} or any("/" in name for name in (str(root), *names)):
        return
    here = case.folder / root
    data = load(DataSettings(name=str(here), validation_fraction=0.3))
    visible = sorted(name for name in names if not name.startswith((".", "__")))
    if list(data.class_names) != visible:
        raise Wrong(f"classes {data.class_names!r}, not {visible!r}")
    if data.name != root.name:
        raise Wrong(f"name {data.name!r}, not {root.name!r}")
    if len(data.train) + len(data.validation) + len(data.test) != 12:
        raise Wrong("images are missing")


def _arrays(case: Case, world: World) -> None:
    names = tuple(f"{drawn(case)}{end}" for end in ("", "", "x"))
    images = np.arange(9 * 16, dtype="u1").reshape(9, 4, 4)
    case.own = (name := drawn(case), *names)
    splits = from_arrays(images, np.arange(9) % 3, class_names=names, name=name)
    if splits.class_names != names or len(set(names)) < 3:
        raise Wrong(f"class names {splits.class_names!r}")


def _data_places(case: Case, world: World) -> None:
    """Whatever follows a command, the answer is one line."""
    words = [drawn(case) for _ in range(case.draw.choice((1, 1, 2)))]
    head = case.draw.choice(
        (["evaluate"], ["predict"], ["export"], ["report"], ["list"], ["train"], ["completion"], [])
    )
    tail = case.draw.choice(([], ["--data.name", drawn(case)], ["--device", drawn(case)], ["--runs-dir", drawn(case)]))
    case.note(" ".join(head))
    if {"--help", "-h"} & {*words, *tail} or any(os.path.exists(word) for word in words if word and "\0" not in word):
        return
    text = command([*head, *words, *tail])
    if head != ["list"]:
        raise Wrong(f"it was taken: {text[:200]!r}")


TARGET = Target("names", 6, prepare, case)
