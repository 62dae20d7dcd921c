"""Least squares in closed form: a linear read-out, solved from sums over all training batches."""
# B batch, C classes, D channels or features, F features that are read

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness, Target
from onward.parts.ops.activity import widen
from onward.parts.ops.feature_maps import as_map
from onward.parts.ops.one_hot import one_hot


class LeastSquares(Goodness):
    """One score per class: the linear map of least squared error + `ridge` times its squares, over all images so far.

    CaFo's predictor for squared error. No gradient trains it: each training batch adds to sums over images, of the
    features' products with each other and with the one-hot labels, so that memory does not grow with the data. The map
    is solved at the first evaluation after training; in training, scores are those of the last solution, at first zero.
    Features are the activity, its maps averaged in a grid of `cells`, and a constant without a ridge: the solution is
    that of a ridge regression with intercept. CaFo has neither ridge nor intercept.

    The sums are part of the state, so that the training of a saved learner can continue. Every pass over the data has
    the same weight. Raises ValueError for a ridge that is not positive.
    """

    per_class: ClassVar[bool] = True
    products: Tensor
    answers: Tensor
    solution: Tensor

    def __init__(self, num_classes: int, channels: int, *, cells: tuple[int, int] = (1, 1), ridge: float = 1.0):
        super().__init__()
        if not 0 < ridge < float("inf"):
            raise ValueError(f"ridge must be a finite number > 0, got {ridge}: without it the map may not be unique")
        self.cells = cells
        self.ridge = ridge
        size = channels * cells[0] * cells[1] + 1
        self.register_buffer("products", torch.zeros(size, size))
        self.register_buffer("answers", torch.zeros(size, num_classes))
        self.register_buffer("solution", torch.zeros(size, num_classes), persistent=False)
        self._stale = True
        self.register_load_state_dict_post_hook(_forget)

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        with torch.autocast(activity.device.type, enabled=False):
            if self._stale and not self.training:
                self._solve()
            return self._features(activity.detach()) @ self.solution

    @torch.no_grad()
    def update_statistics(self, activity: Float[Tensor, "B D ..."], target: Target) -> None:
        if not self.training:
            return
        with torch.autocast(activity.device.type, enabled=False):
            features = self._features(activity)
            labels = target.of_label(one_hot, self.answers.shape[1], features.dtype)
            self.products.addmm_(features.T, features)
            self.answers.addmm_(features.T, labels)

    def reduced(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D ..."]:
        """Return the means over cells, whose own means over cells they are, unless the map has fewer pixels."""
        in_cells = self._in_cells(activity)
        return in_cells if in_cells.numel() < activity.numel() else activity

    def train(self, mode: bool = True) -> "LeastSquares":
        """Make the next evaluation solve again: noted here, as a CUDA graph may repeat a step without Python."""
        self._stale = self._stale or mode
        return super().train(mode)

    def _in_cells(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D ..."]:
        return F.adaptive_avg_pool2d(as_map(activity), self.cells) if activity.ndim > 2 else activity

    def _features(self, activity: Tensor) -> Float[Tensor, "B F"]:
        features = widen(self._in_cells(activity)).flatten(1).to(self.products.dtype)
        return F.pad(features, (0, 1), value=1.0)

    @torch.no_grad()
    def _solve(self) -> None:
        products = self.products.double()
        penalty = torch.full_like(products[0], self.ridge)
        penalty[-1] = (products[-1, -1] == 0).double()  # no ridge for the constant, once there was an image
        solution = torch.linalg.solve(products + penalty.diag(), self.answers.double())
        self.solution.copy_(solution)
        self._stale = False


def _forget(module: nn.Module, _: object) -> None:
    assert isinstance(module, LeastSquares)
    module._stale = True
