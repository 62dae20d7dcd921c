"""DeeperForward (Sun et al., ICLR 2025): every block classifies by the mean activity of its class groups.

Goodness: mean activity of each class's channels (eq. 7 to 9), read before normalization. Objective: softmax
cross-entropy (eq. 13). Handoff: normalization within the same groups, which removes exactly the goodness, then the
residual (eq. 10 and 11). One pass; no negative data. The input is normalized per sample. Goodness and normalizer can be
replaced by the squared ones of table 4.

Differs from the paper: a last, partial batch is dropped, and a map of odd size is padded before it is pooled.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Learner, LocalBlock, Positive, each
from onward.core.renamed import renamed_fields
from onward.nets.net import Net
from onward.parts.goodness.class_squares import ClassLength, ClassMeanSquare
from onward.parts.goodness.means import ClassMean
from onward.parts.handoff.norms import ClassNorm, Handoff, SampleNorm
from onward.parts.inference.scores import BestRange, LastGoodness, SumGoodness
from onward.parts.inference.views import Shift, from_views
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

_GOODNESS = {"mean": ClassMean, "mean_square": ClassMeanSquare}
_NORMALIZER = {"variance": ClassNorm, "length": ClassLength}


@renamed_fields(normaliser="normalizer")
@dataclass(frozen=True)
class DeeperForward(Algorithm):
    """Class-group mean goodness, cross-entropy per block, class-group normalization (Sun et al. 2025)."""

    goodness: Literal["mean", "mean_square"] = "mean"
    """Score of a class group's activity; mean_square is the ablation of table 4."""
    normalizer: Literal["variance", "length"] = "variance"
    """Normalization of each class group: to mean 0 and variance 1, or root mean square 1, the ablation of table 4."""
    temperature: Positive = 1.0
    """Divisor of goodness in the cross-entropy; 1 as in the paper. With muon, which keeps weights at one norm, goodness
    is too small for 1."""
    mirrored: bool = False
    """Whether a class is read from an image and its mirror image together."""
    shifted: Shift = 0
    """Pixels by which an image is moved along its diagonals, a class being read from all five; 0: the image alone."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError if a width is not a multiple of `num_classes`."""
        goodness, normalize = _GOODNESS[self.goodness], _NORMALIZER[self.normalizer]
        blocks = [
            LocalBlock(
                body if k else nn.Sequential(SampleNorm(), body),
                goodness=goodness(num_classes, width),
                objective=CrossEntropy(temperature=self.temperature),
                handoff=Handoff(normalize(num_classes, width), join, pool),
            )
            for k, (body, join, width, pool) in enumerate(zip(*net, strict=True))
        ]
        rules = {"best_range": BestRange(), "all_blocks": SumGoodness(), "last_block": LastGoodness()}
        return Learner(
            blocks,
            supervision=LabelInLoss(),
            spans=each(len(blocks)),
            rules=from_views(rules, mirrored=self.mirrored, shifted=self.shifted),
        )
