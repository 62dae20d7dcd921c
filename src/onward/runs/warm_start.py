"""A warm start: a training that begins from the weights of a finished run, on other data or for longer."""

from pathlib import Path

import torch

from onward.core import Learner
from onward.runs.model import load_model


def warm_start(learner: Learner, run: Path) -> str:
    """Give a learner the weights of a finished run wherever they fit; return in words how many blocks that were.

    Heads of other classes stay as they were drawn, and so does what prepares the inputs. Raises ValueError for a run
    whose network is another one.
    """
    other, spec = load_model(run)
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
            f"{lacking[0] if lacking else 0} does not fit this one for {list(form or ())}: name the "
            "same network, sizes and channels"
        )
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)
    heads = len([name for name in own if name.startswith("blocks.")]) - len(fitting)
    fresh = f", {heads} tensors of its heads with new weights" if heads else ""
    return f"weights of {len(bodies)} blocks from {run}{fresh}"
