"""Arrays to `from_arrays`, `predict`, `predict_scores` and `score_blocks`: taken for the same images, or refused."""
# N images, H W map

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_case import Case, Target, Wrong
from fuzz_forms import images_of, labels_of, numbers_in

from onward.algorithms import ALGORITHMS
from onward.core import Learner
from onward.data import Splits, from_arrays
from onward.nets import MLP
from onward.runs import spec_for

SIDE, CLASSES = 8, 3


@dataclass
class World:
    """Images [N 1 H W] that all differ, their labels, and a learner of each algorithm that can train the network."""

    images: np.ndarray
    labels: np.ndarray
    data: Splits
    learners: dict[str, Learner]


def toy_images(count: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images of uint8 that all differ, and labels: a bright bar whose place tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = rng.integers(0, 60, (count, 1, SIDE, SIDE)).astype("u1")
    for image, label in zip(images, labels, strict=True):
        image[:, :, 2 * label : 2 * label + 2] += 150
    return images, labels


def prepare(folder: Path) -> World:
    images, labels = toy_images()
    data = from_arrays(images, labels)
    learners = {}
    for algorithm in ALGORITHMS:
        try:
            learners[algorithm.__name__] = spec_for(algorithm(), MLP(width=12, depth=2), data).build(seed=1).eval()
        except (ValueError, TypeError):
            continue  # needs another network
    return World(images, labels, data, learners)


def case(case: Case, world: World) -> None:
    (_splits if case.chance(0.4) else _reading)(case, world)


def _reading(case: Case, world: World) -> None:
    learner = world.learners[case.pick(sorted(world.learners))]
    what = case.pick(("predict", "predict_scores", "score_blocks"))
    x = world.images[: case.draw.randrange(1, 5)]
    given, kind = images_of(case, x)
    kind = "refused" if kind == "other" else kind
    more: dict[str, Any] = {}
    if case.chance(0.2):
        more["batch_size"] = case.pick((1, 2, 500, 0, -1, 1.5, None, "2", True, float("nan"), 2**70))
        if type(more["batch_size"]) is not int or not 1 <= more["batch_size"] < 2**63:
            kind = kind if more["batch_size"] in (1, 2**70) else "refused"
    if what != "score_blocks" and case.chance(0.2):
        more["rule"] = case.pick((*learner.rules, "nothing", "", "last_block\n", 3, None, b"last_block", ("a",)))
        kind = kind if more["rule"] is None or more["rule"] in list(learner.rules) else "refused"
    training = learner.training
    before = torch.is_grad_enabled()
    try:
        found = getattr(learner, what)(given, **more)
    finally:
        if learner.training != training or torch.is_grad_enabled() != before:
            raise Wrong("the learner's mode changed")
    if kind == "refused":
        raise Wrong(f"{what} took it")
    wanted = getattr(learner, what)(torch.from_numpy(x.copy()), **({"rule": more["rule"]} if "rule" in more else {}))
    check_scores(found, wanted, 0.05 if kind == "rounded" else 1e-3, exact=kind == "same")


def check_scores(found: torch.Tensor, wanted: torch.Tensor, tolerance: float, *, exact: bool) -> None:
    """Raise Wrong unless two results agree; classes of nearly equal scores may differ if not `exact`."""
    if found.shape != wanted.shape:
        raise Wrong(f"shape {tuple(found.shape)}, not {tuple(wanted.shape)}")
    if not found.is_floating_point():
        if exact and not torch.equal(found, wanted):
            raise Wrong(f"classes {found.tolist()}, not {wanted.tolist()}")
        return
    if not found.isfinite().all():
        raise Wrong("scores that are not finite")
    scale = max(1.0, float(wanted.abs().max()) if wanted.numel() else 1.0)
    if wanted.numel() and float((found - wanted).abs().max()) > tolerance * scale:
        raise Wrong(f"scores differ by {float((found - wanted).abs().max()):g}")


def _splits(case: Case, world: World) -> None:
    given, kind = images_of(case, world.images)
    labels, label_kind = labels_of(case, world.labels)
    more, wanted = _settings(case)
    refused = "refused" in (kind, label_kind, wanted)
    parts = [(given, labels, label_kind)]
    if "test_fraction" not in more and case.chance(0.15):  # which is not read beside test images
        more["test_images"], kind = images_of(case, world.images[:9])
        more["test_labels"], label_kind = labels_of(case, world.labels[:9])
        refused = refused or "refused" in (kind, label_kind)
        parts.append((more["test_images"], more["test_labels"], label_kind))
    splits = from_arrays(given, labels, **more)
    if refused:
        raise Wrong("from_arrays took it")
    names = tuple(more.get("class_names") or class_names_of(labels, named=parts[0][2] == "named"))
    if names != splits.class_names:
        raise Wrong(f"class names {splits.class_names}, not {names}")
    unit = _in_unit(numbers_in(given))
    if splits.inputs.unit != unit:
        raise Wrong(f"taken for images in [0, 1]: {splits.inputs.unit}")
    rows = [(as_kept(numbers_in(x), unit=unit), row_names(y, names, named=how == "named")) for x, y, how in parts]
    check_kept(splits, rows)


def _settings(case: Case) -> tuple[dict[str, Any], str]:
    more: dict[str, Any] = {}
    kind = "same"
    if case.chance(0.25):
        name = case.draw.choice(("validation_fraction", "test_fraction", "seed", "class_names"))
        good, bad = {
            "validation_fraction": ((0.1, 0.5, 0.9), (0, 1, -1, 1.5, None, "x", float("nan"), float("inf"), True)),
            "test_fraction": ((0.1, 0.5, 0.9), (0, 1, -1, 1.5, None, "x", float("nan"), [0.1])),
            "seed": ((0, 7, 2**62), (-1, 1.5, None, "x", 2**64, 2**70, float("nan"))),
            "class_names": (
                (("a", "b", "c"), ["a", "b", "c"], ("[red]a", "\x1b[2J", "c\nd")),
                (("a", "a", "b"), ("a", "b"), (1, 2, 3), "ab", ("", "", ""), (None, "a", "b"), 3, ("\ud800", "a", "b")),
            ),
        }[name]  # fmt: skip
        takes = case.chance(0.5)
        more[name] = case.draw.choice(good if takes else bad)
        if name == "class_names" and takes:
            case.own = tuple(more[name])
        kind = "same" if takes else "refused"
        case.note(f"{'' if takes else 'bad '}{name} {more[name]!r}")
    return more, kind


def class_names_of(labels: Any, *, named: bool) -> tuple[str, ...]:
    """Return the names that classes 0, 1, 2 or names have to get."""
    return tuple(sorted({str(value) for value in np.asarray(labels)})) if named else ("0", "1", "2")


def row_names(labels: Any, names: tuple[str, ...], *, named: bool) -> list[str]:
    """Return the name of the class of each row. Raises Wrong for a class that is none of `names`."""
    if named:
        found = [str(value) for value in np.asarray(labels)]
    else:
        indices = [int(value) for value in numbers_in(labels)]
        found = [names[index] if index < len(names) else str(index) for index in indices]
    strange = set(found) - set(names)
    if strange:
        raise Wrong(f"labels {sorted(strange)} were taken, the classes are {names}")
    return found


def _in_unit(numbers: np.ndarray) -> bool:
    """Whether these are images in [0, 1]: levels of 8 or 16 bits, or floats that all lie there."""
    if numbers.ndim < 3 or numbers.dtype.kind not in "uf":
        return False
    levels = numbers.dtype.newbyteorder("=") in ("u1", "u2")
    return levels or (numbers.dtype.kind == "f" and bool(numbers.min() >= 0 and numbers.max() <= 1))


def as_kept(numbers: np.ndarray, *, unit: bool, images: bool = True) -> np.ndarray:
    """Return what has to be kept: uint8 images in [0, 1] as they are, all else as float64; channels come first."""
    if images and numbers.ndim == 3:
        numbers = numbers[:, None]
    if images and numbers.ndim == 4 and numbers.shape[1] not in (1, 3) and numbers.shape[3] in (1, 3):
        numbers = numbers.transpose(0, 3, 1, 2)
    if unit and numbers.dtype == np.uint8:
        return numbers
    if unit and numbers.dtype.kind == "u":
        return (numbers.astype("f4") / np.float32(65535)).astype("f8")
    return numbers.astype("f8")


def check_kept(splits: Splits, parts: list[tuple[np.ndarray, list[str]]]) -> None:
    """Raise Wrong unless each row is in one split, as it has to be kept, with its own label, and nothing else is."""
    if splits.train.labels.numel() == 0 or splits.validation.labels.numel() == 0:
        raise Wrong("an empty split")
    places: dict[tuple[str, bytes, str], list[int]] = defaultdict(list)
    rows = 0
    for values, names in parts:
        kinds = ("u1",) if values.dtype == np.uint8 else ("f8",)
        kinds = (*kinds, "f4", "i8") if kinds == ("f8",) and not _lossy(values) else kinds
        for kind in kinds:
            for k, (row, name) in enumerate(zip(values.astype(kind), names, strict=True)):
                places[kind, np.ascontiguousarray(row).tobytes(), name].append(rows + k)
        rows += len(values)
    used: set[int] = set()
    for split in (splits.train, splits.validation, splits.test):
        for pixels, label in zip(split.pixels.numpy(), split.labels.tolist(), strict=True):
            key = (pixels.dtype.str.lstrip("<|"), np.ascontiguousarray(pixels).tobytes(), splits.class_names[label])
            free = [row for row in places.get(key, ()) if row not in used]
            if not free:
                raise Wrong(f"a row of {pixels.dtype} and class {key[2]} that was not given, or was given less often")
            used.add(free[0])
    if len(used) != rows:
        raise Wrong(f"{rows - len(used)} rows are in no split")


def _lossy(values: np.ndarray) -> bool:
    """Whether float32 rounds away more than a ten-thousandth of what some column varies by."""
    columns = values.reshape(len(values), -1)
    deviation = columns.std(0)
    return bool((np.abs(columns - columns.astype("f4")) > 1e-4 * deviation)[:, deviation > 0].any())


TARGET = Target("arrays", 34, prepare, case)
