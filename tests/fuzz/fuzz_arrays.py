"""Arrays to `from_arrays`, `predict`, `predict_scores` and `score_blocks`: taken for the same images, or refused."""
# N images, H W map

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_case import Case, Target, Wrong
from fuzz_forms import images_of, labels_of

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
    if "test_fraction" not in more and case.chance(0.15):  # which is not read beside test images
        more["test_images"], kind = images_of(case, world.images[:9])
        more["test_labels"], label_kind = labels_of(case, world.labels[:9])
        refused = refused or "refused" in (kind, label_kind)
    splits = from_arrays(given, labels, **more)
    if refused:
        # Of images alone another shape, and of labels another class, may be what is meant.
        if _plausible(case):
            check_pairs(splits, None)
            return
        raise Wrong("from_arrays took it")
    check_pairs(splits, dict(zip([image.tobytes() for image in world.images], world.labels.tolist(), strict=True)))
    names = more.get("class_names") or ("0", "1", "2")
    if tuple(names) != splits.class_names:
        raise Wrong(f"class names {splits.class_names}")


_SHAPES = ("three channels", "another height", "another width", "one too high")


def _plausible(case: Case) -> bool:
    """Whether all that has to be refused by a learner may be right in a data set."""
    wrong = [did for did in case.did if did.endswith("(refused)") or did.startswith("bad ")]
    return all(did.startswith(_SHAPES) for did in wrong)


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
        kind = "same" if takes else "refused"
        case.note(f"{'' if takes else 'bad '}{name} {more[name]!r}")
    return more, kind


def check_pairs(splits: Splits, wanted: dict[bytes, int] | None) -> None:
    """Raise Wrong unless each image is in some split, with its own label, and none of the first two is in two."""
    if splits.train.labels.numel() == 0 or splits.validation.labels.numel() == 0:
        raise Wrong("an empty split")
    if wanted is None:
        return
    seen: list[bytes] = []
    for split in (splits.train, splits.validation, splits.test):
        for pixels, label in zip(split.pixels.numpy(), split.labels.tolist(), strict=True):
            gray = pixels if pixels.dtype == np.uint8 else np.round(255 * pixels.astype("f8")).astype("u1")
            image = np.ascontiguousarray(gray).tobytes()
            if wanted.get(image) != label:
                raise Wrong(f"an image of label {wanted.get(image)} has label {label}")
            seen.append(image)
    if set(seen) != set(wanted):
        raise Wrong(f"{len(set(wanted) - set(seen))} images are in no split")


TARGET = Target("arrays", 34, prepare, case)
