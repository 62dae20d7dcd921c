"""A warm start: a training that begins from the weights of a finished run, on other data or for longer."""

from itertools import zip_longest
from pathlib import Path

import torch

from onward.core import InputForm, Learner
from onward.runs.model import load_model

_SHOWN = 200  # characters of a list


def warm_start(learner: Learner, run: Path) -> str:
    """Give a learner the weights of a finished run wherever they fit; return in words how many blocks that were.

    Heads of another number of classes stay as they were drawn, and so does what prepares the inputs. Raises ValueError
    for a run whose network is another one, and of tables with other columns.
    """
    other, spec = load_model(run)
    _check_columns(run, spec.form, learner.input_form)
    own, given = learner.state_dict(), other.state_dict()
    fitting = {
        name: value
        for name, value in given.items()
        if name.startswith("blocks.") and name in own and own[name].shape == value.shape
    }
    bodies = [{name for name in own if name.startswith(f"blocks.{k}.body.")} for k in range(len(learner.blocks))]
    lacking = [k for k, names in enumerate(bodies) if not names <= fitting.keys()]
    if lacking or not any(bodies):
        form = learner.image_shape
        raise ValueError(
            f"{run} has a {type(spec.net).__name__} for inputs of shape {list(spec.shape)}, whose block "
            f"{lacking[0] if lacking else 0} does not fit this one for {list(form or ())}: name the same method, "
            "network, sizes and channels, or leave --method and --net out"
        )
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)
    heads = len([name for name in own if name.startswith("blocks.")]) - len(fitting)
    fresh = f", {heads} tensors of its heads with new weights" if heads else ""
    return f"weights of {len(bodies)} blocks from {run}{fresh}"


def _check_columns(run: Path, given: InputForm | None, own: InputForm | None) -> None:
    """Raise ValueError for tables of other columns or categories: weights belong to columns by their position."""
    if given is None or own is None or not (given.columns and own.columns):
        return
    for k, (before, now) in enumerate(zip_longest(given.columns, own.columns)):
        if before is None or now is None or before.name != now.name:
            names = ", ".join(column.name for column in given.columns)[:_SHOWN]
            raise ValueError(
                f"column {k} is {'missing' if now is None else repr(now.name)}, but {run} was trained on {names}: give "
                "these columns in this order"
            )
        if before.categories != now.categories:
            kinds = [
                "numbers" if known is None else ", ".join(known)[:_SHOWN]
                for known in (now.categories, before.categories)
            ]
            raise ValueError(
                f"column {now.name!r} has {kinds[0]}, but {run} was trained on {kinds[1]}: give the same, or leave it "
                "out of both"
            )
