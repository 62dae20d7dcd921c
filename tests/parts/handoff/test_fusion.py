"""Fusion: features travel beside the input and the skip connections, and one linear block reads them."""

import pytest
import torch
from torch import Tensor, nn

from onward.core import Target
from onward.nets import Architecture, ResNet17, TinyCNN
from onward.parts.goodness.linear import LinearHead
from onward.parts.handoff.fusion import Gather, fusion_block, gather_from
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.objective.class_scores import CrossEntropy


class _Swap(nn.Module):
    """A join that hands on its skip connection, and the input as the next one."""

    def forward(self, x: Tensor, skip: Tensor) -> tuple[Tensor, ...]:
        return (skip, x)


def _maps(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def test_features_travel_behind_the_input_and_before_the_skips():
    x, features, skip = _maps(2, 3, 4, 5), _maps(2, 7), _maps(2, 3, 4, 5)
    out, gathered, kept = Gather(_Swap())(x, features, skip)
    assert out is skip and kept is x
    means = [[float(x[b, c].sum()) / 20 for c in range(3)] for b in range(2)]
    torch.testing.assert_close(gathered, torch.cat([features, torch.tensor(means, dtype=torch.float64)], dim=1))


def test_the_first_block_starts_the_features_and_the_last_hands_on_nothing_else():
    x, features, skip = _maps(2, 3), _maps(2, 7), _maps(2, 3)
    assert Gather(_Swap(), first=True)(x, skip) == (skip, x, x)
    (alone,) = Gather(_Swap(), last=True)(x, features, skip)
    assert torch.equal(alone, torch.cat([features, x], dim=1))
    (only,) = Gather(_Swap(), first=True, last=True)(x, skip)
    assert only is x


def test_features_are_wide_and_hand_their_gradient_on():
    x = torch.rand(2, 3, 4, 4).bfloat16().requires_grad_()
    (features,) = Gather(_Swap(), first=True, last=True)(x)
    features.sum().backward()
    assert features.dtype == torch.float32
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full_like(x, 1 / 16))


@pytest.mark.parametrize("start", [0, 1, 2])
@pytest.mark.parametrize("architecture", [TinyCNN(width=4, dropout=0.0), ResNet17(width=3, dropout=0.0)])
def test_the_features_are_those_of_a_loop_over_the_network(architecture: Architecture, start: int):
    net = architecture((3, 16, 16), 10)
    x = torch.rand(2, 3, 16, 16)
    stream, gathered, features = (x,), (x,), []
    with torch.no_grad():
        joins = gather_from(net.joins, start)
        for k, (body, pool) in enumerate(zip(net.bodies, net.pools, strict=True)):
            activity = body(stream[0])
            stream = Handoff(UnitLength(), net.joins[k], pool)(activity, *stream[1:])
            gathered = Handoff(UnitLength(), joins[k], pool)(body(gathered[0]), *gathered[1:])
            features += [UnitLength()(pool(activity)).mean(dim=(2, 3))] * (k >= start)
            if k < len(net.bodies) - 1:
                assert len(gathered) == len(stream) + (k >= start)
                assert torch.equal(gathered[0], stream[0])
    (found,) = gathered
    torch.testing.assert_close(found, torch.cat(features, dim=1))
    assert found.shape[1] == sum(net.widths[start:])


def test_the_block_is_a_sum_of_linear_maps_and_cross_entropy():
    block = fusion_block(5, [8, 4])
    assert isinstance(block.goodness, LinearHead) and block.objective == CrossEntropy()
    features, labels = torch.rand(3, 12), torch.tensor([4, 0, 2])
    activity, (handed_on,) = block(features)
    assert activity is features and handed_on is features
    weight = block.goodness.linear.weight.detach()
    scores = features[:, :8] @ weight[:, :8].T + features[:, 8:] @ weight[:, 8:].T
    torch.testing.assert_close(block.goodness(activity), scores)
    expected = -sum(float(scores[b].log_softmax(dim=0)[labels[b]]) for b in range(3)) / 3
    assert float(block.loss(activity, Target(labels)).detach()) == pytest.approx(expected, rel=1e-5)


def test_each_layers_map_starts_kaiming_normal_by_its_own_fan_in():
    goodness = fusion_block(200, [50, 200]).goodness
    assert isinstance(goodness, LinearHead)
    narrow, wide = goodness.linear.weight.detach().split([50, 200], dim=1)
    assert float(narrow.std()) == pytest.approx((2 / 50) ** 0.5, rel=0.03)
    assert float(wide.std()) == pytest.approx((2 / 200) ** 0.5, rel=0.03)
    assert not goodness.linear.bias.any()
