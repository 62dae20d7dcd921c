"""Muon: momentum whose every step is an orthogonal matrix, for the weight matrices of hidden layers."""
# O output units, I inputs of each (of a convolution: input channels times kernel)

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Jordan et al. 2024: steep at 0, so that few steps bring all singular values near 1
_QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized: every direction of a weight matrix is moved equally far (Jordan et al. 2024).

    Before each step a matrix is brought to Frobenius norm sqrt(O), so that a learning rate means the same for all
    layers and for a whole training; what follows must not depend on its scale, as batch normalization does not. A
    kernel counts as the matrix [O, I]. One buffer per weight: half of Adam's state.

    From the airbench94_muon speed run: 3 Newton-Schulz steps, momentum 0.6. Raises ValueError for a parameter that is
    no matrix.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, *, momentum: float = 0.6, steps: int = 3):
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.ndim < 2:
                raise ValueError(
                    f"a weight of shape {tuple(parameter.shape)} is not a matrix: give it to another optimizer"
                )
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "steps": steps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Update every weight that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)

    def _move(self, weight: nn.Parameter, gradient: Tensor, group: dict) -> None:
        state, wide = self.state[weight], torch.promote_types(weight.dtype, torch.float32)
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight, dtype=wide)
        momentum = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        ahead = torch.add(gradient, momentum, alpha=group["momentum"])
        weight.mul_(len(weight) ** 0.5 / weight.norm())
        moved, lr = orthogonalized(ahead.flatten(1), group["steps"]).view_as(weight), group["lr"]
        if isinstance(lr, Tensor):  # on the device, where a graph reads it
            weight.sub_(moved * lr)
        else:
            weight.add_(moved, alpha=-lr)


def orthogonalized(matrix: Float[Tensor, "O I"], steps: int) -> Float[Tensor, "O I"]:
    """Return a matrix with the same singular vectors and singular values near 1, by `steps` Newton-Schulz iterations.

    In bf16, which is exact enough: values between 0.7 and 1.2 work as well as 1.
    """
    a, b, c = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)
