"""Quantization: grids, rounding, strength zero, and bits that are refused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import onward.hardware
from onward.hardware import (
    Noise,
    QuantizedActivities,
    QuantizedInputs,
    QuantizedMemory,
    QuantizedUpdates,
    QuantizedWeights,
    low_precision,
)
from onward.hardware.chip import label

KINDS = (QuantizedWeights, QuantizedActivities, QuantizedInputs, QuantizedUpdates, QuantizedMemory)
bits_allowed = st.integers(2, 16)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _values(seed: int = 0, *shape: int) -> Tensor:
    return torch.randn(shape or (6, 50), generator=_generator(seed), dtype=torch.float64)


def _nearest_by_loop(values: list[float], bits: int) -> list[float]:
    levels = 2 ** (bits - 1) - 1
    step = max(abs(value) for value in values) / levels
    grid = [level * step for level in range(-levels, levels + 1)]
    return [min(grid, key=lambda point, value=value: abs(point - value)) for value in values]


@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_weights_go_to_the_nearest_point_of_a_symmetric_grid(bits: int):
    w = _values(1, 40)
    torch.testing.assert_close(
        QuantizedWeights(bits)(w, _generator()), torch.tensor(_nearest_by_loop(w.tolist(), bits)).double()
    )


def test_each_output_channel_may_have_its_own_step():
    w = _values(1, 3, 7) * torch.tensor([[1.0], [10.0], [0.1]])
    expected = torch.stack([torch.tensor(_nearest_by_loop(row.tolist(), 4)).double() for row in w])
    torch.testing.assert_close(QuantizedWeights(4, per_channel=True)(w, _generator()), expected)
    assert not torch.allclose(QuantizedWeights(4)(w, _generator()), expected)


@pytest.mark.parametrize("kind", [QuantizedActivities, QuantizedInputs])
def test_converters_scale_to_each_image_or_saturate_at_a_fixed_full_scale(kind):
    a = _values(2, 3, 8) * torch.tensor([[1.0], [10.0], [0.1]])
    expected = torch.stack([torch.tensor(_nearest_by_loop(row.tolist(), 4)).double() for row in a])
    torch.testing.assert_close(kind(4)(a, _generator()), expected)
    fixed = kind(4, full_scale=1.4)(torch.tensor([[-9.0, 0.31, 0.09, 1.4, 5.0]]), _generator())
    torch.testing.assert_close(fixed, torch.tensor([[-1.4, 0.4, 0.0, 1.4, 1.4]]), atol=1e-6, rtol=0)


@given(bits_allowed, st.integers(0, 99))
def test_nearest_rounding_errs_by_half_a_step_at_most(bits: int, seed: int):
    w = _values(seed)
    step = w.abs().max() / (2 ** (bits - 1) - 1)
    assert (QuantizedWeights(bits)(w, _generator()) - w).abs().max() <= step * (0.5 + 1e-9)


@given(bits_allowed, st.integers(0, 99))
def test_stochastic_rounding_takes_one_of_the_two_neighbors(bits: int, seed: int):
    d = _values(seed)
    step = d.abs().max() / (2 ** (bits - 1) - 1)
    out = QuantizedUpdates(bits)(d, _generator(seed))
    assert (out - d).abs().max() <= step * (1 + 1e-6)
    torch.testing.assert_close(out / step, (out / step).round(), atol=1e-6, rtol=0)


@given(st.integers(2, 8), st.floats(-1, 1))
def test_stochastic_rounding_keeps_the_mean(bits: int, level: float):
    x = torch.full((20_000,), level, dtype=torch.float64)
    x[0] = 1.0
    step = 1 / (2 ** (bits - 1) - 1)
    out = QuantizedUpdates(bits)(x, _generator(bits))[1:]
    assert out.mean() == pytest.approx(level, abs=5 * step / 2 / math.sqrt(len(out)) + 1e-9)


@given(bits_allowed, st.integers(0, 99), st.booleans())
def test_what_is_kept_on_the_grid_stays_when_it_is_not_moved(bits: int, seed: int, per_channel: bool):
    memory = QuantizedMemory(bits, per_channel=per_channel)
    kept = memory(_values(seed).float(), _generator(seed))
    assert torch.equal(memory(kept, _generator(seed + 1)), kept)
    assert torch.equal(QuantizedWeights(bits, per_channel, power_of_two=True)(kept, _generator()), kept)


@given(st.integers(0, 99), st.floats(1e-6, 1e6))
def test_the_step_of_the_memory_is_a_power_of_two(seed: int, scale: float):
    w = _values(seed) * scale
    out = QuantizedMemory(5)(w, _generator(seed))
    step = out[out != 0].abs().min()
    multiples = out / 2 ** math.floor(math.log2(step))
    assert torch.equal(multiples, multiples.round())
    assert (out - w).abs().max() <= 2 * w.abs().max() / 15


@pytest.mark.parametrize("kind", KINDS)
def test_all_zeros_stay_zeros(kind):
    assert torch.equal(kind(4)(torch.zeros(3, 4), _generator()), torch.zeros(3, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_no_bits_given_is_the_identity(kind):
    x = _values()
    assert kind(None)(x, _generator()) is x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [0, 1, -4, 17, 33])
def test_impossible_bits_are_refused_in_one_line(kind, bits: int):
    must = rf"bits of {kind.__name__} must be a whole number in \[2, 16\] or None, got {bits}$"
    with pytest.raises(ValueError, match=must):
        kind(bits)


@pytest.mark.parametrize("kind", [QuantizedActivities, QuantizedInputs])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_an_impossible_full_scale_is_refused(kind, value: float):
    with pytest.raises(ValueError, match="full_scale"):
        kind(8, full_scale=value)


def test_low_precision_covers_weights_activities_and_updates():
    noises: tuple[Noise, ...] = low_precision(8)
    assert {noise.site for noise in noises} == {"weights", "activities", "updates", "memory"}
    assert all(noise.ideal for noise in low_precision(None))


def test_a_renamed_noise_is_found_by_its_old_name_and_draws_as_before():
    with pytest.warns(DeprecationWarning, match="QuantisedMemory is now QuantizedMemory"):
        assert onward.hardware.QuantisedMemory is QuantizedMemory
    assert label([QuantizedMemory(4), QuantizedWeights(4)])[0][0] == "QuantisedMemory.0"
    with pytest.raises(AttributeError, match="no attribute 'Quantised'"):
        _ = onward.hardware.Quantised
