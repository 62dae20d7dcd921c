"""Locally connected layers against loops over places, and the sizes of the networks."""

import pytest
import torch
from torch import Tensor

from onward.nets import LocalFields, TopographicMaps
from onward.nets.locally_connected import LocallyConnected


def _by_hand(layer: LocallyConnected, x: Tensor) -> Tensor:
    """Loop over images, units and places; what lies outside the map is zero."""
    channels, height, width = layer.shape
    outputs, rows, columns = layer.out_shape
    found = torch.zeros(len(x), outputs, rows, columns, dtype=x.dtype)
    weight = layer.weight.reshape(rows, columns, channels, *layer.field, outputs)
    for b in range(len(x)):
        for o in range(outputs):
            for r in range(rows):
                for c in range(columns):
                    total = layer.bias[o, r * columns + c].clone()
                    for i in range(channels):
                        for u in range(layer.field[0]):
                            for v in range(layer.field[1]):
                                y, z = r * layer.stride + u - layer.padding, c * layer.stride + v - layer.padding
                                if 0 <= y < height and 0 <= z < width:
                                    total = total + weight[r, c, i, u, v, o] * x[b, i, y, z]
                    found[b, o, r, c] = total
    return found.flatten(1)


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((2, 5, 6), {"field": 2}),
        ((1, 7, 7), {"field": 3, "stride": 2}),
        ((2, 4, 5), {"field": 3, "pad": True}),
        ((1, 2, 3), {"field": 5}),
    ],
)
def test_a_layer_equals_a_loop(shape: tuple[int, int, int], how: dict):
    layer, x = LocallyConnected(shape, 3, **how).double(), torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), _by_hand(layer, x))
        torch.testing.assert_close(layer(x.flatten(1)), layer(x))  # as the layer below hands it on


def test_its_gradients_are_right():
    layer = LocallyConnected((1, 4, 4), 2, field=3, pad=True).double()
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, layer.weight, layer.bias))


def test_hintons_sizes():
    net = LocalFields()((1, 28, 28), 10)
    assert [body[0].out_shape for body in net.bodies] == [(128, 4, 4), (220, 3, 3), (512, 2, 2)]  # pyright: ignore
    assert list(net.widths) == [2048, 1980, 2048]
    assert sum(p.numel() for body in net.bodies for p in body.parameters()) == 3_026_876
    net = TopographicMaps()((3, 32, 32), 10)
    assert list(net.widths) == [3072, 3072]
    assert sum(p.numel() for body in net.bodies for p in body.parameters()) == 2_236_416


def test_every_place_has_weights_of_its_own():
    """A pixel that moves with its field does not give the same activity."""
    layer = LocallyConnected((1, 6, 6), 4, field=3, stride=3)
    images = torch.zeros(2, 1, 6, 6)
    images[0, 0, 1, 1] = images[1, 0, 4, 4] = 1
    with torch.no_grad():
        seen = (layer(images) - layer(torch.zeros(1, 1, 6, 6))).unflatten(1, (4, 2, 2))
    assert seen[0, :, 0, 0].abs().min() > 0 and seen[0, :, 1, 1].abs().max() == 0
    assert not torch.allclose(seen[0, :, 0, 0], seen[1, :, 1, 1])


def test_a_field_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="field must be odd, so that it has a middle, got 4"):
        TopographicMaps(field=4)
