"""ASGE, Adaptive Spatial Goodness Encoding (Gong, Staszewski, Xu; ICASSP 2026): energy on a grid, a fixed random map.

Goodness: mean square of each channel in the cells of a grid, taken to class scores by a random map that is never
trained. Objective: softmax cross-entropy. Handoff: pool, then each sample divided by its root mean square. One pass; no
negative data. A last block, trained beside the others, classifies what they hand on (fusion).

Built from the released code. Differs from it: fusion reads features before dropout; the last epoch's weights count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import InferenceRule, Learner, LocalBlock, Range, Whole, each
from onward.nets.net import Net
from onward.parts.body.frozen import frozen
from onward.parts.goodness.spatial import SpatialGoodness, grid_for
from onward.parts.handoff.fusion import fusion_block, gather_from
from onward.parts.handoff.norms import Handoff, UnitInput, UnitLength
from onward.parts.inference.scores import BestBlock, HeadGoodness, LastGoodness, SumGoodness
from onward.parts.inference.views import Shift, from_views
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class ASGE(Algorithm):
    """Spatial energy read by a fixed random map, cross-entropy per block, linear fusion (Gong et al. 2026)."""

    standardize: ClassVar[bool] = False  # the input's energy is brought to one; its mean stays

    alpha: Annotated[float, Range(0, 4)] = 1.0
    """Exponent of the grid: layers with fewer channels get a finer grid; 0: one cell everywhere."""
    map_scale: Literal["classes", "features"] = "classes"
    """Divisor of the random map's variance: the classes, as released, or the entries that it adds up."""
    trainable_map: bool = False
    """Control: train the map with its block."""
    power: Literal[1, 2] = 2
    """Control: 1 reads the activity instead of its square."""
    random_features: bool = False
    """Control: keep every layer's initial weights and train fusion alone."""
    fuse_from: Whole = 1
    """First layer that fusion reads."""
    mirrored: bool = False
    """Whether a class is read from an image and its mirror image together."""
    shifted: Shift = 0
    """Pixels by which an image is moved along its diagonals, a class being read from all five; 0: the image alone."""
    predict: Literal["fusion", "best", "last", "sum"] = "fusion"
    """Rule that predicts: fusion, the best block on validation images, the last one, or the sum of fused blocks."""

    @property
    def passes_gradients(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether gradients of later blocks could reach earlier ones."""
        return not self.random_features

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError if no layer is left to fuse."""
        if self.fuse_from >= len(net.bodies):
            raise ValueError(f"fuse_from {self.fuse_from} leaves no layer to fuse of a network with {len(net.bodies)}")
        joins = gather_from(net.joins, self.fuse_from)
        bodies = [frozen(body) if self.random_features else body for body in net.bodies]
        blocks = [
            LocalBlock(
                body if k else nn.Sequential(UnitInput(), body),
                goodness=self._goodness(num_classes, width, grid_for(width, net.widths[-1], self.alpha)),
                objective=CrossEntropy(),
                handoff=Handoff(UnitLength(), join, pool),
            )
            for k, (body, join, width, pool) in enumerate(zip(bodies, joins, net.widths, net.pools, strict=True))
        ]
        blocks.append(fusion_block(num_classes, net.widths[self.fuse_from :]))
        spans = each(len(blocks))[-1 if self.random_features else 0 :]
        return Learner(blocks, supervision=LabelInLoss(), spans=spans, rules=self._rules())

    def _rules(self) -> Mapping[str, InferenceRule]:
        rules = {"fusion": HeadGoodness(), "best": BestBlock(), "last": LastGoodness()}
        rules = {**rules, "sum": SumGoodness(self.fuse_from)}
        return from_views(rules, mirrored=self.mirrored, shifted=self.shifted, predict=self.predict)

    def _goodness(self, num_classes: int, width: int, grid: int) -> SpatialGoodness:
        deviation = (num_classes if self.map_scale == "classes" else width * grid**2) ** -0.5
        return SpatialGoodness(
            num_classes, width, grid, deviation=deviation, trainable=self.trainable_map, power=self.power
        )
