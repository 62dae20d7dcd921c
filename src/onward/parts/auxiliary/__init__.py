"""Auxiliary losses: terms of a block's loss that read its activity directly."""

from onward.core.renamed import former_names
from onward.parts.auxiliary.contrastive import HIGH, SupervisedContrastive, contrast, grid_of, pooled_class_norm
from onward.parts.auxiliary.peer_norm import OverTimes, PeerNormalization
from onward.parts.auxiliary.similarity import SimilarityMatching, map_deviation, similarities

__all__ = [
    "HIGH",
    "OverTimes",
    "PeerNormalization",
    "SimilarityMatching",
    "SupervisedContrastive",
    "contrast",
    "grid_of",
    "map_deviation",
    "pooled_class_norm",
    "similarities",
]

__getattr__ = former_names(__name__, PeerNormalisation="PeerNormalization")
