"""Dropout: the right share, the right scale, the same gradient, in every memory format."""

import pytest
import torch

from onward.nets.dropout import Dropout

_FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("memory_format", _FORMATS)
@pytest.mark.parametrize("p", [0.1, 0.2, 0.5])
def test_units_are_dropped_with_probability_p_and_the_others_scaled(p: float, memory_format: torch.memory_format):
    x = torch.ones(40, 5, 30, 30).contiguous(memory_format=memory_format)
    y = Dropout(p)(x)
    dropped = y == 0
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(float(dropped.float().mean()) - p) < 4 * deviation
    assert torch.allclose(y[~dropped], torch.tensor(1 / (1 - p)))
    assert y.is_contiguous(memory_format=memory_format)


def test_units_are_dropped_independently():
    dropped = (Dropout(0.3)(torch.ones(400_000)) == 0).float() - 0.3
    for lag in (1, 2, 3, 4, 8):
        assert abs(float((dropped[lag:] * dropped[:-lag]).mean())) < 4 * 0.21 / 400_000**0.5


@pytest.mark.parametrize("memory_format", _FORMATS)
def test_the_gradient_passes_where_the_unit_passed(memory_format: torch.memory_format):
    x = torch.rand(3, 4, 5, 6).add(1).contiguous(memory_format=memory_format).requires_grad_()
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, y.detach() / x.detach())


@pytest.mark.parametrize("shape", [(7, 3), (5, 1, 3, 3), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_any_size_and_precision(shape: tuple[int, ...], dtype: torch.dtype):
    y = Dropout(0.5)(torch.ones(shape, dtype=dtype))
    assert y.dtype == dtype and set(y.flatten().tolist()) <= {0.0, 2.0}


def test_draws_come_from_the_global_generator():
    x = torch.ones(1000)
    torch.manual_seed(3)
    first = Dropout(0.5)(x)
    assert not torch.equal(first, Dropout(0.5)(x))
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.5)(x))


def test_nothing_is_dropped_in_evaluation():
    x = torch.rand(5, 6)
    assert torch.equal(Dropout(0.9).eval()(x), x)
