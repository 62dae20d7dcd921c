"""Means over cells against adaptive average pooling, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from onward.parts.ops.cells import cell_means, spread_over_cells

MAPS = [
    ((8, 8), (4, 4)),
    ((15, 15), (8, 4)),
    ((13, 7), (4, 2)),
    ((3, 3), (4, 4)),
    ((5, 7), (1, 1)),
    ((1, 1), (2, 2)),
    ((4, 3), (4, 3)),
]


def _map(sides: tuple[int, int], dtype: torch.dtype, layout: torch.memory_format) -> torch.Tensor:
    values = torch.randn(6, 5, *sides, generator=torch.Generator().manual_seed(0)).to(dtype)
    return values.contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("sides", "grid"), MAPS)
def test_equal_to_adaptive_pooling_in_values_gradients_and_layout(sides, grid, layout):
    ours, theirs = (_map(sides, torch.float64, layout).requires_grad_() for _ in range(2))
    means, expected = cell_means(ours, grid), F.adaptive_avg_pool2d(theirs, grid)
    assert torch.equal(means, expected)
    weight = torch.randn(means.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    means.backward(weight)
    expected.backward(weight)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)
    assert ours.grad is not None and ours.grad.is_contiguous(memory_format=layout)


def test_a_map_of_the_size_of_the_grid_is_not_computed_again():
    x = _map((4, 3), torch.float32, torch.channels_last)
    assert cell_means(x, (4, 3)) is x
    assert cell_means(x, (3, 4)).shape[2:] == (3, 4)


def test_gradcheck():
    x = _map((5, 7), torch.float64, torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cell_means(x, (2, 3)), [x])


def test_bf16_gradients_are_those_of_fp32_rounded():
    narrow = _map((15, 15), torch.bfloat16, torch.channels_last).requires_grad_()
    wide = narrow.detach().float().requires_grad_()
    cell_means(narrow, (4, 4)).sum().backward()
    F.adaptive_avg_pool2d(wide, (4, 4)).sum().backward()
    assert narrow.grad is not None and wide.grad is not None
    torch.testing.assert_close(narrow.grad.float(), wide.grad, rtol=2**-7, atol=0)


@pytest.mark.parametrize(("sides", "grid"), [((8, 8), (4, 4)), ((15, 15), (8, 4))])
def test_times_is_a_factor_of_the_gradient(sides: tuple[int, int], grid: tuple[int, int]):
    gradient = torch.randn(3, 2, *grid)
    once, twice = (spread_over_cells(gradient, sides, dtype=torch.float32, channels_last=True, times=n) for n in (1, 2))
    assert torch.equal(2 * once, twice)
