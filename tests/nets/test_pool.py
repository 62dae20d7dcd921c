"""The lean max pool: torch's values and gradients bit for bit, and a byte per window for the gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onward.measure import SavedBytes
from onward.nets.pool import MaxPool

_FORMATS = [torch.contiguous_format, torch.channels_last]


def _run(pool: nn.Module, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    out = pool(leaf)
    out.backward(gradient)
    assert leaf.grad is not None
    return out.detach(), leaf.grad


@pytest.mark.parametrize("memory_format", _FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("side", [(20, 20), (21, 19), (16, 130)])
@pytest.mark.parametrize(("window", "ceil"), [(2, True), (2, False), ((1, 2), False), (3, True)])
def test_it_is_torchs_bit_for_bit(monkeypatch, window, ceil, side, dtype, memory_format):
    monkeypatch.setattr("onward.nets.pool.rows_at_once", lambda batch: 3)  # pieces of which the last one is smaller
    x = torch.randn(8, 16, *side).relu_().to(dtype).contiguous(memory_format=memory_format)  # with ties at zero
    torchs = nn.MaxPool2d(window, ceil_mode=ceil)
    gradient = torch.randn_like(torchs(x))
    expected, found = _run(torchs, x, gradient), _run(MaxPool(window, ceil_mode=ceil), x, gradient)
    assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(expected, found, strict=True))


def test_a_spread_gradient_is_read_as_it_is():
    x = torch.randn(8, 16, 16, 16).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(8, 16, 1, 1).expand(8, 16, 8, 8)
    expected, found = _run(nn.MaxPool2d(2), x, gradient), _run(MaxPool(2), x, gradient)
    assert torch.equal(expected[1], found[1])


def test_its_graph_keeps_a_byte_per_window_and_no_map():
    x = torch.randn(8, 16, 20, 20, requires_grad=True) * 1
    with SavedBytes() as meter:
        out = MaxPool(2)(x)
        assert meter.alive == out.numel()


@pytest.mark.parametrize("memory_format", _FORMATS)
def test_without_a_graph_it_is_torchs_too_in_pieces(monkeypatch, memory_format):
    monkeypatch.setattr("onward.nets.pool.rows_at_once", lambda batch: 3)
    x = torch.randn(8, 16, 21, 19).contiguous(memory_format=memory_format)
    expected, found = nn.MaxPool2d(2, ceil_mode=True)(x), MaxPool(2, ceil_mode=True)(x)
    assert torch.equal(expected, found) and expected.stride() == found.stride()


def test_a_map_whose_windows_span_more_than_a_byte_tells_is_pooled_by_torch():
    x = torch.randn(2, 4, 12, 400)
    torchs, lean = nn.MaxPool2d(2), MaxPool(2)
    gradient = torch.randn_like(torchs(x))
    assert torch.equal(_run(torchs, x, gradient)[1], _run(lean, x, gradient)[1])


def test_a_rectifier_behind_a_pool_is_one_in_front_of_it():
    """Networks rectify what was pooled, which is smaller: values and gradients are those of the other order."""
    x = torch.randn(8, 16, 20, 20)
    behind, before = nn.Sequential(MaxPool(2), nn.ReLU(inplace=True)), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    gradient = torch.randn(8, 16, 10, 10)
    assert all(torch.equal(a, b) for a, b in zip(_run(behind, x, gradient), _run(before, x, gradient), strict=True))


@pytest.mark.parametrize("trained", [True, False])
def test_an_exported_pool_takes_batches_of_any_size(trained: bool):
    maps = torch.randn(2, 8, 16, 16, requires_grad=trained)  # a batch of 9 has more numbers than are small
    program = torch.export.export(MaxPool(2), (maps,), dynamic_shapes=({0: torch.export.Dim("batch", max=2**20)},))
    more = torch.randn(20, 8, 16, 16)
    assert torch.equal(program.module()(more), F.max_pool2d(more, 2))
