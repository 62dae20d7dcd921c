"""Preparation: from images to the network's input."""

import pytest
import torch

from onward.parts.prepare import Standardize


def test_each_channel_is_standardized_by_its_own_numbers():
    images = torch.rand(3, 2, 4, 5)
    prepared = Standardize((2, 4, 5), (0.4, 0.1), (0.2, 0.5))(images)
    for k, (mean, deviation) in enumerate([(0.4, 0.2), (0.1, 0.5)]):
        torch.testing.assert_close(prepared[:, k], (images[:, k] - mean) / deviation)


def test_uint8_images_are_brought_to_the_unit_interval_first():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    prepared = Standardize((1, 1, 1), (0.0,), (1.0,))(images)
    torch.testing.assert_close(prepared.flatten(), torch.tensor([0.0, 0.2, 1.0]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_other_kinds_of_numbers_are_refused(dtype: torch.dtype):
    with pytest.raises(ValueError, match=f"uint8 or floats .* got {dtype}"):
        Standardize((1, 2, 2), (0.0,), (1.0,))(torch.ones(1, 1, 2, 2, dtype=dtype))


def test_its_numbers_are_saved_with_the_network():
    assert set(Standardize((1, 2, 2), (0.5,), (0.3,)).state_dict()) == {"mean", "deviation"}
