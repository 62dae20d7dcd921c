"""Operations on activities that several slots use: means over maps, cells and groups, views, rows on disk."""

from onward.parts.ops.activity import map_mean, widen
from onward.parts.ops.batch_norm import has_batch_norm
from onward.parts.ops.cells import cell_means, spread_over_cells
from onward.parts.ops.class_groups import (
    UnevenGroups,
    check_groups,
    group_length,
    group_mean,
    group_mean_square,
    group_norm,
)
from onward.parts.ops.feature_maps import as_map, outputs_feature_maps
from onward.parts.ops.one_hot import one_hot
from onward.parts.ops.rows import Rows
from onward.parts.ops.views import by_view, sign_of

__all__ = [
    "Rows",
    "UnevenGroups",
    "as_map",
    "by_view",
    "cell_means",
    "check_groups",
    "group_length",
    "group_mean",
    "group_mean_square",
    "group_norm",
    "has_batch_norm",
    "map_mean",
    "one_hot",
    "outputs_feature_maps",
    "sign_of",
    "spread_over_cells",
    "widen",
]
