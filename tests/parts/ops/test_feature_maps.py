"""Whether an activity has places, and how it is seen as a map."""

import pytest
import torch
from torch import nn

from onward.nets import MLP, TinyCNN, VGG8b
from onward.parts.ops.feature_maps import as_map, outputs_feature_maps


def test_bodies_with_maps_are_told_from_those_without():
    assert all(outputs_feature_maps(body) for body in TinyCNN(width=4)((1, 8, 8), 4).bodies)
    assert not any(outputs_feature_maps(body) for body in MLP(width=4)((1, 8, 8), 4).bodies)
    assert [outputs_feature_maps(body) for body in VGG8b(width=4)((1, 16, 16), 4).bodies] == [True] * 6 + [False]
    with pytest.raises(ValueError, match="layout of what a body"):
        outputs_feature_maps(nn.ReLU())


@pytest.mark.parametrize(
    ("shape", "seen"), [((2, 3), (1, 1)), ((2, 3, 5), (1, 5)), ((2, 3, 5, 4), (5, 4)), ((2, 3, 5, 4, 6), (5, 24))]
)
def test_every_activity_is_seen_as_a_map(shape: tuple[int, ...], seen: tuple[int, int]):
    activity = torch.rand(shape)
    found = as_map(activity)
    assert found.shape[2:] == seen and found.data_ptr() == activity.data_ptr()
