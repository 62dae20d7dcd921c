"""Supervision: how images and labels become the input and the target of the blocks."""

from onward.core.renamed import former_names
from onward.parts.supervision.label_beside import LabelBeside, LabelNumber, with_label_beside
from onward.parts.supervision.label_pattern import LabelPattern
from onward.parts.supervision.labels import (
    LabeledViews,
    LabelInInput,
    LabelInLoss,
    check_wrong_labels,
    draw_wrong_labels,
    signed_target,
)
from onward.parts.supervision.other_images import Blurs, HybridImages, SelfContrast, another, blurred_mask

__all__ = [
    "Blurs",
    "HybridImages",
    "LabelBeside",
    "LabelInInput",
    "LabelInLoss",
    "LabelNumber",
    "LabelPattern",
    "LabeledViews",
    "SelfContrast",
    "another",
    "blurred_mask",
    "check_wrong_labels",
    "draw_wrong_labels",
    "signed_target",
    "with_label_beside",
]

__getattr__ = former_names(__name__, LabelledViews="LabeledViews")
