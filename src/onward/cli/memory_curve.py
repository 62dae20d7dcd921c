"""What `onward measure --curve` shows: memory over time, for local learning and for backprop."""

from pathlib import Path

from onward.cli.tables import show_table, tell
from onward.costs.memory_curve import CurvePoint, MemoryCurve, front
from onward.plots import Line, SeriesStyle, curves, svg
from onward.screen import say


def show_curve(curve: MemoryCurve) -> None:
    """Print both curves, and beside each point of backprop what the method needs at that time and that memory."""
    say(f"{curve.recipe}, {curve.batch_size} images of {curve.data}, {curve.precision}")
    whole = curve.backprop[0]
    heads = ["", "MB", "of backprop", "seconds", "of backprop", "memory at its time", "time at its memory"]
    rows = [(f"{curve.method}, {point}", [*_numbers(point, whole), "", ""]) for point in curve.own]
    for point in curve.backprop:
        beside = [_ratio(curve.memory_at_time_of(point)), _ratio(curve.time_at_memory_of(point))]
        rows.append((f"backprop, {point}", [*_numbers(point, whole), *beside]))
    show_table(f"peak memory of a step over its time; last columns: {curve.method} over this row", heads, rows)
    tell(verdict(curve))


def verdict(curve: MemoryCurve) -> str:
    """Return a sentence that says which points of backprop, if any, the method does not reach."""
    better = [point for point in front(curve.backprop) if point in curve.better_by_backprop]
    if not better:
        return f"{curve.method} has a way that takes at most the memory and the time of every way of backprop."
    listed = "; ".join(f"{point} ({point.peak / 1e6:,.1f} MB, {point.seconds:.4f} s)" for point in better)
    return f"Backprop is the better choice where one of these is asked for: {listed}."


def write_figure(curve: MemoryCurve, path: Path) -> None:
    """Draw both curves, seconds over megabytes, as SVG. Raises ValueError for another kind of file."""
    check_figure(path)
    sides = [(curve.method, curve.own, False), ("backprop", curve.backprop, True)]
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
