"""Feature maps: whether a body's activity has spatial axes, and its view as a map."""
# B batch, D features, H W map, T time

from jaxtyping import Float
from torch import Tensor, nn

_HAS_POSITIONS = {"vector": False, "map": True, "windows": True, "volume": True}


def outputs_feature_maps(body: nn.Module) -> bool:
    """Return whether a body's activity has spatial axes: maps [B, D, H, W], windows [B, D, T], volumes.

    It depends on `body.activity_layout`, which an Architecture declares or measures, and which may be set by hand.
    Raises ValueError for a body without one.
    """
    layout = getattr(body, "activity_layout", None)
    if layout not in _HAS_POSITIONS:
        raise ValueError(
            f"the layout of what a body ({type(body).__name__}) gives is {layout}: let an Architecture build the "
            f"network, which measures it, or set body.activity_layout to one of {', '.join(_HAS_POSITIONS)}, features "
            "first"
        )
    return _HAS_POSITIONS[layout]


def as_map(activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D H W"]:
    """Return a view of an activity as a map: a vector becomes one pixel, a window one row, a volume rows of planes."""
    if activity.ndim == 2:
        return activity[:, :, None, None]
    return activity.unsqueeze(2) if activity.ndim == 3 else activity.flatten(3) if activity.ndim > 4 else activity
