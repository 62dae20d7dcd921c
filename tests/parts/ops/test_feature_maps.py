"""Whether an activity has a map."""

from torch import nn

from onward.nets import MLP, TinyCNN, VGG8b
from onward.parts.ops.feature_maps import outputs_feature_maps


def test_bodies_with_maps_are_told_from_those_without():
    assert all(outputs_feature_maps(body) for body in TinyCNN(width=4)((1, 8, 8), 4).bodies)
    assert not any(outputs_feature_maps(body) for body in MLP(width=4)((1, 8, 8), 4).bodies)
    assert [outputs_feature_maps(body) for body in VGG8b(width=4)((1, 16, 16), 4).bodies] == [True] * 6 + [False]
    assert not outputs_feature_maps(nn.ReLU())
