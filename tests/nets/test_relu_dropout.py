"""ReLU and dropout in one: the values and gradients of both apart, and nothing kept but the result."""

import pytest
import torch
from torch import Tensor, nn

from onward.measure import SavedBytes
from onward.nets.dropout import Dropout
from onward.nets.relu_dropout import ReluDropout

_FORMATS = [torch.contiguous_format, torch.channels_last]


def _run(layer: nn.Module, start: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    leaf = start.clone().requires_grad_()
    torch.manual_seed(5)
    out = layer(leaf * 1)  # in place on something that is no leaf
    out.backward(gradient)
    assert leaf.grad is not None
    return out.detach(), leaf.grad


@pytest.mark.parametrize("memory_format", _FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_it_is_relu_and_dropout_bit_for_bit(p: float, dtype: torch.dtype, memory_format: torch.memory_format):
    start = torch.randn(6, 5, 7, 7, dtype=dtype).contiguous(memory_format=memory_format)
    gradient = torch.randn_like(start)
    apart = _run(nn.Sequential(nn.ReLU(), Dropout(p)), start, gradient)
    together = _run(ReluDropout(p), start, gradient)
    assert all(torch.equal(a, b) for a, b in zip(apart, together, strict=True))
    assert together[0].is_contiguous(memory_format=memory_format)
    assert 0.1 * together[0].numel() < int((together[0] > 0).sum()) < 0.6 * together[0].numel()


def test_it_keeps_its_result_alone():
    x = torch.randn(8, 4, 6, 6, requires_grad=True) * 1
    with SavedBytes() as meter:
        out = ReluDropout(0.2)(x)
        assert meter.alive == out.nbytes
    assert out.data_ptr() == x.data_ptr()


def test_nothing_is_dropped_in_evaluation():
    x = torch.randn(5, 6)
    assert torch.equal(ReluDropout(0.9).eval()(x.clone()), x.relu())


def test_a_result_changed_in_place_is_noticed():
    out = ReluDropout(0.2)(torch.randn(8, 4, requires_grad=True) * 1)
    out.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        out.sum().backward()
