"""Panels: the figures below each heading of a comparison's page."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from onward.compare.comparison import Comparison, MethodResult, TrainingEnergy
from onward.compare.report.heading import control_names, tested
from onward.compare.report.numbers import number, plain, reached, spread, unit_of
from onward.core.metrics import MEASURES, ClassMetrics
from onward.costs.step import MeasuredSteps, StepCost
from onward.measure import CATEGORIES
from onward.plots.charts import Bar, Chart, Line, bars, lines, matrix, recovery
from onward.plots.style import SeriesStyle

Mistake = tuple[str, str, int, float]
"""A true class, what it was taken for, how often, and the share of the class."""
Recall = tuple[str, int, list[float | None]]
"""A class, how many test images it has, and the share of them that each method has right; None of no images."""
_MANY = 20  # classes, beyond which a matrix is a blur
_SHOWN = 8  # blocks in one figure: as many as there are colors


@dataclass(frozen=True)
class Figure:
    """A chart below its title; `kinds` are the parts of its bars, `legend` is for lines that are not methods."""

    title: str
    unit: str
    chart: Chart
    kinds: Sequence[str] = ()
    legend: Sequence[SeriesStyle] = ()
    tall: bool = False
    """Whether it is as high as its rows need."""


@dataclass(frozen=True)
class Panel:
    """A heading with figures that share its legend; `about` says how to read them, `notes` what short names mean."""

    name: str
    title: str
    about: str
    figures: Sequence[Figure]
    legend: Sequence[SeriesStyle] = ()
    notes: Sequence[str] = ()

    @property
    def flows(self) -> bool:
        """Whether the figures are of many heights, so that columns hold them better than rows."""
        return len(self.figures) > 1 and self.figures[0].tall


def styles_of(comparison: Comparison) -> list[SeriesStyle]:
    """Return a style for each method: a color each; controls share one color and differ in their dashes."""
    counts = {True: 0, False: 0}
    styles = []
    for method in comparison.methods:
        styles.append(SeriesStyle(method.label, counts[method.backprop], method.backprop))
        counts[method.backprop] += 1
    return styles


def panels(
    comparison: Comparison, styles: Sequence[SeriesStyle], measured: Sequence[MeasuredSteps]
) -> tuple[list[Panel], list[Panel]]:
    """Return the panels on accuracy without noise, and all others; empty panels are left out."""
    accuracy = [_curves(comparison, styles), _blocks(comparison, styles), _blocks_by_epoch(comparison, styles)]
    others = [
        _noise(comparison, styles),
        _devices(comparison, styles),
        _recovery(comparison, styles),
        *_costs(comparison, styles),
        *[_measured(steps) for steps in measured],
        _confusion(comparison, styles),
    ]
    return [panel for panel in accuracy if panel.figures], [panel for panel in others if panel.figures]


def _chance(comparison: Comparison) -> float | None:
    """Return the accuracy of chance, if it is known and the same for all methods."""
    if comparison.task != "classes":
        return None
    classes = {len(method.class_names) for method in comparison.methods}
    return 1 / classes.pop() if len(classes) == 1 else None


def _measure(comparison: Comparison) -> str:
    """Return the metric of the methods as the first word of a title."""
    measure = MEASURES[comparison.task]
    return measure[:1].upper() + measure[1:]


def recalls(comparison: Comparison) -> list[Recall]:
    """Return how each class fares by each method; of many classes those that fare worst.

    Empty for methods on other images than each other's, and where they predict no classes.
    """
    first, *others = comparison.methods
    if not first.confusion or any(
        (other.data, other.class_names) != (first.data, first.class_names) for other in others
    ):
        return []
    shares = [ClassMetrics(torch.tensor(method.confusion)).recall for method in comparison.methods]
    rows = [
        (name, sum(counts) // len(first.seeds), [None if math.isnan(share) else share for share in recalls_of])
        for name, counts, *recalls_of in zip(first.class_names, first.confusion, *shares, strict=True)
    ]
    if len(rows) <= _MANY:
        return rows
    there = [row for row in rows if None not in row[2]]
    return sorted(there, key=lambda row: statistics.mean(share or 0.0 for share in row[2]))[:_MANY]


def _noise(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    figures = []
    reached = [
        mean
        for m in comparison.methods
        for mean in (m.clean.mean, *(row.mean for row in m.noise if row.level is not None))
    ]
    within = (min(reached), max(reached))
    for sweep in comparison.sweeps:
        levels = [level for level in sweep.levels if level is not None]
        if not levels:
            continue
        xs = [0.0, *levels] if sweep.from_zero else [float(k) for k in range(len(levels) + 1)]
        ticks = () if sweep.from_zero else ("clean", *map(plain, levels))
        drawn = [_noise_line(method, style, sweep.name, xs) for method, style in _each(comparison, styles)]
        unit, floor = f"test {unit_of(comparison.task)}", _chance(comparison)
        chart = lines(drawn, sweep.axis, title=sweep.title, unit=unit, ticks=ticks, within=within, floor=floor)
        figures.append(Figure(sweep.title, unit, chart))
    floor = "" if _chance(comparison) is None else "; the dotted line is chance"
    about = (
        f"{_measure(comparison)} on {tested(comparison)}, without noise at the left. "
        f"Lines are means, bands one standard deviation over {comparison.chips} chips. "
        f"All figures have one scale{floor}."
    )
    return Panel("noise", f"{_measure(comparison)} under noise", about, figures, styles)


def _noise_line(method: MethodResult, style: SeriesStyle, sweep: str, xs: Sequence[float]) -> Line:
    rows = [method.clean, *method.under(sweep)]
    points = tuple((x, row.mean) for x, row in zip(xs, rows, strict=True))
    return Line(style, points, tuple(row.chip_deviation or 0.0 for row in rows))


def _devices(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    figures = []
    scale, sign = (1, "") if comparison.task == "values" else (100, " %")
    for sweep in comparison.sweeps:
        if sweep.levels[0] is None:
            rows = [method.under(sweep.name)[0] for method in comparison.methods]
            drawn = [
                Bar(style, ((0, scale * row.mean),), f"{spread(row, comparison.task)}{sign}")
                for style, row in zip(styles, rows, strict=True)
            ]
            figures.append(_bar_figure(sweep.title, f"test {unit_of(comparison.task)}", drawn))
    about = f"Models of published devices: mean and standard deviation over {comparison.chips} chips."
    return Panel("devices", f"{_measure(comparison)} on published devices", about, figures)


def _recovery(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    figures = []
    for k, first in enumerate(comparison.methods[0].recovery):
        rows = []
        for method, style in _each(comparison, styles):
            row = method.recovery[k]
            text = f"step held {number(row.memory_bytes / 1e6)} MB"
            rows.append((style, row.met.mean, row.recovered.mean, method.clean.mean, text))
        title = f"{first.sweep} {'' if first.level is None else plain(first.level)}"
        figures.append(Figure(title, "", recovery(rows, title=title, unit=f"test {unit_of(comparison.task)}")))
    stream = comparison.stream
    taught = "" if stream is None else f"{stream.images:,} images, {stream.batch_size} at a time, at {stream.rate:g}"
    about = (
        f"A finished network is put on a chip it was not trained for and learns there from {taught} of its learning "
        "rate. Hollow: before; filled: after; bar: without the chip."
    )
    return Panel("recovery", "Learning on the chip", about, figures)


def _costs(comparison: Comparison, styles: Sequence[SeriesStyle]) -> list[Panel]:
    rows = [(method.cost, style) for method, style in _each(comparison, styles) if method.cost is not None]
    if not rows:
        return []
    names, legend = control_names(comparison.controls)
    rows += [(control, SeriesStyle(name, 0, True)) for control, name in zip(comparison.controls, names, strict=True)]
    about = (
        "One training step, measured on this machine; controls by backprop through the same network with the same "
        f"batch, precision and optimizer are below. {comparison.environment.device}."
    )
    notes = legend if len(legend) > 1 else []
    per_epoch = [
        Bar(style, ((0, energy.joules_per_epoch),), f"{number(energy.joules_per_epoch)} J")
        for energy, style in _energies(comparison, styles)
    ]
    counted = (
        "Counted, not measured: multiply-adds and bytes of a step at the picojoules that Horowitz (ISSCC 2014) states "
        "for a 45 nm process, every byte from DRAM. It ranks methods; it is not what this machine draws."
    )
    joules = [_energy_bar(row, style) for row, style in rows]
    energy = [_bar_figure("Energy of a step", "mJ", joules, kinds=("multiply-adds", "memory"))]
    energy.append(_bar_figure("Energy of an epoch", "J", per_epoch))
    energy += _to_target(comparison, styles)
    return [
        Panel("cost", "Memory and time", about, _step_figures(rows), notes=notes),
        Panel("energy", "Energy", counted, energy, notes=notes),
    ]


def _step_figures(rows: Sequence[tuple[StepCost, SeriesStyle]]) -> list[Figure]:
    memory, times, flops = [], [], []
    for row, style in rows:
        held, milliseconds, billions = row.memory, 1e3 * row.step_seconds, row.flops.total / 1e9
        parts = tuple((k, held.by_category[name] / 1e6) for k, name in enumerate(CATEGORIES))
        memory.append(Bar(style, parts, f"{number(held.peak / 1e6)} MB"))
        times.append(Bar(style, ((0, milliseconds),), f"{number(milliseconds)} ms"))
        flops.append(Bar(style, ((0, billions),), number(billions)))
    return [
        _bar_figure("Memory at the peak of a step", "MB", memory, kinds=CATEGORIES),
        _bar_figure("Time of a step", "ms, median", times),
        _bar_figure("Operations of a step", "GFLOP", flops),
    ]


def _energy_bar(row: StepCost, style: SeriesStyle) -> Bar:
    energy = row.energy
    parts = ((0, 1e3 * energy.compute_joules), (1, 1e3 * energy.memory_joules))
    own = energy.measured
    note = "" if own is None else f"measured {number(1e3 * own.joules)} mJ above idle ({own.meter})"
    return Bar(style, parts, f"{number(1e3 * energy.joules)} mJ", note)


def _to_target(comparison: Comparison, styles: Sequence[SeriesStyle]) -> list[Figure]:
    drawn = []
    for energy, style in _energies(comparison, styles):
        joules, epochs = energy.joules_to_target, energy.epochs_to_target
        text = "not reached" if joules is None else f"{number(joules)} J"
        note = "" if epochs is None else f"{plain(round(epochs, 1))} epoch{'' if round(epochs, 1) == 1 else 's'}"
        drawn.append(Bar(style, ((0, joules or 0.0),), text, note))
    target = f"{reached(comparison.target, comparison.task)}{'' if comparison.task == 'values' else ' %'}"
    return [_bar_figure(f"Energy to {target} on validation", "J", drawn)]


def _energies(comparison: Comparison, styles: Sequence[SeriesStyle]) -> list[tuple[TrainingEnergy, SeriesStyle]]:
    return [(method.energy, style) for method, style in _each(comparison, styles) if method.energy is not None]


def _measured(steps: MeasuredSteps) -> Panel:
    rows = [(row, SeriesStyle(row.name, k, row.name.startswith("backprop"))) for k, row in enumerate(steps.contenders)]
    about = (
        f"A step of {steps.recipe} with {steps.batch_size} images of {steps.data}, {steps.precision}, as "
        f"onward measure found it. {steps.environment.device}."
    )
    return Panel(f"measured-{steps.recipe}", f"Memory and time: {steps.recipe}", about, _step_figures(rows))


def _blocks(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    several = [(m, style) for m, style in _each(comparison, styles) if len(m.by_block) > 1]
    drawn = [Line(style, tuple((float(k), v) for k, v in enumerate(m.by_block, 1))) for m, style in several]
    name, unit = f"{_measure(comparison)} per block", f"test {unit_of(comparison.task)}"
    figures = [_line_figure(name, "block that is scored", drawn, unit)] if drawn else []
    measure = MEASURES[comparison.task]
    about = f"Test {measure} if each scored block were asked alone. Methods with one scored block are not shown."
    return Panel("blocks", name, about, figures, [style for _, style in several])


def _blocks_by_epoch(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    figures, some = [], False
    for method, style in _each(comparison, styles):
        curves = [[row.block_accuracy for row in curve] for curve in method.histories]
        epochs = [[list(seeds) for seeds in zip(*rows, strict=False)] for rows in zip(*curves, strict=False)]
        if not epochs or len(epochs[0]) < 2:
            continue
        chosen = _spaced(min(map(len, epochs)))
        some = some or len(chosen) < len(epochs[0])
        own = [SeriesStyle(f"block {k + 1}", number, False) for number, k in enumerate(chosen)]
        drawn = [
            Line(block, tuple((float(e), statistics.mean(blocks[k])) for e, blocks in enumerate(epochs, 1)))
            for block, k in zip(own, chosen, strict=True)
        ]
        figures.append(_line_figure(style.label, "epochs", drawn, f"validation {unit_of(comparison.task)}", legend=own))
    measure = _measure(comparison)
    about = f"{measure} on the validation split if each scored block were asked alone, after each epoch; seeds' mean."
    more = f" Of many blocks {_SHOWN} are shown, the first and the last among them." if some else ""
    return Panel("block-curves", f"{measure} per block over epochs", about + more, figures)


def _spaced(count: int) -> list[int]:
    """Choose at most `_SHOWN` of so many blocks, from the first to the last, evenly."""
    shown = min(count, _SHOWN)
    return [round(k * (count - 1) / max(1, shown - 1)) for k in range(shown)]


def _curves(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    epochs, minutes = [], []
    for method, style in _each(comparison, styles):
        for curve in method.histories:
            accuracy = [row.validation_accuracy for row in curve]
            if curve:
                epochs.append(Line(style, tuple((float(k), v) for k, v in enumerate(accuracy, 1))))
                minutes.append(Line(style, tuple((r.train_seconds / 60, r.validation_accuracy) for r in curve)))
    figures = []
    if epochs:
        unit = f"validation {unit_of(comparison.task)}"
        figures = [
            _line_figure("By epoch", "epochs", epochs, unit),
            _line_figure("By training time", "minutes", minutes, unit),
        ]
    measure = _measure(comparison)
    about = f"{measure} on the validation split after each epoch, one line per seed. Times are those of the runs."
    return Panel("curves", "Training", about, figures, styles if figures else [])


def _confusion(comparison: Comparison, styles: Sequence[SeriesStyle]) -> Panel:
    figures = [
        Figure(style.label, "", matrix(style, method.class_names, method.confusion))
        for method, style in _each(comparison, styles)
        if method.confusion and len(method.class_names) <= _MANY
    ]
    about = "Rows are true classes, columns predicted ones; a cell is the share of its row, in percent."
    return Panel("confusion", "Confusion", about, figures)


def mistakes(
    comparison: Comparison, styles: Sequence[SeriesStyle]
) -> list[tuple[SeriesStyle, list[tuple[str, str, int, float]]]]:
    """Where there are too many classes for a matrix: the most frequent mistakes of each method."""
    return [
        (style, worst_pairs(method.class_names, method.confusion))
        for method, style in _each(comparison, styles)
        if method.confusion and len(method.class_names) > _MANY
    ]


def _each(comparison: Comparison, styles: Sequence[SeriesStyle]) -> list[tuple[MethodResult, SeriesStyle]]:
    return list(zip(comparison.methods, styles, strict=True))


def worst_pairs(names: Sequence[str], counts: Sequence[Sequence[int]], most: int = 10) -> list[Mistake]:
    """Return the most frequent mistakes."""
    pairs = [
        (names[row], names[column], count, count / max(1, sum(line)))
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if row != column and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


def _line_figure(title: str, axis: str, drawn: Sequence[Line], unit: str, legend: Sequence[SeriesStyle] = ()) -> Figure:
    return Figure(title, unit, lines(drawn, axis, title=title, unit=unit), legend=legend)


def _bar_figure(title: str, unit: str, drawn: Sequence[Bar], *, kinds: Sequence[str] = ()) -> Figure:
    return Figure(title, unit, bars(drawn, unit, title=title, kinds=kinds), kinds, tall=True)
