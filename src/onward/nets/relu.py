"""ReLU as bodies of networks end with it."""

from jaxtyping import Float
from torch import Tensor, nn

from onward.core import rectify_


class InPlaceReLU(nn.ReLU):
    """ReLU in place of its input, with torch's values and gradients, bit for bit.

    Means of squares and max pools behind it give a gradient that is zero at silent units, and `rectify_` lets them skip
    its own: the backward pass holds one map less.
    """

    def __init__(self):
        super().__init__(inplace=True)

    def forward(self, input: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return rectify_(input)
