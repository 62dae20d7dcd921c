"""A convolution and its max pool in parts of the batch: the layers' values bit for bit, their gradients up to sums."""

import pytest
import torch
from torch import Tensor, nn

from onward.measure import SavedBytes
from onward.nets import Airbench, CaFoCNN
from onward.nets.pool import MaxPool
from onward.nets.pooled_convolution import PooledConvolution

_FORMATS = [torch.contiguous_format, torch.channels_last]
_CONVOLUTIONS = {
    "plain": {"padding": 1, "bias": False},
    "bias": {},
    "grouped": {"padding": 2, "groups": 4},
    "strided": {"stride": (2, 1), "padding": (0, 3), "dilation": (1, 2)},
}


def _layers(**geometry) -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Conv2d(8, 12, 3, **geometry), MaxPool(2, ceil_mode=True), nn.GELU()]


def _run(layers: nn.Module, x: Tensor, *, bf16: bool = False) -> tuple[Tensor, list[Tensor]]:
    layers.zero_grad()
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        out = layers(leaf)
    out.backward(torch.linspace(-1, 1, out.numel()).view(out.shape).to(out.dtype))
    gradients = [leaf.grad, *(weight.grad.clone() for weight in layers.parameters() if weight.grad is not None)]
    return out.detach(), [gradient for gradient in gradients if gradient is not None]


@pytest.fixture
def parts(monkeypatch):
    """Parts of three images, of which the last one of eight images is smaller."""
    monkeypatch.setattr("onward.nets.pooled_convolution.rows_at_once", lambda batch, numbers: 3)


@pytest.mark.parametrize("memory_format", _FORMATS)
@pytest.mark.parametrize("geometry", _CONVOLUTIONS.values(), ids=_CONVOLUTIONS.keys())
def test_values_are_the_layers_bit_for_bit_and_gradients_up_to_the_order_of_sums(parts, geometry, memory_format):
    x = torch.randn(8, 8, 21, 19).double().contiguous(memory_format=memory_format)
    layers = [layer.double() for layer in _layers(**geometry)]
    (expected, wanted), (found, own) = _run(nn.Sequential(*layers), x), _run(PooledConvolution(*layers), x)
    assert torch.equal(found, expected) and found.stride() == expected.stride()
    assert len(own) == len(wanted) == 2 + (layers[0].bias is not None)
    for a, b in zip(own, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("memory_format", _FORMATS)
def test_a_batch_of_one_part_has_the_layers_gradients_bit_for_bit(memory_format):
    x = torch.randn(8, 8, 21, 19).contiguous(memory_format=memory_format)
    layers = _layers(padding=1)
    (_, wanted), (_, own) = _run(nn.Sequential(*layers), x), _run(PooledConvolution(*layers), x)
    assert all(map(torch.equal, own, wanted))


def test_parts_are_added_up_in_fp32_where_the_layers_compute_in_bf16(parts):
    x = torch.randn(8, 8, 21, 19).contiguous(memory_format=torch.channels_last)
    layers = _layers(padding=1)
    (expected, wanted), (found, own) = (
        _run(kind(*layers), x, bf16=True) for kind in (nn.Sequential, PooledConvolution)
    )
    assert found.dtype == torch.bfloat16 and torch.equal(found, expected)
    for a, b in zip(own, wanted, strict=True):
        assert a.dtype == b.dtype and (a - b).norm() < 0.01 * b.norm()


def test_its_graph_keeps_the_input_and_a_byte_for_each_window(parts):
    layers = _layers(padding=1)[:2]
    x = torch.randn(8, 8, 20, 20, requires_grad=True) * 1
    with SavedBytes(layers[0].parameters()) as meter:
        out = PooledConvolution(*layers)(x)
        assert meter.alive == 4 * x.numel() + out.numel()


def test_the_map_in_front_of_the_pool_never_exists_as_a_whole(parts, monkeypatch):
    sizes, convolution = [], torch.conv2d
    monkeypatch.setattr(torch, "conv2d", lambda x, *args: sizes.append(len(x)) or convolution(x, *args))
    PooledConvolution(*_layers(padding=1))(torch.randn(8, 8, 20, 20))
    assert sizes == [3, 3, 2]


class _Doubling(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


def test_a_layer_that_is_more_than_torchs_convolution_is_called():
    x, (conv, pool, *_) = torch.randn(8, 8, 20, 20), _layers(padding=1)
    doubling = _Doubling(8, 12, 3, padding=1)
    assert torch.equal(PooledConvolution(doubling, pool)(x), pool(doubling(x)))
    seen = []
    conv.register_forward_hook(lambda *_: seen.append("convolution"))
    PooledConvolution(conv, pool)(x)
    pool.register_forward_pre_hook(lambda *_: seen.append("pool"))
    PooledConvolution(conv, pool)(x)
    assert seen == ["convolution", "convolution", "pool"]


def test_names_of_weights_are_those_of_a_sequence():
    assert _layers_names(nn.Sequential) == _layers_names(PooledConvolution)


def _layers_names(kind: type[nn.Sequential]) -> list[str]:
    return list(kind(*_layers()).state_dict())


@pytest.mark.parametrize("net", [Airbench(width=8), CaFoCNN(width=8)], ids=str)
def test_networks_whose_bodies_pool_use_it(net):
    bodies = net((3, 16, 16), 10).bodies
    assert any(isinstance(body, PooledConvolution) for body in bodies)
