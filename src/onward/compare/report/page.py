"""The page: every figure of a comparison, with its numbers, in one HTML file."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from onward.compare.report.figures import Bar, BarChart, Line, LineChart, Look, Matrix, Recovery, worst_pairs
from onward.compare.report.heading import control_names, fewest_seeds, seeds, tested
from onward.compare.report.scale import bounds, number, plain
from onward.compare.report.verdict import points, summary, verdicts
from onward.measure import CATEGORIES

Found = Mapping[str, Any]
_MANY = 20  # classes, beyond which a matrix is a blur
_SHOWN = 8  # blocks in one figure: as many as there are colors
_WIDE = 8  # columns of a table that stand side by side on a screen


@dataclass(frozen=True)
class Panel:
    """A heading with figures that share its legend; `about` says how to read them, `notes` what short names mean."""

    name: str
    title: str
    about: str
    figures: Sequence[Any]
    legend: Sequence[Look] = ()
    notes: Sequence[str] = ()

    @property
    def flows(self) -> bool:
        """Whether the figures are of many heights, so that columns hold them better than rows."""
        return len(self.figures) > 1 and isinstance(self.figures[0], BarChart)


def page(found: Found, *, measured: Sequence[Found] = (), title: str = "") -> str:
    """Return the report of a comparison as HTML. It runs no script and loads nothing.

    `measured` are what `onward measure --json` wrote: the steps of further recipes beside their controls.
    """
    looks = [Look(method["label"], _colour(found, k), method["backprop"]) for k, method in enumerate(found["methods"])]
    accuracy = [_curves(found, looks), _blocks(found, looks), _blocks_by_epoch(found, looks)]
    others = [
        _noise(found, looks),
        _devices(found, looks),
        _recovery(found, looks),
        *_costs(found, looks),
        *[_measured(steps) for steps in measured],
        _confusion(found, looks),
    ]
    names = " · ".join(dict.fromkeys(method["data"] for method in found["methods"]))
    environment = Environment(
        loader=PackageLoader("onward.compare.report"),
        autoescape=select_autoescape(["html", "svg"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "plain": plain, "points": points, "percent": percent, "spread": spread}
    found_out = verdicts(found)
    return environment.get_template("page.html").render(
        title=title or f"{len(looks)} method{'s' if len(looks) > 1 else ''} on {names}",
        found=found,
        tested=tested(found),
        seeds=seeds(found),
        fewest_seeds=fewest_seeds(found),
        methods=list(zip(found["methods"], looks, strict=True)),
        accuracy=[panel for panel in accuracy if panel.figures],
        others=[panel for panel in others if panel.figures],
        verdicts=found_out,
        wide=_WIDE,
        summary=summary(found_out),
        pairs=_mistakes(found, looks),
    )


def percent(value: float | None) -> str:
    """Write a fraction as a percentage."""
    return "–" if value is None else f"{100 * value:.2f}"


def spread(row: Found) -> str:
    """Write mean and deviation over chips (over seeds where chips do not differ) in percent."""
    deviation = row["chip_deviation"] if row["chip_deviation"] is not None else row["seed_deviation"]
    return percent(row["mean"]) + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _colour(found: Found, index: int) -> int:
    """Number the methods of a colour of their own: controls share one and are told apart by their dashes."""
    return sum(method["backprop"] == found["methods"][index]["backprop"] for method in found["methods"][:index])


def _chance(found: Found) -> float | None:
    """Return what guessing is worth, if that is the same for all."""
    classes = {len(method["class_names"]) for method in found["methods"]}
    return 1 / classes.pop() if len(classes) == 1 else None


def _noise(found: Found, looks: Sequence[Look]) -> Panel:
    figures = []
    reached = [
        row["mean"] for m in found["methods"] for row in (m["clean"], *m["noise"]) if row.get("level", 0) is not None
    ]
    for sweep in found["sweeps"]:
        levels = sweep["levels"]
        if levels[0] is None:
            continue
        xs = [0.0, *levels] if sweep["from_zero"] else [float(k) for k in range(len(levels) + 1)]
        places = () if sweep["from_zero"] else list(zip(xs, ["clean", *map(plain, levels)], strict=True))
        lines = [_noise_line(method, look, sweep["name"], xs) for method, look in _each(found, looks)]
        figures.append(
            LineChart(
                sweep["title"],
                sweep["axis"],
                lines,
                places=places,
                within=bounds(reached, least=0.1),
                floor=_chance(found),
            )
        )
    floor = "" if _chance(found) is None else "; the dotted line is chance"
    about = (
        f"Accuracy on {tested(found)}, without noise at the left. "
        f"Lines are means, bands one standard deviation over {found['chips']} chips. "
        f"All figures have one scale{floor}."
    )
    return Panel("noise", "Accuracy under noise", about, figures, looks)


def _noise_line(method: Found, look: Look, sweep: str, xs: Sequence[float]) -> Line:
    rows = [method["clean"], *[row for row in method["noise"] if row["sweep"] == sweep]]
    points = tuple((x, row["mean"]) for x, row in zip(xs, rows, strict=True))
    return Line(look, points, tuple(row["chip_deviation"] or 0.0 for row in rows))


def _devices(found: Found, looks: Sequence[Look]) -> Panel:
    figures = []
    for sweep in found["sweeps"]:
        if sweep["levels"][0] is None:
            rows = [next(r for r in method["noise"] if r["sweep"] == sweep["name"]) for method in found["methods"]]
            bars = [
                Bar(look, ((0, 100 * row["mean"]),), f"{spread(row)} %") for look, row in zip(looks, rows, strict=True)
            ]
            figures.append(BarChart(sweep["title"], "test accuracy, %", bars))
    about = f"Models of published devices: mean and standard deviation over {found['chips']} chips."
    return Panel("devices", "Accuracy on published devices", about, figures)


def _recovery(found: Found, looks: Sequence[Look]) -> Panel:
    figures = []
    for k, first in enumerate(found["methods"][0]["recovery"]):
        rows = []
        for method, look in _each(found, looks):
            row = method["recovery"][k]
            text = f"step held {number(row['memory_bytes'] / 1e6)} MB"
            rows.append((look, row["met"]["mean"], row["recovered"]["mean"], method["clean"]["mean"], text))
        figures.append(Recovery(f"{first['sweep']} {'' if first['level'] is None else plain(first['level'])}", rows))
    stream = found["stream"] or {"images": 0, "batch_size": 0, "rate": 0}
    about = (
        "A finished network is put on a chip it was not trained for and learns there from "
        f"{stream['images']:,} images, {stream['batch_size']} at a time, at {stream['rate']:g} of its learning rate. "
        "Hollow: before; filled: after; bar: without the chip."
    )
    return Panel("recovery", "Learning on the chip", about, figures)


def _costs(found: Found, looks: Sequence[Look]) -> list[Panel]:
    if not any("cost" in method for method in found["methods"]):
        return []
    rows = [(method["cost"], look) for method, look in _each(found, looks)]
    names, legend = control_names(found["controls"])
    rows += [(control, Look(name, 0, True)) for control, name in zip(found["controls"], names, strict=True)]
    about = (
        "One training step, measured on this machine; controls by backprop through the same network with the same "
        f"batch, precision and optimizer stand below. {found['environment']['device']}."
    )
    notes = legend if len(legend) > 1 else []
    per_epoch = [
        Bar(look, ((0, method["energy"]["joules_per_epoch"]),), f"{number(method['energy']['joules_per_epoch'])} J")
        for method, look in _each(found, looks)
    ]
    counted = (
        "Counted, not measured: multiply-adds and bytes of a step at the picojoules that Horowitz (ISSCC 2014) states "
        "for a 45 nm process, every byte from DRAM. It ranks methods; it is not what this machine draws."
    )
    joules = [_energy_bar(row, look) for row, look in rows]
    energy = [BarChart("Energy of a step", "mJ", joules, kinds=("multiply-adds", "memory"))]
    energy.append(BarChart("Energy of an epoch", "J", per_epoch))
    energy += _to_target(found, looks)
    return [
        Panel("cost", "Memory and time", about, _step_figures(rows), notes=notes),
        Panel("energy", "Energy", counted, energy, notes=notes),
    ]


def _step_figures(rows: Sequence[tuple[Found, Look]]) -> list[BarChart]:
    memory, times, flops = [], [], []
    for row, look in rows:
        held, milliseconds, billions = row["memory"], 1e3 * row["step_seconds"], row["flops"]["total"] / 1e9
        parts = tuple((k, held["by_category"][name] / 1e6) for k, name in enumerate(CATEGORIES))
        memory.append(Bar(look, parts, f"{number(held['peak'] / 1e6)} MB"))
        times.append(Bar(look, ((0, milliseconds),), f"{number(milliseconds)} ms"))
        flops.append(Bar(look, ((0, billions),), number(billions)))
    return [
        BarChart("Memory at the peak of a step", "MB", memory, kinds=CATEGORIES),
        BarChart("Time of a step", "ms, median", times),
        BarChart("Operations of a step", "GFLOP", flops),
    ]


def _energy_bar(row: Found, look: Look) -> Bar:
    energy = row["energy"]
    parts = ((0, 1e3 * energy["compute_joules"]), (1, 1e3 * energy["memory_joules"]))
    own = energy["measured"]
    note = "" if own is None else f"measured {number(1e3 * own['joules'])} mJ above idle ({own['meter']})"
    return Bar(look, parts, f"{number(1e3 * energy['joules'])} mJ", note)


def _to_target(found: Found, looks: Sequence[Look]) -> list[BarChart]:
    bars = []
    for method, look in _each(found, looks):
        joules = method["energy"]["joules_to_target"]
        text = "not reached" if joules is None else f"{number(joules)} J"
        note = "" if joules is None else f"{plain(round(method['energy']['epochs_to_target'], 1))} epochs"
        bars.append(Bar(look, ((0, joules or 0.0),), text, note))
    return [BarChart(f"Energy to {percent(found['target'])} % on validation", "J", bars)]


def _measured(steps: Found) -> Panel:
    rows = [
        (row, Look(row["name"], k, row["name"].startswith("backprop"))) for k, row in enumerate(steps["contenders"])
    ]
    about = (
        f"A step of {steps['recipe']} with {steps['batch_size']} images of {steps['data']}, {steps['precision']}, as "
        f"onward measure found it. {steps['environment']['device']}."
    )
    return Panel(f"measured-{steps['recipe']}", f"Memory and time: {steps['recipe']}", about, _step_figures(rows))


def _blocks(found: Found, looks: Sequence[Look]) -> Panel:
    several = [(m, look) for m, look in _each(found, looks) if len(m["by_block"]) > 1]
    lines = [Line(look, tuple((float(k), v) for k, v in enumerate(m["by_block"], 1))) for m, look in several]
    figures = [LineChart("Accuracy per block", "block that is scored", lines)] if lines else []
    about = "Test accuracy if each scored block were asked alone. Methods with one scored block are not shown."
    return Panel("blocks", "Accuracy per block", about, figures, [look for _, look in several])


def _blocks_by_epoch(found: Found, looks: Sequence[Look]) -> Panel:
    figures, some = [], False
    for method, look in _each(found, looks):
        curves = [[row.get("block_accuracy", ()) for row in curve] for curve in method["curves"]]
        epochs = [[list(seeds) for seeds in zip(*rows, strict=False)] for rows in zip(*curves, strict=False)]
        if not epochs or len(epochs[0]) < 2:
            continue
        chosen = _spaced(min(map(len, epochs)))
        some = some or len(chosen) < len(epochs[0])
        own = [Look(f"block {k + 1}", number, False) for number, k in enumerate(chosen)]
        lines = [
            Line(block, tuple((float(e), statistics.mean(blocks[k])) for e, blocks in enumerate(epochs, 1)))
            for block, k in zip(own, chosen, strict=True)
        ]
        figures.append(LineChart(look.label, "epochs", lines, unit="validation accuracy, %", legend=own))
    about = "Accuracy on the validation split if each scored block were asked alone, after each epoch; mean over seeds."
    more = f" Of many blocks {_SHOWN} are shown, the first and the last among them." if some else ""
    return Panel("block-curves", "Accuracy per block over epochs", about + more, figures)


def _spaced(count: int) -> list[int]:
    """Choose at most `_SHOWN` of so many blocks, from the first to the last, evenly."""
    shown = min(count, _SHOWN)
    return [round(k * (count - 1) / max(1, shown - 1)) for k in range(shown)]


def _curves(found: Found, looks: Sequence[Look]) -> Panel:
    epochs, minutes = [], []
    for method, look in _each(found, looks):
        for curve in method["curves"]:
            accuracy = [row["validation_accuracy"] for row in curve]
            if curve:
                epochs.append(Line(look, tuple((float(k), v) for k, v in enumerate(accuracy, 1))))
                minutes.append(Line(look, tuple((r["train_seconds"] / 60, r["validation_accuracy"]) for r in curve)))
    figures = []
    if epochs:
        unit = "validation accuracy, %"
        figures = [
            LineChart("By epoch", "epochs", epochs, unit=unit),
            LineChart("By training time", "minutes", minutes, unit=unit),
        ]
    about = "Accuracy on the validation split after each epoch, one line per seed. Times are those of the runs."
    return Panel("curves", "Training", about, figures, looks if figures else [])


def _confusion(found: Found, looks: Sequence[Look]) -> Panel:
    figures = [
        Matrix(look, method["class_names"], method["confusion"])
        for method, look in _each(found, looks)
        if len(method["class_names"]) <= _MANY
    ]
    about = "Rows are true classes, columns what the method said; a cell is the share of its row, in percent."
    return Panel("confusion", "Confusion", about, figures)


def _mistakes(found: Found, looks: Sequence[Look]) -> list[tuple[Look, list[tuple[str, str, int, float]]]]:
    """Where there are too many classes for a matrix: the most frequent mistakes of each method."""
    return [
        (look, worst_pairs(method["class_names"], method["confusion"]))
        for method, look in _each(found, looks)
        if len(method["class_names"]) > _MANY
    ]


def _each(found: Found, looks: Sequence[Look]) -> list[tuple[Found, Look]]:
    return list(zip(found["methods"], looks, strict=True))
