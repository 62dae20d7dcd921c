"""Charts of trainings: accuracy over epochs, and that of each block."""

from collections.abc import Sequence
from pathlib import Path

from onward.core import EpochDone, Learner
from onward.core.metrics import MEASURES
from onward.plots.charts import Chart, Line
from onward.plots.curves import curves
from onward.plots.style import SeriesStyle
from onward.runs.finished import Run
from onward.runs.folder import RunFolder

Trained = Learner | Run | Path | str
"""A training with a history: the result of `fit`, `load` or `train`, or the folder of a run, finished or not."""

_SHOWN = 8  # blocks in one chart, the number of colors


def training(*trained: Trained, labels: tuple[str, ...] = ()) -> Chart:
    """Return the validation accuracy (regression: R2) after each epoch, one curve per training.

    `labels` name the curves, by default after the runs' folders. Raises ValueError for a training without a history,
    for what is none, unless there is one distinct label per training, and for trainings without a common metric.
    """
    if not trained:
        raise ValueError("no training given: name at least one")
    histories = [_history(each) for each in trained]
    names = labels or tuple(_name(each, k) for k, each in enumerate(trained, 1))
    if len(names) != len(trained) or len(set(names)) < len(names):
        raise ValueError(f"{len(trained)} trainings need as many labels, each its own; got {', '.join(names)}")
    times, unit = _scale([done for history in histories for done in history])
    lines = [
        Line(SeriesStyle(name, k, False), tuple((done.epoch + 1, times * done.validation_accuracy) for done in history))
        for k, (name, history) in enumerate(zip(names, histories, strict=True))
    ]
    return curves(lines, "epochs", unit, ticks=_ticks(lines))


def blocks(trained: Trained) -> Chart:
    """Return the validation accuracy of each scored block after each epoch; of more than eight blocks, eight of them.

    Raises ValueError for a training without a history, or an old one without the accuracy of blocks.
    """
    history = _history(trained)
    count = min(len(done.block_accuracy) for done in history)
    if not count:
        raise ValueError("the accuracy of blocks was not recorded in this training: train it again")
    shown = min(count, _SHOWN)
    times, unit = _scale(history)
    chosen = [round(k * (count - 1) / max(1, shown - 1)) for k in range(shown)]
    lines = [
        Line(
            SeriesStyle(f"block {block + 1}", k, False),
            tuple((done.epoch + 1, times * done.block_accuracy[block]) for done in history),
        )
        for k, block in enumerate(chosen)
    ]
    return curves(lines, "epochs", unit, ticks=_ticks(lines))


def _scale(history: Sequence[EpochDone]) -> tuple[int, str]:
    """Return the factor of the metric of trainings, and its name with the unit."""
    task, tasks = history[0].task, dict.fromkeys(done.task for done in history)
    if len(tasks) > 1:
        raise ValueError(f"trainings of {' and '.join(tasks)} have no metric in common: draw them separately")
    return (1, "validation R2") if task == "values" else (100, f"validation {MEASURES[task]}, %")


def _ticks(lines: list[Line]) -> list[int]:
    """Return the ticks of the epochs: at most nine, all whole."""
    last = max(int(x) for line in lines for x, _ in line.points)
    return list(range(1, last + 1, max(1, -(-(last - 1) // 8))))


def _history(trained: Trained) -> tuple[EpochDone, ...]:
    if not isinstance(trained, Trained):
        several = "; give several one by one, training(*runs)" if isinstance(trained, list | tuple) else ""
        raise ValueError(
            f"a training is what `fit`, `load` or `train` returned, or the folder of a run, got a "
            f"{type(trained).__name__}{several}"
        )
    history = RunFolder.open(Path(trained)).history() if isinstance(trained, Path | str) else trained.history
    if not history:
        raise ValueError("a training without a history has no curve: give the result of `fit` or `train`, or a folder")
    return history


def _name(trained: Trained, number: int) -> str:
    """Name a training by the folders of its run, as in `RECIPE, seed-0`; a learner by its number."""
    if isinstance(trained, Learner):
        return f"training {number}"
    path = (Path(trained) if isinstance(trained, Path | str) else trained.path).resolve()
    return f"{path.parent.name}, {path.name}"
