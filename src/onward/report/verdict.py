"""Verdicts: whether a method loses less to a noise than backprop does, in a sentence with the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

_CLEAR = 2.0  # standard errors


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every sweep and every method that is not backprop, beside the backprop it compares with.

    Compared is the accuracy lost on the way from clean to noisy, averaged over the levels: what is far ahead without
    noise has no advantage. A difference counts if it exceeds two standard errors of what chips and seeds scatter.
    """
    methods = found["methods"]
    controls = [method for method in methods if method["backprop"]]
    told = []
    for sweep in found["sweeps"]:
        for method in methods:
            control = _control(method, controls)
            if control is not None:
                told.append(_sentence(sweep, method, control))
    return told


def _control(method: Mapping[str, Any], controls: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return backprop through the same network; any other backprop if there is none; none for backprop itself."""
    if method["backprop"]:
        return None
    same = [control for control in controls if control["network"] == method["network"]]
    ends = [control for control in controls if control["name"].endswith(method["name"])]
    return next(iter([*ends, *same, *controls]), None)


def _sentence(sweep: Mapping[str, Any], method: Mapping[str, Any], control: Mapping[str, Any]) -> str:
    mine, error = _lost(sweep, method)
    theirs, other = _lost(sweep, control)
    gap, doubt = theirs - mine, (error**2 + other**2) ** 0.5
    verdict = "no clear difference"
    if abs(gap) > _CLEAR * doubt and abs(gap) >= 0.0005:  # what rounds to nothing is nothing
        verdict = f"{'more' if gap > 0 else 'less'} robust by {abs(100 * gap):.1f}"
    strongest = _last(sweep, method), _last(sweep, control)
    where = sweep["title"] if sweep["levels"][-1] is None else f"{sweep['title']} {sweep['levels'][-1]:g}"
    network = "" if method["network"] == control["network"] else " (another network)"
    average = "" if len(sweep["levels"]) == 1 else " on average over the levels"
    return (
        f"{sweep['title']}: {method['label']} loses {100 * mine:.1f} points{average}, "
        f"{control['label']}{network} {100 * theirs:.1f}: {verdict} (standard error {100 * doubt:.1f}). "
        f"At {where}: {100 * strongest[0]:.1f} % and {100 * strongest[1]:.1f} %."
    )


def _rows(sweep: Mapping[str, Any], method: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in method["noise"] if row["sweep"] == sweep["name"]]


def _last(sweep: Mapping[str, Any], method: Mapping[str, Any]) -> float:
    return _rows(sweep, method)[-1]["mean"]


def _lost(sweep: Mapping[str, Any], method: Mapping[str, Any]) -> tuple[float, float]:
    """Return the mean accuracy lost over the levels, and its standard error.

    A chip is the same chip at every level, so what it loses is averaged over levels first.
    """
    rows, clean = _rows(sweep, method), [seed[0] for seed in method["clean"]["values"]]
    losses = [
        clean[seed] - sum(row["values"][seed][chip] for row in rows) / len(rows)
        for seed in range(len(clean))
        for chip in range(len(rows[0]["values"][seed]))
    ]
    mean = sum(losses) / len(losses)
    variance = sum((loss - mean) ** 2 for loss in losses) / max(1, len(losses) - 1)
    return mean, (variance / len(losses)) ** 0.5
