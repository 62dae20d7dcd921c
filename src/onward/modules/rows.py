"""Which axis of what a model computes belongs to the rows of the batch: tried out with a row less."""
# B batch, D features, T time

from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from onward.modules.batch import Task
from onward.nets.recorded_pass import Feed, Pass, watch


def check_rows(model: nn.Module, inputs: Any, feed: Feed, seen: Pass, task: Task, outputs: int) -> None:
    """Raise ValueError for a model that scores the rows of a batch against each other: another batch, other classes."""
    if task != "classes" or outputs != seen.rows or outputs < 3:
        return
    fewer = _with_a_row_less(model, inputs, feed, seen)
    if fewer is not None and fewer.output.ndim == 2 and fewer.output.shape[1] != outputs:
        raise ValueError(
            f"the model gives {list(seen.output.shape)} for {seen.rows} rows and {list(fewer.output.shape)} for one "
            "less: it scores the rows of a batch against each other (a contrastive loss), so that there are no classes "
            "to learn; train each encoder on a task of its own"
        )


def time_is_first(model: nn.Module, inputs: Any, feed: Feed, seen: Pass, index: int) -> bool:
    """Whether a call gives [T, B, D], where T and B are the same in this batch.

    Raises ValueError where time may also be the first axis of the inputs, so that a row less is a step less.
    """
    call, fewer = seen.calls[index], _with_a_row_less(model, inputs, feed, seen)
    if fewer is None or len(fewer.calls) != len(seen.calls):
        return False
    first, second = fewer.calls[index].activity.shape[:2]
    if getattr(call.module, "batch_first", None) is False and second == seen.rows > first:
        raise ValueError(
            f"the cut {call.name} reads time along its first axis (batch_first=False), and the example has as many "
            f"rows as steps, {seen.rows}: give an example of another number of rows, or declare the layout, "
            f"layouts={{{call.name!r}: 'time_first'}}"
        )
    return first == seen.rows > second


def twice(inputs: Any) -> Any:
    """Return a batch of one row with that row twice: norms over a batch in training mode need two."""
    return tree_map_only(Tensor, lambda t: t.repeat_interleave(2, 0) if t.ndim and len(t) == 1 else t, inputs)


def _with_a_row_less(model: nn.Module, inputs: Any, feed: Feed, seen: Pass) -> Pass | None:
    """Return the pass of a batch without its last row; None where the model does not take it."""
    fewer = tree_map_only(Tensor, lambda t: t[:-1] if t.ndim and len(t) == seen.rows else t, inputs)
    try:
        return watch(model, fewer, feed)
    except (RuntimeError, ValueError, IndexError):
        return None
