"""Reading: the view of an activity that goodness and auxiliary read, for every layout."""
# B batch, D features, H W map, T tokens

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from onward.nets.layout import Layout, channels_first
from onward.parts.ops.activity import widen
from onward.parts.ops.feature_maps import as_map


@dataclass(frozen=True)
class Reading:
    """Turns an activity into a vector [B, D] or a map [B, D, H, W], or a row for each of its positions [B T, D]."""

    layout: Layout
    per_token: bool
    """Whether there is a label for each position."""
    is_output: bool = False
    """Whether it reads the model's own output, whose positions are those of the labels, or each one of several."""

    def shape(self, activity: tuple[int, ...]) -> tuple[int, ...]:
        """Return what is seen of an activity of this shape, without the rows: (D,) or (D, H, W)."""
        example = channels_first(torch.empty(activity, device="meta"), self.layout)
        if self.per_token or example.ndim == 2 or self.layout in ("tokens", "time_first"):
            return (example.shape[1],)
        return tuple(as_map(example).shape[1:])

    def __call__(
        self, activity: Float[Tensor, "..."], mask: Bool[Tensor, "B T"] | None, positions: tuple[int, ...] | None
    ) -> Float[Tensor, "..."]:
        """Return what parts see, in fp32 or wider. Tokens are averaged, those that the mask leaves out do not count.

        `positions` are the axes of the label behind the batch: a map of another size is brought to theirs.
        Raises ValueError for a sequence of another length than its labels, and for an output whose positions they
        do not divide.
        """
        seen = channels_first(widen(activity), self.layout)
        if self.per_token:
            return self._rows(seen, positions or ())
        if seen.ndim == 2:
            return seen
        if self.layout not in ("tokens", "time_first"):
            return as_map(seen)
        if mask is None or mask.shape != (seen.shape[0], seen.shape[2]):
            return seen.mean(dim=2)
        kept = mask.to(seen)[:, None]
        return (seen * kept).sum(dim=2) / kept.sum(dim=2).clamp_min(1)

    def _rows(self, seen: Tensor, positions: tuple[int, ...]) -> Tensor:
        if tuple(seen.shape[2:]) != positions:
            if seen.ndim - 2 != len(positions) or self.layout in ("tokens", "time_first", "vector"):
                raise ValueError(
                    f"an activity has the positions {list(seen.shape[2:])}, its labels have "
                    f"{list(positions)}: give one label for each, -100 where none counts"
                )
            if self.is_output and not _covers(positions, tuple(seen.shape[2:])):
                raise ValueError(
                    f"labels have the positions {list(positions)}, the model's output {list(seen.shape[2:])}: give one "
                    "label for each, or as many for each along every axis (an output of a quarter of the labels' size)"
                )
            seen = F.interpolate(seen, size=positions, mode="nearest")
        return seen.flatten(2).transpose(1, 2).flatten(0, 1)


def _covers(labels: tuple[int, ...], output: tuple[int, ...]) -> bool:
    """Return whether each position of an output stands for the same number of labels along every axis.

    The last one may stand for fewer or for more, as behind a convolution of stride 8 over 513 pixels.
    """
    times = {times for times in (labels[0] // output[0], -(-labels[0] // output[0])) if times}
    return any(
        all(size in (label // factor, -(-label // factor)) for label, size in zip(labels, output, strict=True))
        for factor in times
    )
