"""Headings: the numbers of images and seeds in a comparison, and the names of its controls."""

from collections.abc import Sequence

from onward.compare.comparison import Comparison, MethodResult
from onward.costs.step import StepCost

_DIFFERENCES = {"batch_size": "batch {}", "precision": "{}", "optimizer": "{}", "images": "images {}"}
"""Texts about a control, by the setting in which controls differ."""


def test_images(comparison: Comparison, method: MethodResult) -> int:
    """Return how many images a method was tested on; older comparisons hold one number for all methods."""
    return comparison.test_images if method.test_images is None else method.test_images


def tested(comparison: Comparison) -> str:
    """Return the number of test images in words, of each data set where there are several."""
    counts = dict.fromkeys((test_images(comparison, method), method.data) for method in comparison.methods)
    (first, data), *others = counts
    if not others:
        return f"{first:,} test images"
    return " and ".join([f"{first:,} test images of {data}", *(f"{images:,} of {name}" for images, name in others)])


def seeds(comparison: Comparison) -> str:
    """Return in words how many seeds methods have: the fewest and the most."""
    counts = [len(method.seeds) for method in comparison.methods]
    fewest, most = min(counts), max(counts)
    return f"{'' if fewest == most else f'{fewest} to '}{most} seed{'s' if most > 1 else ''}"


def fewest_seeds(comparison: Comparison) -> int:
    """Return how many seeds the method with the fewest has."""
    return min(len(method.seeds) for method in comparison.methods)


def title(comparison: Comparison) -> str:
    """Return a line with the images and seeds of a comparison."""
    names = dict.fromkeys(method.data for method in comparison.methods)
    images = tested(comparison) + (f" of {next(iter(names))}" if len(names) == 1 else "")
    return f"{images}, {seeds(comparison)}"


def control_names(controls: Sequence[StepCost]) -> tuple[list[str], list[str]]:
    """Return a short name for each control, and a legend with what each kind of control trains.

    That is its network, with batch, precision, optimizer and images where controls differ in these. Where there are
    several kinds, names end in the number of theirs.
    """
    differing = [
        (key, text)
        for key, text in _DIFFERENCES.items()
        if len({str(getattr(control, key)) for control in controls}) > 1
    ]
    trained = []
    for control in controls:
        own = [(text, getattr(control, key)) for key, text in differing]
        parts = [text.format(value) for text, value in own if value is not None]
        trained.append(", ".join([f"{control.network}", *parts]))
    kinds = list(dict.fromkeys(trained))
    if len(kinds) < 2:
        return [c.name for c in controls], [f"backprop trains {kind}" for kind in kinds]
    names = [f"{c.name} [{kinds.index(kind) + 1}]" for c, kind in zip(controls, trained, strict=True)]
    return names, [f"[{number}] trains {kind}" for number, kind in enumerate(kinds, 1)]
