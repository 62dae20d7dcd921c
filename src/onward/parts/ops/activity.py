"""Reading an activity: its precision, and its maps."""
# B batch, D channels or features

from jaxtyping import Float
from torch import Tensor


def widen(activity: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Convert half precision to fp32; fp32 and fp64 are unchanged."""
    return activity.float() if activity.dtype.itemsize < 4 else activity


def map_mean(activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D"]:
    """Average each channel's map; features without a map are unchanged."""
    return activity.mean(dim=tuple(range(2, activity.ndim))) if activity.ndim > 2 else activity
