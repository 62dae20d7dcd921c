"""What kind of activity a body gives, and how it is seen as a map."""
# B batch, D features, H W map, T time

from jaxtyping import Float
from torch import Tensor, nn

_PLACES = {"vector": False, "map": True, "windows": True, "volume": True}


def outputs_feature_maps(body: nn.Module) -> bool:
    """Return whether the features of a body's activity have places: maps [B, D, H, W], windows [B, D, T], volumes.

    Its `activity_layout` tells: an Architecture declares or measures it, and a body of somebody's own may have one.
    Raises ValueError for a body without one.
    """
    layout = getattr(body, "activity_layout", None)
    if layout not in _PLACES:
        raise ValueError(
            f"the layout of what a body ({type(body).__name__}) gives is {layout}: let an Architecture build the "
            f"network, which finds it, or set body.activity_layout to one of {', '.join(_PLACES)}, features first"
        )
    return _PLACES[layout]


def as_map(activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D H W"]:
    """See an activity as a map, without a copy: a vector has one place, a window is a row, a volume rows of planes."""
    if activity.ndim == 2:
        return activity[:, :, None, None]
    return activity.unsqueeze(2) if activity.ndim == 3 else activity.flatten(3) if activity.ndim > 4 else activity
