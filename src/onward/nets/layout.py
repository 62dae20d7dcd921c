"""Layouts: which axis of an activity holds its features, and what the other axes are."""
# B batch, D features, H W map, T tokens or time

from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.nets.feature_axis import feature_axis
from onward.nets.recorded_pass import Call

Layout = Literal["vector", "map", "map_last", "tokens", "windows", "time_first", "volume", "volume_last", "frames"]
"""vector [B, D], map [B, D, H, W], map_last [B, H, W, D], tokens [B, T, D], windows [B, D, T], time_first [T, B, D],
volume [B, D, X, Y, Z], volume_last [B, X, Y, Z, D], frames [B, T, D, H, W]."""

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
AXES: dict[Layout, str] = {
    "vector": "BD",
    "map": "BDHW",
    "map_last": "BHWD",
    "tokens": "BTD",
    "windows": "BDT",
    "time_first": "TBD",
    "volume": "BDXYZ",
    "volume_last": "BXYZD",
    "frames": "BTDHW",
}
"""The axes of each layout: B batch, D features, the others positions."""
_FIRST_OR_LAST: dict[int, tuple[Layout, Layout]] = {
    3: ("windows", "tokens"),
    4: ("map", "map_last"),
    5: ("volume", "volume_last"),
}
"""By number of axes, the layouts whose features are on axis 1, and on the last one."""


def channels_first(activity: Float[Tensor, "..."], layout: Layout) -> Float[Tensor, "B D ..."]:
    """Return an activity as [B, D], [B, D, T], [B, D, H, W] or [B, D, ...]: batch first, then features; a view."""
    if layout == "time_first":
        return activity.permute(1, 2, 0)
    axis = AXES[layout].index("D")
    return activity if axis == 1 else activity.movedim(axis, 1)


def features_of(shape: torch.Size | tuple[int, ...], layout: Layout) -> int:
    """Return the number of features of an activity of this shape."""
    return shape[AXES[layout].index("D")]


def check_layout(layout: str, shape: tuple[int, ...], what: str) -> Layout:
    """Return a declared layout. Raises ValueError for an unknown one, or one of another rank."""
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r} for {what}; known are {', '.join(LAYOUTS)}")
    if len(shape) != len(AXES[layout]):
        raise ValueError(f"{what} gives {list(shape)}, which has not the {len(AXES[layout])} axes of layout {layout}")
    return layout


def other_axis(layout: Layout) -> Layout:
    """Return the layout of as many axes whose features are on the other one, the last or axis 1; itself if none is."""
    for first, last in _FIRST_OR_LAST.values():
        if layout in (first, last):
            return last if layout == first else first
    return layout


def infer_layout(shape: tuple[int, ...], rows: int, calls: list[Call], what: str, node: Any = None) -> Layout:
    """Return the layout of an activity from its shape and from the calls up to it, the last one last.

    `node` is its own node of the autograd graph, by default that of the last call's output.

    The axis of the features is that of the last module with weights: axis 1 of a convolution, the last axis of a linear
    layer. Where that does not decide, as with channels = height = width, the axis is followed through the autograd
    graph. Raises ValueError if the batch is not the first axis, no layout fits, or several do.
    """
    if len(shape) == 3 and shape[0] != rows and shape[1] == rows:
        return "time_first"
    if shape and rows and shape[0] != rows and shape[0] % rows == 0:
        raise ValueError(
            f"{what} gives {list(shape)} for a batch of {rows}: parts of a row, such as frames, are separate "
            "rows there; cut where each row is one again, see onward.cuts(model, example)"
        )
    if not shape or shape[0] != rows:
        raise ValueError(
            f"{what} gives {list(shape)} for a batch of {rows}: its first axis is not the batch; cut elsewhere, or "
            "turn inputs whose first axis is time by feed=lambda model, x: model(x.transpose(0, 1))"
        )
    if len(shape) == 2:
        return "vector"
    if len(shape) not in _FIRST_OR_LAST:
        raise ValueError(f"{what} gives {list(shape)}; an activity has 2 to 5 axes: cut elsewhere")
    if len(shape) == 5 and _axis(shape, calls, node) == 2:
        return "frames"
    first, last = _FIRST_OR_LAST[len(shape)]
    on_last = _features_last(shape, calls, node)
    if on_last is None:
        raise ValueError(
            f"{what} gives {list(shape)}, in which {first} and {last} look alike: give its layout, "
            f"layouts={{{what.rpartition(' ')[2]!r}: '{first}'}} or '{last}'"
        )
    return last if on_last else first


def _features_last(shape: tuple[int, ...], calls: list[Call], node: Any) -> bool | None:
    """Return whether features are on the last axis, and not on axis 1; None where nothing decides."""
    for call in reversed(calls):
        made = _made(call.module)
        if made is None:
            continue
        size, last = made
        if size == shape[-1 if last else 1] and shape[1] != shape[-1]:
            return last
        if size in (shape[1], shape[-1]):
            axis = _followed(shape, calls, node)
            if axis is not None:
                return axis
            if shape[1] != shape[-1]:
                return size == shape[-1]
            if not isinstance(call.module, nn.modules.batchnorm._NormBase):
                return last  # both axes are equally long: the kind of layer decides; batch norm follows either
        elif _joined(call.activity.shape, shape, len(shape) - 1 if last else 1):
            return last
    axis = _followed(shape, calls, node)
    if axis is None and shape[1] == shape[-1] and len(shape) > 3:
        return None
    return len(shape) == 3 if axis is None else axis  # no layer decides: most sequence models return [B, T, D]


def _followed(shape: tuple[int, ...], calls: list[Call], node: Any) -> bool | None:
    """Return the same by the autograd graph; None if it does not decide, or for an axis between the two."""
    axis = _axis(shape, calls, node)
    return axis == len(shape) - 1 if axis in (1, len(shape) - 1) else None


def _axis(shape: tuple[int, ...], calls: list[Call], node: Any) -> int | None:
    """Return the axis of features by the autograd graph; None if none is found there."""
    if node is None and calls and calls[-1].nodes:
        node = calls[-1].nodes[0]
    return None if node is None else feature_axis(node, len(shape))


def _joined(made: tuple[int, ...], shape: tuple[int, ...], features: int) -> bool:
    """Whether an activity differs from a layer's output in the axis of features alone: it was concatenated."""
    return len(made) == len(shape) and [a for a in range(len(shape)) if made[a] != shape[a]] == [features]


def _made(module: nn.Module) -> tuple[int, bool] | None:
    """Return a module's number of output features, and whether they are on the last axis; None if it keeps those of
    its input."""
    if isinstance(module, nn.Linear):
        return module.out_features, True
    if isinstance(module, nn.RNNBase):
        return (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1), True
    if isinstance(module, nn.MultiheadAttention):
        return module.embed_dim, True
    if isinstance(module, nn.Embedding):
        return module.embedding_dim, True
    if isinstance(module, nn.LayerNorm):
        return int(module.normalized_shape[-1]), True
    channels: Any = getattr(module, "out_channels", None)
    if isinstance(module, nn.modules.conv._ConvNd) and isinstance(channels, int):
        return channels, False
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return module.num_features, False
    return None
