"""Verdicts: whether a method loses less to a noise than backprop does, with the numbers."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from onward.compare.comparison import ComparedSweep, Comparison, MethodResult
from onward.compare.report.heading import test_images
from onward.compare.report.numbers import plain

_CLEAR = 2.0  # standard errors
_NAMED = ("network", "validation_split")
_BUDGET = ("epochs", "batch_size", "precision")


@dataclass(frozen=True)
class Verdict:
    """The accuracy that a method and backprop lose to a noise, as fractions of the test images.

    The loss is clean minus noisy accuracy, averaged over the levels, so that a high clean accuracy is no advantage. A
    difference counts if it exceeds two standard errors, over chips, seeds and test images. A method near chance cannot
    lose much, so the difference must have the same sign relative to accuracy above chance.
    """

    noise: str
    strongest: str
    """The noise at its last level."""
    averaged: bool
    method: str
    control: str
    unlike: tuple[str, ...]
    """Settings, beside backprop, in which the control differs from the method: network, split, epochs, batch, ..."""
    lost: float
    control_lost: float
    error: float
    """Standard error of the difference of the two."""
    share: float
    """Lost accuracy, as a share of the clean accuracy above chance."""
    control_share: float
    left: float
    """Accuracy at the last level."""
    control_left: float

    @property
    def gap(self) -> float:
        """How much less the method loses."""
        return self.control_lost - self.lost

    @property
    def word(self) -> str:
        """more, less or same."""
        if abs(self.gap) <= _CLEAR * self.error or self.gap * (self.control_share - self.share) <= 0:
            return "same"
        return "more" if self.gap > 0 else "less"

    def __str__(self) -> str:
        said = {"same": "no clear difference"}.get(self.word, f"{self.word} robust by {abs(100 * self.gap):.1f}")
        unlike = f" ({'; '.join(self.unlike)})" if self.unlike else ""
        return (
            f"{self.noise}: {self.method} loses {points(self.lost)} points"
            f"{' on average over the levels' if self.averaged else ''}, {self.control}{unlike} "
            f"{points(self.control_lost)}: {said} (standard error {points(self.error)}). "
            f"At {self.strongest}: {100 * self.left:.1f} % and {100 * self.control_left:.1f} %."
        )


def verdicts(comparison: Comparison) -> list[Verdict]:
    """Compare every method that is not backprop with backprop on the same images, noise by noise.

    None of numbers to predict: how much R2 scatters over test samples is not known.
    """
    methods = () if comparison.task == "values" else comparison.methods
    controls = [method for method in methods if method.backprop]
    pairs = [(method, _control(method, controls)) for method in methods if not method.backprop]
    return [
        _verdict(sweep, (method, test_images(comparison, method)), (control, test_images(comparison, control)))
        for sweep in comparison.sweeps
        for method, control in pairs
        if control is not None
    ]


def summary(all_verdicts: Sequence[Verdict]) -> str:
    """Return the answer in a sentence, or nothing where nothing was compared."""
    if not all_verdicts:
        return ""
    counts = {word: sum(verdict.word == word for verdict in all_verdicts) for word in ("more", "less", "same")}
    answer = "Partly" if counts["more"] else "No"
    if counts["more"] == len(all_verdicts):
        answer = "Yes"
    return (
        f"{answer}. In {len(all_verdicts)} comparisons with backprop, a method loses clearly less to noise in "
        f"{counts['more']}, clearly more in {counts['less']}, and there is no clear difference in {counts['same']}. "
        f"Under the strongest noise it is ahead of backprop in {sum(v.left > v.control_left for v in all_verdicts)}."
    )


def _control(method: MethodResult, controls: Sequence[MethodResult]) -> MethodResult | None:
    """Return backprop on the same images: through the same network and the method's own first, then the most alike."""
    alike = [control for control in controls if _same_images(method, control)]
    return min(alike, key=lambda control: _distance(method, control), default=None)


def _distance(method: MethodResult, control: MethodResult) -> tuple[bool, bool, int]:
    other_network = control.network != method.network
    own = not other_network and control.name.endswith(method.name)
    return other_network, not own, len(_unlike(method, control))


def _same_images(one: MethodResult, other: MethodResult) -> bool:
    """Whether two methods have the same images; older comparisons have no checksum, and then the names decide."""
    known = [key for key in ("data_checksum", "test_images") if None not in (getattr(one, key), getattr(other, key))]
    if "data_checksum" not in known:
        known += ["data", "class_names"]
    return all(getattr(one, key) == getattr(other, key) for key in known)


def _unlike(method: MethodResult, control: MethodResult) -> tuple[str, ...]:
    """Return the settings in which a control differs from the method, a phrase each."""
    others = [f"another {key.replace('_', ' ')}" for key in _NAMED if getattr(control, key) != getattr(method, key)]
    budgets = [(key.replace("_", " "), getattr(method, key), getattr(control, key)) for key in _BUDGET]
    return (*others, *(f"{what} {theirs}, not {own}" for what, own, theirs in budgets if theirs != own))


def _verdict(sweep: ComparedSweep, one: tuple[MethodResult, int], other: tuple[MethodResult, int]) -> Verdict:
    """Compare a method with its control, each with the number of its test images."""
    (method, _), (control, _) = one, other
    lost, error = _lost(sweep, *one)
    control_lost, control_error = _lost(sweep, *other)
    level, chance = sweep.levels[-1], 1 / len(method.class_names) if method.task == "classes" else 0.0
    return Verdict(
        noise=sweep.title,
        strongest=sweep.title if level is None else f"{sweep.title} {plain(level)}",
        averaged=len(sweep.levels) > 1,
        method=method.label,
        control=control.label,
        unlike=_unlike(method, control),
        lost=lost,
        control_lost=control_lost,
        error=(error**2 + control_error**2) ** 0.5,
        share=_share(lost, method, chance),
        control_share=_share(control_lost, control, chance),
        left=method.under(sweep.name)[-1].mean,
        control_left=control.under(sweep.name)[-1].mean,
    )


def _share(lost: float, method: MethodResult, chance: float) -> float:
    return lost / max(method.clean.mean - chance, 1e-9)


def _lost(sweep: ComparedSweep, method: MethodResult, images: int) -> tuple[float, float]:
    """Return the mean accuracy lost over the levels, and its standard error.

    A chip is the same chip at every level, so what it loses is averaged over levels first. Chips of one seed have its
    weights in common: where seeds differ more than chips do, their number counts, not that of all chips. Other
    images would give other losses: a share p of images that turn wrong has a variance of p over their number.
    """
    rows, clean = method.under(sweep.name), [seed[0] for seed in method.clean.values]
    by_seed = [
        [
            clean[seed] - sum(row.values[seed][chip] for row in rows) / len(rows)
            for chip in range(len(rows[0].values[seed]))
        ]
        for seed in range(len(clean))
    ]
    losses = [loss for chips in by_seed for loss in chips]
    mean = sum(losses) / len(losses)
    spread = max(_squared_error(losses), _squared_error([statistics.fmean(chips) for chips in by_seed]))
    return mean, (spread + max(abs(mean), 1 / images) / images) ** 0.5


def _squared_error(values: Sequence[float]) -> float:
    """Return the squared standard error of a mean; 0 for a single value."""
    return statistics.variance(values) / len(values) if len(values) > 1 else 0.0


def points(fraction: float) -> str:
    """Write a fraction as points of a hundred."""
    return f"{100 * fraction:.1f}".replace("-0.0", "0.0")
