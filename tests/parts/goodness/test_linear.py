"""The pooled read-out against a loop, the size of its grid, and the weighted objective beside it."""

import pytest
import torch

from onward.core import Target
from onward.parts.goodness.least_squares import LeastSquares
from onward.parts.goodness.linear import LinearHead, Standardized, largest_grid
from onward.parts.objective.class_scores import CrossEntropy, Threshold
from onward.parts.objective.weighted import Weighted


def _filled(num_classes: int, channels: int, cells: tuple[int, int]) -> LinearHead:
    torch.manual_seed(0)
    goodness = LinearHead(num_classes, channels, cells=cells).double()
    torch.nn.init.normal_(goodness.linear.weight)
    return goodness


@pytest.mark.parametrize(("cells", "size"), [((2, 2), (4, 6)), ((1, 2), (4, 6)), ((2, 4), (8, 8)), ((1, 1), (5, 3))])
def test_a_linear_head_equals_a_loop(cells: tuple[int, int], size: tuple[int, int]):
    goodness = _filled(3, 5, cells)
    activity = torch.randn(2, 5, *size, dtype=torch.float64)
    bias = goodness.linear.bias.tolist()
    high, wide = size[0] // cells[0], size[1] // cells[1]
    expected = torch.empty(2, 3, dtype=torch.float64)
    for b in range(2):
        features = []
        for d in range(5):
            for i in range(cells[0]):
                for j in range(cells[1]):
                    cell = activity[b, d, i * high : (i + 1) * high, j * wide : (j + 1) * wide].flatten().tolist()
                    features.append(sum(cell) / len(cell))
        for c in range(3):
            row = goodness.linear.weight[c].tolist()
            expected[b, c] = sum(w * f for w, f in zip(row, features, strict=True)) + bias[c]
    torch.testing.assert_close(goodness(activity).detach(), expected)


def test_features_without_a_map_are_read_as_they_are():
    goodness = _filled(3, 5, (1, 1))
    activity = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(goodness(activity), activity @ goodness.linear.weight.T + goodness.linear.bias)
    torch.testing.assert_close(goodness(activity[:, :, None, None]), goodness(activity))


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (4, 2), (8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_reduced_activity_has_the_same_scores(cells: tuple[int, int], dtype: torch.dtype):
    for read_out in (LinearHead(3, 5, cells=cells), LeastSquares(3, 5, cells=cells)):
        activity = torch.randn(4, 5, 6, 7).to(dtype).contiguous(memory_format=torch.channels_last)
        reduced = read_out.reduced(activity)
        read_out.update_statistics(activity, Target(torch.arange(4) % 3))
        assert reduced.numel() == 4 * 5 * min(cells[0] * cells[1], 6 * 7)
        assert torch.equal(read_out(reduced.contiguous()), read_out(activity))


def test_a_linear_head_has_the_right_gradient():
    goodness = _filled(3, 4, (2, 2))
    activity = torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(goodness, (activity,))


def test_where_something_is_in_the_map_can_be_told():
    goodness = _filled(2, 1, (2, 2))
    corner, other = torch.zeros(2, 1, 1, 4, 4, dtype=torch.float64)
    corner[0, 0, 0, 0] = other[0, 0, 3, 3] = 1
    assert not torch.allclose(goodness(corner), goodness(other))


def test_a_read_out_that_begins_at_zero_knows_nothing():
    scores = LinearHead(3, 5, cells=(2, 2), zero=True)(torch.rand(4, 5, 8, 8))
    assert torch.equal(scores, scores[:1].expand(4, 3))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 7)])
def test_any_map_fits_any_grid(size: tuple[int, int]):
    assert LinearHead(3, 5, cells=(4, 4))(torch.rand(2, 5, *size)).isfinite().all()


def test_bf16_maps_give_fp32_scores():
    goodness = _filled(3, 5, (2, 2)).float()
    activity = torch.rand(2, 5, 8, 8).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = goodness(activity.bfloat16())
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, goodness(activity), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("channels", "features", "grid"),
    [
        (128, 2048, (4, 4)),
        (256, 2048, (2, 4)),
        (512, 2048, (2, 2)),
        (128, 1024, (2, 4)),
        (512, 1024, (1, 2)),
        (512, 4096, (2, 4)),
        (8, 2048, (8, 8)),
        (512, 512, (1, 1)),
        (512, 100, (1, 1)),
    ],
)
def test_the_grid_is_the_largest_that_fits(channels: int, features: int, grid: tuple[int, int]):
    """The first six are those of the released code on maps of 32 x 32 (and 28 x 28) pixels."""
    assert largest_grid(channels, features) == grid


def test_a_weight_multiplies_every_term_and_keeps_what_the_objective_needs():
    scores, target = torch.randn(4, 3, dtype=torch.float64), Target(torch.tensor([0, 1, 2, 1]))
    weighted = Weighted(CrossEntropy(0.1), 0.25)
    torch.testing.assert_close(weighted(scores, target), 0.25 * CrossEntropy(0.1)(scores, target))
    assert (weighted.per_class, weighted.signed) == (True, False)
    signed = Weighted(Threshold(), 2.0)
    assert (signed.per_class, signed.signed) == (False, True)
    assert weighted == Weighted(CrossEntropy(0.1), 0.25) != Weighted(CrossEntropy(0.1), 0.5)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4, 2)])
def test_standardized_reads_channels_at_mean_0_and_variance_1_over_all_batches(shape: tuple[int, ...]):
    batches = 7 + 3 * torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    read_out = Standardized(_filled(2, 3, (1, 1)).float(), 3)
    nobody = Target(torch.zeros(5, dtype=torch.long))
    for batch in batches:
        read_out.update_statistics(batch, nobody)
    normal = torch.empty_like(batches[0])
    for channel in range(3):
        values = batches[:, :, channel].flatten()
        normal[:, channel] = (batches[0][:, channel] - values.mean()) / values.std(correction=0)
    torch.testing.assert_close(read_out(batches[0]), read_out.read_out(normal), rtol=1e-3, atol=1e-4)


def test_before_its_first_batch_standardized_changes_nothing():
    read_out, x = Standardized(_filled(2, 3, (1, 1)).float(), 3), torch.randn(4, 3)
    torch.testing.assert_close(read_out(x), read_out.read_out(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 4)])
def test_drawn_weights_have_a_gradient_for_activity_and_matrix_from_the_first_step(shape: tuple[int, ...]):
    goodness = LinearHead(2, 3, cells=(2, 2) if len(shape) == 4 else (1, 1), bias=False).double()
    assert torch.autograd.gradcheck(goodness, torch.rand(shape, dtype=torch.float64).requires_grad_())
    activity = torch.rand(shape, dtype=torch.float64).requires_grad_()
    goodness(activity)[:, 0].sum().backward()
    assert activity.grad is not None and activity.grad.any()
    assert goodness.linear.weight.grad is not None and goodness.linear.weight.grad[0].any()
    assert list(dict(goodness.named_parameters())) == ["linear.weight"]


def test_a_read_out_of_nothing_is_refused():
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        largest_grid(8, 0)
