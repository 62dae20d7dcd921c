"""Whitening: uncorrelated, of variance 1, and built from the patches themselves."""

import pytest
import torch

from onward.parts.whiten import Whiten, patch_covariance

MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def photographs(count: int = 40, side: int = 9) -> torch.Tensor:
    """Images whose neighbors and channels are correlated."""
    noise = torch.rand(count, 3, side + 2, side + 2, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1)
    mixed = torch.einsum("ck,bkhw->bchw", torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]]), smooth)
    return (mixed * 255).to(torch.uint8)


def test_covariance_is_the_mean_outer_product_of_all_patches():
    pixels, total, count = photographs(5, 4), torch.zeros(12, 12, dtype=torch.float64), 0
    mean, deviation = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(DEVIATION).view(3, 1, 1)
    for image in pixels:
        standard = (image / 255 - mean) / deviation
        for row in range(3):
            for column in range(3):
                patch = standard[:, row : row + 2, column : column + 2].reshape(-1).double()
                total, count = total + torch.outer(patch, patch), count + 1
    found = torch.tensor(patch_covariance(pixels, MEAN, DEVIATION, 2), dtype=torch.float64)
    torch.testing.assert_close(found, total / count)


def test_only_the_first_images_are_looked_at():
    pixels = photographs(8)
    assert patch_covariance(pixels, MEAN, DEVIATION, 2, images=5) == patch_covariance(pixels[:5], MEAN, DEVIATION, 2)


def test_whitened_patches_have_no_correlation_and_variance_one():
    pixels = photographs()
    whiten = Whiten(3, 2, patch_covariance(pixels, MEAN, DEVIATION, 2), floor=0.0)
    standard = (pixels / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
    handed_on = whiten(standard).movedim(1, -1).reshape(-1, 24)
    found = handed_on[:, :12].T @ handed_on[:, :12] / len(handed_on)
    torch.testing.assert_close(found, torch.eye(12), atol=1e-3, rtol=0)
    torch.testing.assert_close(handed_on[:, 12:], -handed_on[:, :12])


def test_a_floor_keeps_rare_directions_small():
    flat = [[1.0, 1.0, 1.0, 1.0]] * 4  # all pixels of a patch are equal: three directions never occur
    assert Whiten(1, 2, flat, floor=0.25).weight.abs().max() <= 2


def test_the_filters_are_not_trained_and_are_saved():
    whiten = Whiten(1, 2, torch.eye(4).tolist())
    assert not list(whiten.parameters())
    assert set(whiten.state_dict()) == {"weight"}


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="12x12, not 4x4"):
        Whiten(3, 2, torch.eye(4).tolist())
    with pytest.raises(ValueError, match="images of 9x9 pixels have no patches of 10x10"):
        patch_covariance(photographs(1), MEAN, DEVIATION, 10)
    with pytest.raises(ValueError, match="images of 9x4 pixels"):  # width x height, as everywhere
        patch_covariance(photographs(1)[:, :, :4], MEAN, DEVIATION, 10)


def test_whitening_is_exact_in_half_precision_arithmetic_too():
    pixels = photographs(4) / 255
    whiten = Whiten(3, 2, patch_covariance(photographs(), MEAN, DEVIATION, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = whiten(pixels)
    assert found.dtype == torch.float32 and torch.equal(found, whiten(pixels))
