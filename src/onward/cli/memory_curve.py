"""What `onward measure --curve` shows: memory over time, for local learning and for backprop."""

from pathlib import Path

from onward.cli.tables import show_table, tell
from onward.costs.memory_curve import CurvePoint, MemoryCurve, front
from onward.plots import Line, SeriesStyle, curves, svg
from onward.screen import say


def show_curve(found: MemoryCurve) -> None:
    """Print both curves, and beside each point of backprop what the method needs at that time and that memory."""
    say(f"{found.recipe}, {found.batch_size} images of {found.data}, {found.precision}")
    whole = found.backprop[0]
    heads = ["", "MB", "of backprop", "seconds", "of backprop", "memory at its time", "time at its memory"]
    rows = [(f"{found.method}, {point}", [*_numbers(point, whole), "", ""]) for point in found.own]
    for point in found.backprop:
        beside = [_ratio(found.memory_at_time_of(point)), _ratio(found.time_at_memory_of(point))]
        rows.append((f"backprop, {point}", [*_numbers(point, whole), *beside]))
    show_table(f"peak memory of a step over its time; last columns: {found.method} over this row", heads, rows)
    tell(verdict(found))


def verdict(found: MemoryCurve) -> str:
    """Return a sentence that says which points of backprop, if any, the method does not reach."""
    better = [point for point in front(found.backprop) if point in found.better_by_backprop]
    if not better:
        return f"{found.method} has a way that takes at most the memory and the time of every way of backprop."
    listed = "; ".join(f"{point} ({point.peak / 1e6:,.1f} MB, {point.seconds:.4f} s)" for point in better)
    return f"Backprop is the better choice where one of these is asked for: {listed}."


def write_figure(found: MemoryCurve, path: Path) -> None:
    """Draw both curves, seconds over megabytes, as SVG. Raises ValueError for another kind of file."""
    check_figure(path)
    sides = [(found.method, found.own, False), ("backprop", found.backprop, True)]
    lines = [
        Line(SeriesStyle(name, 0, control), tuple((p.peak / 1e6, p.seconds) for p in front(points)))
        for name, points, control in sides
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(curves(lines, "peak memory of a step, MB", "seconds of a step"), width=700))


def check_figure(path: Path) -> None:
    """Raise ValueError for a file that is not called .svg."""
    if path.suffix.lower() != ".svg":
        raise ValueError(f"--figure is drawn as SVG, got {path.name}: call it {path.stem or 'curve'}.svg")


def _numbers(point: CurvePoint, whole: CurvePoint) -> list[str]:
    memory, time = f"{point.peak / whole.peak:.2f}", f"{point.seconds / whole.seconds:.2f}"
    return [f"{point.peak / 1e6:,.1f}", memory, f"{point.seconds:.4f}", time]


def _ratio(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.2f}"
