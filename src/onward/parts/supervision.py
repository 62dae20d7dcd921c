"""Supervision: how the label reaches the blocks."""
# B batch, C classes, V views (real, then contrastive)

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Stream, Supervision, Target


@dataclass(frozen=True)
class LabelInLoss(Supervision):
    """The image enters as it is; the label is told to every objective."""

    signed: ClassVar[bool] = False

    def train_view(
        self, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], generator: torch.Generator
    ) -> tuple[Stream, Target]:
        return (x,), Target(label=y)

    def test_views(self, x: Float[Tensor, "B ..."]) -> list[Stream]:
        return [(x,)]

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (x,)


@dataclass(frozen=True)
class LabelInInput(Supervision):
    """The label is written over the first `num_classes` values of the image, one-hot (Hinton 2022).

    The contrastive view of a training image carries one wrong label, drawn uniformly. A neutral view carries
    1 / num_classes in every label value. Real views come first in the batch, contrastive ones after them.
    """

    signed: ClassVar[bool] = True

    num_classes: int

    def train_view(
        self, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], generator: torch.Generator
    ) -> tuple[Stream, Target]:
        shift = torch.randint(1, self.num_classes, y.shape, generator=generator, device=y.device)
        wrong = (y + shift) % self.num_classes
        views = torch.cat([self.write(x, y), self.write(x, wrong)])
        sign = torch.cat([torch.ones_like(y), -torch.ones_like(y)])
        return (views,), Target(label=torch.cat([y, wrong]), sign=sign, views=2)

    def test_views(self, x: Float[Tensor, "B ..."]) -> list[Stream]:
        labels = torch.arange(self.num_classes, device=x.device)
        return [(self.write(x, label.expand(len(x))),) for label in labels]

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (self._overwrite(x, torch.full((len(x), self.num_classes), 1 / self.num_classes, device=x.device)),)

    def write(self, x: Float[Tensor, "B ..."], labels: Int64[Tensor, "B"]) -> Float[Tensor, "B ..."]:
        """Return a copy of the images that carry these labels."""
        return self._overwrite(x, torch.nn.functional.one_hot(labels, self.num_classes))

    def _overwrite(self, x: Float[Tensor, "B ..."], values: Tensor) -> Float[Tensor, "B ..."]:
        flat = x.flatten(1)
        if flat.shape[1] < self.num_classes:
            raise ValueError(f"images of {flat.shape[1]} values cannot carry a label of {self.num_classes} values")
        return torch.cat([values.to(flat.dtype), flat[:, self.num_classes :]], dim=1).view(x.shape)
