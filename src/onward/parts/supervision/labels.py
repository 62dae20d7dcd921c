"""Supervision: how the label reaches the blocks."""
# B batch, C classes, K wrong labels of an image, N views of all images (real, then contrastive)

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Count, Label, Stream, Supervision, Target
from onward.parts.ops.one_hot import one_hot


@dataclass(frozen=True)
class LabelInLoss(Supervision):
    """The input enters unchanged; every objective gets the label."""

    signed: ClassVar[bool] = False
    mixes_images: ClassVar[bool] = False

    def train_view(self, x: Tensor, y: Label, generator: torch.Generator) -> tuple[Stream, Target]:
        return (x,), Target(label=y, made={})

    def test_views(self, x: Tensor) -> list[Stream]:
        return [(x,)]

    def neutral_view(self, x: Tensor) -> Stream:
        return (x,)


@dataclass(frozen=True)
class LabeledViews(Supervision):
    """Every view of an image carries a label: real views come first in the batch, then contrastive ones.

    Each contrastive view of a training image carries a different wrong label, drawn uniformly.
    Raises ValueError if there are not that many wrong labels.
    """

    signed: ClassVar[bool] = True
    mixes_images: ClassVar[bool] = False

    num_classes: Count
    wrong_labels: Count = 1
    """Contrastive views of each image, all with different labels."""

    def __post_init__(self):
        super().__post_init__()
        check_wrong_labels(self.wrong_labels, self.num_classes)

    @abstractmethod
    def write(self, x: Float[Tensor, "B ..."], labels: Int64[Tensor, "B"]) -> Float[Tensor, "B ..."]:
        """Return a copy of the images that carry these labels."""

    def train_view(
        self, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], generator: torch.Generator
    ) -> tuple[Stream, Target]:
        labels = torch.cat([y, draw_wrong_labels(y, self.num_classes, self.wrong_labels, generator).flatten()])
        views = torch.cat([self.write(x, part) for part in labels.split(len(y))])
        return (views,), signed_target(labels, self.wrong_labels + 1)

    def test_views(self, x: Float[Tensor, "B ..."]) -> Iterator[Stream]:
        batch = x.shape[0]  # not len(x), which an exported program would fix
        for label in torch.arange(self.num_classes, device=x.device):  # one at a time, to save memory
            yield (self.write(x, label.expand(batch)),)


@dataclass(frozen=True)
class LabelInInput(LabeledViews):
    """The label is written over the first `num_classes` values of the image, one-hot (Hinton 2022).

    A neutral view carries 1 / num_classes in every label value. Raises ValueError if there are not that many wrong
    labels, and for images of fewer values than classes.
    """

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (self._overwrite(x, torch.full((x.shape[0], self.num_classes), 1 / self.num_classes, device=x.device)),)

    def write(self, x: Float[Tensor, "B ..."], labels: Int64[Tensor, "B"]) -> Float[Tensor, "B ..."]:
        return self._overwrite(x, one_hot(labels, self.num_classes, x.dtype))

    def _overwrite(self, x: Float[Tensor, "B ..."], values: Tensor) -> Float[Tensor, "B ..."]:
        flat = x.flatten(1)
        if flat.shape[1] < self.num_classes:
            raise ValueError(
                f"images of {flat.shape[1]} values cannot carry a label of {self.num_classes} values: bring them to a "
                "larger size (--data.size), or take a method that leaves the input alone, such as DeeperForward"
            )
        return torch.cat([values.to(flat.dtype), flat[:, self.num_classes :]], dim=1).view(x.shape)


def check_wrong_labels(wrong_labels: int, num_classes: int) -> None:
    """Raise ValueError unless that many wrong labels exist."""
    if not 1 <= wrong_labels < num_classes:
        raise ValueError(
            f"wrong_labels must be between 1 and {num_classes - 1} (one less than the classes), got {wrong_labels}"
        )


def draw_wrong_labels(
    y: Int64[Tensor, "B"], num_classes: int, count: int, generator: torch.Generator
) -> Int64[Tensor, "K B"]:
    """Return `count` different wrong labels of each image, drawn uniformly."""
    if count == 1:
        shift = torch.randint(1, num_classes, (1, len(y)), generator=generator, device=y.device)
    else:  # the order of random numbers is a uniform draw without replacement
        keys = torch.rand(num_classes - 1, len(y), generator=generator, device=y.device)
        shift = 1 + keys.topk(count, dim=0).indices
    return (y + shift) % num_classes


def signed_target(labels: Int64[Tensor, "N"], views: int) -> Target:
    """Return the target of `views` views, of which the first is real."""
    sign = -torch.ones_like(labels)
    sign[: len(labels) // views].fill_(1)
    return Target(label=labels, sign=sign, views=views)
