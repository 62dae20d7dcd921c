"""Views: scores and signs of real and contrastive views, from a target."""
# B images, K contrastive views of an image, N views of all images (K + 1 of each)

from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Target


def by_view(scores: Float[Tensor, "N"], target: Target) -> tuple[Float[Tensor, "B"], Float[Tensor, "K B"]]:
    """Return the scores of the real views, and those of each image's contrastive ones.

    Raises ValueError for a target that has none.
    """
    if target.views < 2:
        raise ValueError(
            f"pairs of views need a contrastive view beside the real one, but the supervision gives {target.views}"
        )
    views = scores.unflatten(0, (target.views, -1))
    return views[0], views[1:]


def sign_of(target: Target) -> Int64[Tensor, "N"]:
    """Return +1 for real views and -1 for contrastive ones. Raises ValueError for a target without signs."""
    if target.sign is None:
        raise ValueError("real and contrastive views differ in their sign, but the supervision gives no sign")
    return target.sign
