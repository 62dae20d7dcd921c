"""Held-out splits, stratified by class and decided by the seed alone."""
# N images, K of them kept, V carved out

import warnings
from typing import Annotated

import torch
from jaxtyping import Int64
from torch import Tensor

from onward.core import Range, Seed, check_value

from .images import Splits, checksum
from .samples import Samples


def carve(
    labels: Int64[Tensor, "N"],
    fraction: float,
    seed: int,
    *,
    class_names: tuple[str, ...] = (),
    what: str = "validation_fraction",
) -> tuple[Int64[Tensor, "K"], Int64[Tensor, "V"]]:
    """Sorted indices (kept, carved): of each class a `fraction`, at least one sample on each side.

    Raises ValueError for a fraction outside (0, 1), which is called `what`, for a seed outside [0, 2**63), for a
    single sample and for a class with a single one.
    """
    check_value("seed", seed, Seed)
    fraction = check_value(what, fraction, Annotated[float, Range(0, 1, above=True, below=True)])
    if len(labels) == 0 or int(labels.min()) < 0:
        problem = f"label {int(labels.min())}" if len(labels) else "no labels"
        raise ValueError(f"carving needs class indices from 0 upwards, found {problem}: renumber the classes")
    if len(labels) == 1:
        raise ValueError("a single sample is left to split: add samples")
    counts = labels.bincount()
    if (counts == 1).any():
        alone = int((counts == 1).nonzero()[0])
        name = f"'{class_names[alone]}'" if alone < len(class_names) else str(alone)
        raise ValueError(f"class {name} has a single sample left to split: add samples or remove the class")
    quota = (counts * fraction + 0.5).floor().long().clamp_min(1).minimum(counts - 1)
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    grouped = shuffled[labels[shuffled].argsort(stable=True)]
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[grouped]]
    carved = rank < quota[labels[grouped]]
    return grouped[~carved].sort().values, grouped[carved].sort().values


def carve_test(images: Samples, fraction: float, *, class_names: tuple[str, ...] = ()) -> tuple[Samples, Samples]:
    """(rest, test) with a seed of its own, so that no setting of a run ever moves the test split."""
    rest, test = carve(images.labels, fraction, 0, class_names=class_names)
    return images.subset(rest), images.subset(test)


def warn_without_test(root: object) -> None:
    """Warn that data with a validation split, but no test split, have the latter carved out of train."""
    warnings.warn(
        f"{root} has a validation split but no test split: a fifth of each class of train is set aside to test on; "
        "to test on the validation split itself, call it test",
        stacklevel=4,
    )


def carve_validation(
    train: Samples,
    test: Samples,
    *,
    fraction: float,
    seed: int,
    name: str,
    class_names: tuple[str, ...],
    digest: str | None = None,
    note: str = "",
    validation: Samples | None = None,
) -> Splits:
    """The splits of a run: validation is carved from train unless given; `digest` saves hashing twice."""
    whole = train
    if validation is None:
        kept, carved = carve(train.labels, fraction, seed, class_names=class_names)
        train, validation = whole.subset(kept), whole.subset(carved)
    return Splits(
        name=name,
        train=train,
        validation=validation,
        test=test,
        class_names=class_names,
        checksum=digest or checksum(whole, test),
        note=note,
    )
