"""Data from a user's loaders: batches of (inputs, targets), such as those of a torch DataLoader."""
# N samples, B samples in a batch, K numbers of a target

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset

from onward.core import (
    InputForm,
    Kind,
    Seed,
    Task,
    as_numbers,
    check_finite,
    check_names,
    check_value,
    common_defaults,
    derive_seed,
    measured,
    seeded,
)

from .arrays import names_of, targets_of
from .images import Splits, checksum
from .samples import Gathered, Samples, Source, narrowed

_SAMPLE = 10_000  # samples from which statistics are computed
_TARGETS = ("label", "labels", "target", "targets", "y")
_LISTS = "give onward.from_arrays a list of the images and one of the labels, or samples as tensors, by a transform"
_ON_TRAINING = (
    "nothing can be set aside of this loader, so its own samples are validated on: accuracy is that of the "
    "training; give validation, another loader, by onward.from_loader(train, validation)"
)
_ORDER = "a loader decides the order of its samples itself"


@common_defaults()
def from_loader(
    train: Any,
    validation: Any = None,
    test: Any = None,
    *,
    kind: Kind | None = None,
    task: Task = "classes",
    class_names: Sequence[str] | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    name: str = "loader",
) -> Splits:
    """Splits whose training batches come from a loader, which is iterated over once per epoch.

    `train` yields (inputs, targets), as pairs or dicts, on each iteration: a DataLoader, a list of batches,
    an object with `__iter__`. It is iterated over once at the start, for shape, classes and statistics. Validation
    and test batches are read into memory. Without `validation` a share of the samples of a DataLoader, or of the
    batches of a list, is set aside by `seed`; of what can only be iterated over, nothing can, so that the first 10,000
    training samples themselves are validated on, with a warning. Without `test` the validation samples replace it.
    `note` records both.
    uint8 images are levels; other inputs are taken at their face value, and standardized as in `from_arrays`.

    Raises ValueError for other objects, and as `from_arrays` does.
    """
    check_value("seed", seed, Seed)
    _check_again(train, "train")
    notes = [] if test is not None else ["without a test split of its own"]
    aside = None
    if validation is None:
        train, aside = _set_aside(train, validation_fraction, seed)
        validation = aside
        if aside is None:
            notes.insert(0, "validated on training samples")
            warnings.warn(_ON_TRAINING, stacklevel=3)
    first = _first_pass(train, kind, task, class_names, [] if aside is None else _labels_in(aside))
    held = [first.held] if validation is None else [_held(first, validation, "validation")]
    held += [] if test is None else [_held(first, test, "test")]
    digest = hashlib.sha256(repr((name, len(first.labels), checksum(*held))).encode()).hexdigest()
    return Splits(
        name=name,
        train=first,
        validation=held[0],
        test=held[-1],
        class_names=first.names,
        checksum=digest,
        note=", ".join([name, *notes]) if notes else "",
        form=first.form,
        task=task,
    )


@dataclass(frozen=True, eq=False)
class Loaded(Source):
    """Training samples that a loader yields; `labels` are those of the first iteration."""

    loader: Any
    form: InputForm
    task: Task
    names: tuple[str, ...]
    labels: Shaped[Tensor, "N *K"]
    held: Samples
    sizes: tuple[int, ...]
    """Number of samples of each batch of an epoch."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form.shape

    @property
    def pixels(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A loader has none: raises ValueError with the remedy."""
        raise ValueError("samples of a loader are not in memory: take them from the loader itself")

    @property
    def sample(self) -> Samples:
        return self.held

    def placed(self, device: torch.device) -> "Loaded":
        return self

    def subset(self, index: Int64[Tensor, "K"]) -> Samples:
        raise ValueError(f"{_ORDER}, so none can be picked out: give arrays to onward.from_arrays")

    def order(self, batch_size: int, seed: int) -> list[Int64[Tensor, "B"]]:
        raise ValueError(f"{_ORDER}: leave cache_activations out, or give arrays to onward.from_arrays")

    def take(self, batches: Sequence[Int64[Tensor, "_"]], own: slice | None = None) -> Iterator[Gathered]:
        raise ValueError(f"{_ORDER}, so none can be picked out: give arrays to onward.from_arrays")

    def in_order(self, batch_size: int) -> Iterator[Gathered]:
        for inputs, labels in self.epoch(0):
            yield from zip(inputs.split(batch_size), labels.split(batch_size), strict=True)

    def epoch(self, seed: int) -> Iterator[Gathered]:
        """Yield the batches of an epoch; the draws of torch's generator for them depend on `seed` alone."""
        for number, batch in enumerate(_batches(self.loader, seed)):
            inputs, labels = pair_of(batch, "train")
            what = f"batch {number} of train"
            yield _read(self.form, self.task, self.names, inputs, labels, what)


