"""Direct feedback alignment: every block receives the output error of the network through a fixed random map."""
# B batch, C classes, D channels or features, G cells on a side, H W map, N loss terms

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Auxiliary, Target, WrappedGoodness
from onward.parts.goodness.linear import LinearHead


class ErrorChannel:
    """Carries the error from the last block to the others, within one backward pass."""

    def __init__(self):
        self.error: Tensor | None = None

    def __getstate__(self) -> dict[str, None]:
        """The error is that of one step: copies have none."""
        return {"error": None}


class TopError(Auxiliary):
    """The cross-entropy of a linear read-out of the last activity; its error is put into the error channel.

    The last block learns from its true gradient, as in direct feedback alignment (Nøkland 2016).
    """

    def __init__(self, num_classes: int, channels: int, wire: ErrorChannel, *, cells: tuple[int, int] = (1, 1)):
        super().__init__()
        self.read = LinearHead(num_classes, channels, cells=cells)
        nn.init.kaiming_uniform_(self.read.linear.weight, a=5**0.5)
        self.wire = wire

    def forward(self, activity: Float[Tensor, "B D ..."], target: Target) -> Float[Tensor, "N"]:
        scores = _Emit.apply(self.read(activity), self.wire)
        return F.cross_entropy(scores, target.label, reduction="none")


class DirectFeedback(nn.Module):
    """The end of a body: passes the activity on; its gradient is the channel's error through a fixed random map.

    Gradients from the blocks above are dropped. The random map has `grid` x `grid` cells per class and channel, each
    repeated over its part of the activity's map, as the size of that is not known when a network is built; its entries
    are normal, with length 1 per class. Activities without a map have one cell.
    """

    feedback: Tensor

    def __init__(self, num_classes: int, channels: int, wire: ErrorChannel, *, grid: int = 1):
        super().__init__()
        drawn = torch.randn(num_classes, channels, grid, grid)
        self.register_buffer("feedback", drawn / drawn.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        self.wire = wire

    def exact(self) -> nn.Module:
        """Return a module with the true gradient: for controls."""
        return nn.Identity()

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D ..."]:
        return _Inject.apply(activity, self.feedback, self.wire)


class Detached(WrappedGoodness):
    """Another goodness, whose gradient does not reach the body."""

    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B *C"]:
        return self.goodness(activity.detach())

    def reduced(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return self.goodness.reduced(activity)


class _Emit(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores: Tensor, wire: ErrorChannel) -> Tensor:
        ctx.wire = wire
        return scores.view_as(scores)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.wire.error = gradient
        return gradient, None


class _Inject(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activity: Tensor, feedback: Tensor, wire: ErrorChannel) -> Tensor:
        ctx.save_for_backward(feedback)
        ctx.wire, ctx.shape = wire, activity.shape
        ctx.dtype = activity.dtype
        return activity.view_as(activity)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (feedback,) = ctx.saved_tensors
        error = ctx.wire.error
        if error is None:
            raise ValueError("the last block, whose error trains all others, is missing: train the whole network")
        sent = (error.to(feedback.dtype) @ feedback.flatten(1)).view(-1, *feedback.shape[1:])
        if len(ctx.shape) > 2:
            rows = 1 if len(ctx.shape) == 3 else ctx.shape[2]
            sent = F.interpolate(sent, (rows, ctx.shape[2:].numel() // rows))
        return sent.reshape(ctx.shape).to(ctx.dtype), None, None
