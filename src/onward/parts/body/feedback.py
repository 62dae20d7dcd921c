"""Random feedback: the gradient of a layer's input passes fixed random weights (Lillicrap et al. 2016)."""
# B batch, I inputs, O outputs

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core.autocast import apply_in_autocast


class RandomFeedback(nn.Module):
    """A linear or convolutional layer whose input gets its gradient through a fixed random weight.

    Forward pass and weight gradient are the layer's own. The random weight has the shape of the layer's weight and its
    initial standard deviation; it is drawn from torch's global generator, saved, and never trained. The backward pass
    does not use the forward weight. Distance-Forward's DF-R, a reconstruction: delta_l = (B delta_l+1) * relu'(a_l).
    Raises ValueError for a layer that pads with anything but a fixed number of zeros.
    """

    feedback: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d):
        super().__init__()
        if isinstance(layer, nn.Conv2d) and (layer.padding_mode != "zeros" or isinstance(layer.padding, str)):
            raise ValueError(f"random feedback needs padding by a number of zeros, got {layer}")
        self.layer = layer
        weight = layer.weight.detach()
        self.register_buffer("feedback", torch.randn_like(weight) * weight.std())

    def exact(self) -> nn.Module:
        """Return the layer itself, with the true gradient: for controls."""
        return self.layer

    def forward(self, x: Float[Tensor, "B I ..."]) -> Float[Tensor, "B O ..."]:
        layer = self.layer
        weights = [layer.weight, layer.bias, self.feedback]
        if isinstance(layer, nn.Linear):
            return apply_in_autocast(_Linear, x, weights)
        geometry = layer.stride, layer.padding, layer.dilation, layer.groups
        return apply_in_autocast(_Conv2d, x, weights, *geometry)


def with_random_feedback(body: nn.Module) -> nn.Module:
    """Give every linear and convolutional layer of a body random feedback, in place."""
    if isinstance(body, nn.Linear | nn.Conv2d):
        return RandomFeedback(body)
    for name, child in body.named_children():
        setattr(body, name, with_random_feedback(child))
    return body


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        ctx.save_for_backward(x, feedback)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, feedback = ctx.saved_tensors
        to_x, to_weight, to_bias, _ = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            gradient @ feedback if to_x else None,
            rows.T @ x.flatten(0, -2) if to_weight else None,
            rows.sum(dim=0) if to_bias else None,
            None,
        )


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor, *geometry) -> Tensor:
        ctx.save_for_backward(x, feedback)
        ctx.geometry = geometry
        return F.conv2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, feedback = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        # The gradients of weight and bias do not depend on the weight: only its shape is used.
        gradients = torch.ops.aten.convolution_backward(
            gradient, x, feedback, [len(feedback)], stride, padding, dilation, False, [0, 0], groups,
            list(ctx.needs_input_grad[:3]),
        )  # fmt: skip
        return (*gradients, None, *[None] * len(ctx.geometry))