def _read(
    form: InputForm, task: Task, names: Sequence[str], inputs: Any, labels: Any, what: str
) -> tuple[Tensor, Tensor]:
    x, targets = form.check(inputs, what), targets_of(labels, task, names, f"the labels of {what}")
    if len(x) != len(targets):
        raise ValueError(f"{what} has {len(x)} inputs but {len(targets)} labels: give one label each")
    if form.unit and x.dtype == torch.uint8:
        return x, targets
    return x if form.kind == "tokens" or x.dtype == torch.float64 else x.float(), targets


def _batches(loader: Any, seed: int) -> Iterator[Any]:
    """Iterate over a loader; each batch has its own seed, so that other trainings do not change its draws."""
    device = torch.device("cpu")
    with seeded(derive_seed(seed, "loader"), device):
        batches = iter(loader)
        batch = _next(batches)
    number = 0
    while batch is not _batches:
        yield batch
        number += 1
        with seeded(derive_seed(seed, "loader", number), device):
            batch = _next(batches)


def _next(batches: Iterator[Any]) -> Any:
    """Return the next batch, or `_batches` behind the last. Raises ValueError where samples are not joined to one."""
    try:
        return next(batches, _batches)
    except TypeError as error:
        if "default_collate" not in str(error):
            raise
        raise ValueError(f"the loader cannot join samples to a batch ({error}): {_LISTS}") from error


def _labels_in(loader: Any) -> list[Any]:
    return [pair_of(batch, "train")[1] for batch in _batches(loader, 0)]


def _first_pass(
    loader: Any, kind: Kind | None, task: Task, class_names: Sequence[str] | None, aside: list[Any]
) -> Loaded:
    """Go through a loader once; `aside` are the labels of batches that were set aside of it."""
    inputs, labels, sizes, kept = [], [], [], 0
    for number, batch in enumerate(_batches(loader, 0)):
        x, y = pair_of(batch, "train")
        checked = check_finite(x, f"batch {number} of train")
        if not len(checked):
            raise ValueError(f"batch {number} of train is empty: leave such batches out")
        if kept < _SAMPLE:
            inputs.append(checked[: _SAMPLE - kept])
            kept += len(inputs[-1])
        labels.append(y)
        sizes.append(len(checked))
    if not sizes:
        raise ValueError("train yields no batches: give a loader with at least one")
    shapes = {tuple(checked.shape[1:]) for checked in inputs}
    if len(shapes) > 1:
        raise ValueError(
            f"train yields inputs of the shapes {' and '.join(map(str, sorted(shapes)))}: bring them to one"
        )
    form, tensor = measured(torch.cat(inputs), kind, "the inputs of train")
    if form.unit and tensor.dtype != torch.uint8:  # what a loader makes of images may leave [0, 1] at any time
        form = replace(form, unit=False, level=float(tensor.abs().max()))
    together = _joined(labels)
    every = _joined([*labels, *aside])
    names = names_of(every, task, None if class_names is None else check_names(class_names))
    targets = targets_of(together, task, names, "the labels of train")
    if aside and task == "classes":
        _check_left(targets, targets_of(every, task, names, "the labels of train"), names)
    if len(targets) != sum(sizes):
        raise ValueError(f"train yields {sum(sizes)} inputs but {len(targets)} labels: give one label each")
    whole = form.unit or form.kind == "tokens"
    held = Samples(tensor if whole else narrowed(tensor), targets[: len(tensor)])
    return Loaded(loader, form, task, names, targets, held, tuple(sizes))


