"""What `fit` and `evaluate` take as data, and what they make of it."""

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import InputForm, Task

from .arrays import from_arrays, read_rows
from .dataset import from_dataset, is_dataset
from .images import Splits
from .loaded import from_loader
from .samples import Samples, Source


@runtime_checkable
class Data(Protocol):
    """What a training needs of its data. `Splits` is one; anything with these will do.

    `train` gives batches by epoch and seed: see `Source`. Validation and test samples are in memory; what selects sees
    validation alone, and the test samples are read once, at the end.
    """

    name: str
    note: str
    checksum: str
    train: Source
    validation: Samples
    test: Samples
    class_names: tuple[str, ...]
    task: Task

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        ...

    @property
    def inputs(self) -> InputForm:
        """What the inputs are."""
        ...

    def channel_statistics(self) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"]]:
        """Mean and deviation of each channel or column of the training inputs."""
        ...


def as_data(data: Any, *, seed: int = 0) -> Splits:
    """Return splits as they are, and make some of a pair (inputs, labels), of a loader, or of a Hugging Face dataset.

    Of a pair no test split is carved: all rows but a tenth for validation are trained on. Raises ValueError for
    anything else, and as `from_arrays`, `from_loader` and `from_dataset` do.
    """
    if isinstance(data, Splits):
        return data
    if is_dataset(data):
        return from_dataset(data, seed=seed)
    if isinstance(data, tuple) and len(data) == 2:
        return _pair(*data, seed=seed)
    if isinstance(data, str | bytes | dict | torch.Tensor) or not hasattr(data, "__iter__") or hasattr(data, "dtype"):
        raise ValueError(
            f"data is a {type(data).__name__}: give (inputs, labels), a DataLoader, or what onward.from_arrays, "
            "onward.from_loader, onward.from_dataset or onward.load_data returns"
        )
    return from_loader(data, seed=seed)


def rows_of(data: Any, like: tuple[InputForm, Task, tuple[str, ...]]) -> Samples:
    """Return the samples to evaluate on: those of a pair (inputs, labels), or of a loader, all of them.

    Raises ValueError for inputs of another form, and for labels of other classes.
    """
    form, task, names = like
    if isinstance(data, Samples):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return read_rows(*data, form, task, names)
    found = [read_rows(inputs, labels, form, task, names) for inputs, labels in data]
    if not found:
        raise ValueError("data has no batches: give at least one")
    return Samples(torch.cat([part.pixels for part in found]), torch.cat([part.labels for part in found]))


def _pair(inputs: Any, labels: Any, *, seed: int) -> Splits:
    whole = from_arrays(inputs, labels, test_images=inputs, test_labels=labels, seed=seed)
    return replace(whole, test=whole.validation, note=f"{whole.name}, without a test split of its own")
