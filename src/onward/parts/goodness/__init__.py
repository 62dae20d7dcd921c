"""Goodness: scores of each class, or of a view, from a block's activity."""

from onward.core.renamed import former_names
from onward.parts.goodness.anchors import LearnedAnchors, RunningAnchors, direction
from onward.parts.goodness.class_squares import ClassLength, ClassMeanSquare
from onward.parts.goodness.class_tree import Levels, levels_of, tree_of
from onward.parts.goodness.least_squares import LeastSquares
from onward.parts.goodness.linear import (
    LinearHead,
    Standardized,
    grid_within,
    largest_grid,
    pooled_linear,
    projection,
)
from onward.parts.goodness.means import ClassMean, MeanSquare
from onward.parts.goodness.spatial import SpatialGoodness, encode_cells, grid_for
from onward.parts.goodness.superclasses import MergedClasses, Superclasses, even_superclasses

__all__ = [
    "ClassLength",
    "ClassMean",
    "ClassMeanSquare",
    "LearnedAnchors",
    "LeastSquares",
    "Levels",
    "LinearHead",
    "MeanSquare",
    "MergedClasses",
    "RunningAnchors",
    "SpatialGoodness",
    "Standardized",
    "Superclasses",
    "direction",
    "encode_cells",
    "even_superclasses",
    "grid_for",
    "grid_within",
    "largest_grid",
    "levels_of",
    "tree_of",
]

__getattr__ = former_names(
    __name__,
    calls={
        "PooledLinear": ("LinearHead(..., zero=True)", pooled_linear),
        "Projection": ("LinearHead(..., cells=grid_within(body, channels, features), bias=False)", projection),
    },
    Standardised="Standardized",
)