def _check_left(kept: Tensor, every: Tensor, names: Sequence[str]) -> None:
    """Raise ValueError for a class of which nothing is left to train on."""
    gone = (every.bincount(minlength=len(names)) > 0) & (kept.bincount(minlength=len(names)) == 0)
    if gone.any():
        raise ValueError(
            f"all samples of class {names[int(gone.int().argmax())]!r} are among those set aside for validation: give "
            "validation, another loader, or batches in which the classes are mixed"
        )


def _held(first: Loaded, loader: Any, what: str) -> Samples:
    parts = []
    for number, batch in enumerate(_batches(loader, 0)):
        inputs, labels = pair_of(batch, what)
        parts.append(_read(first.form, first.task, first.names, inputs, labels, f"batch {number} of {what}"))
    if not parts:
        raise ValueError(f"{what} yields no batches: give a loader with at least one")
    return Samples(*(torch.cat(column).clone() for column in zip(*parts, strict=True)))


def _joined(labels: list[Any]) -> Any:
    """Return the labels of all batches: as numbers, or as a list where they are texts."""
    texts = [value for part in labels if isinstance(part, list | tuple) for value in part if isinstance(value, str)]
    if texts:
        return [value for part in labels for value in part]
    return torch.cat([as_numbers(part, "the labels of train") for part in labels])


def pair_of(batch: Any, what: str) -> tuple[Any, Any]:
    if isinstance(batch, Mapping):
        wanted = [key for key in batch if key in _TARGETS]
        others = [key for key in batch if key not in _TARGETS]
        if len(wanted) == 1 and len(others) == 1:
            return _of_several(batch[others[0]], batch[wanted[0]], what)
        raise ValueError(
            f"a batch of {what} has the entries {', '.join(map(str, batch))}: yield (inputs, labels), or one entry "
            "beside 'label'"
        )
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return _of_several(batch[0], batch[1], what)
    length = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
    raise ValueError(f"a batch of {what} is a {type(batch).__name__}{length}: yield (inputs, labels)")


def _of_several(inputs: Any, labels: Any, what: str) -> tuple[Any, Any]:
    """Return inputs and labels of a batch. Raises ValueError for those of a single sample."""
    if isinstance(labels, int | float | str) or getattr(labels, "ndim", 1) == 0:
        remedy = _LISTS if hasattr(inputs, "getbands") else "give batches, such as DataLoader(data, batch_size=64)"
        raise ValueError(f"{what} yields single samples: {remedy}")
    return inputs, labels


def _check_again(loader: Any, what: str) -> None:
    if not isinstance(loader, Iterable):
        raise ValueError(f"{what} is a {type(loader).__name__}: give a DataLoader, or a list of (inputs, labels)")
    if isinstance(loader, Iterator):
        raise ValueError(
            f"{what} can be iterated only once: give the DataLoader itself, a list of batches, or an object whose "
            "__iter__ begins again"
        )


def _set_aside(loader: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    """Return a loader without a share of its samples, and one of these; itself and None where it cannot be cut."""
    if isinstance(loader, DataLoader):
        dataset: Any = loader.dataset
        plain = isinstance(loader.sampler, RandomSampler | SequentialSampler) and loader.batch_size is not None
        if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__") and plain:
            kept, aside = _cut(len(dataset), fraction, seed)
            return _rebuilt(loader, Subset(dataset, kept)), _rebuilt(loader, Subset(dataset, aside))
    elif isinstance(loader, Sequence) and len(loader) > 1:
        kept, aside = _cut(len(loader), fraction, seed)
        return [loader[k] for k in kept], [loader[k] for k in aside]
    return loader, None


def _cut(count: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    aside = min(max(1, round(count * fraction)), count - 1)
    if not 0 < fraction < 1 or aside < 1:
        raise ValueError(f"validation_fraction {fraction} of {count} cannot be set aside: give validation")
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return drawn[aside:].sort().values.tolist(), drawn[:aside].sort().values.tolist()


def _rebuilt(loader: Any, dataset: Any) -> Any:
    collate: Callable = loader.collate_fn
    return DataLoader(
        dataset,
        batch_size=loader.batch_size,
        shuffle=isinstance(loader.sampler, RandomSampler),
        num_workers=loader.num_workers,
        collate_fn=collate,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last and len(dataset) > loader.batch_size,
        worker_init_fn=loader.worker_init_fn,
    )
