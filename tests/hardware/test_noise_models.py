"""Noise models: moments, strength zero, boundary values, and values that are refused."""

import math

import pytest
import torch
from hardware_toys import IDEAL, STRONG, names
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from onward.hardware import (
    ActivityNoise,
    Drift,
    ImpulseNoise,
    Mismatch,
    NeuronMismatch,
    Noise,
    Offset,
    PhaseChange,
    PolynomialNoise,
    ProgrammingNoise,
    ReadNoise,
    SensorNoise,
    ShotNoise,
    StuckCells,
    UpdateNoise,
)

MANY = 40_000


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _like(noise: Noise, dtype: torch.dtype = torch.float32) -> Tensor:
    """Values that the noise may meet at its site."""
    x = torch.rand(6, 5, 3, generator=_generator(9), dtype=torch.float64)
    return (x if noise.site == "pixels" else x - 0.5).to(dtype)


every_noise = pytest.mark.parametrize("noise", STRONG, ids=names(STRONG))
strengths = st.floats(0, 1)


@pytest.mark.parametrize("noise", IDEAL, ids=names(IDEAL))
def test_without_strength_a_noise_is_the_identity_and_draws_nothing(noise: Noise):
    x, generator = _like(noise), _generator()
    before = generator.get_state()
    assert noise.ideal
    assert noise(x, generator) is x
    assert torch.equal(generator.get_state(), before)


@every_noise
def test_a_noise_with_strength_changes_values_and_leaves_the_given_ones_alone(noise: Noise):
    x = _like(noise)
    kept = x.clone()
    out = noise(x, _generator())
    assert torch.equal(x, kept)
    assert not torch.equal(out, x)
    assert out.shape == x.shape and out.isfinite().all()


@every_noise
def test_a_draw_depends_on_the_generator_alone(noise: Noise):
    x = _like(noise)
    state = torch.get_rng_state()
    first, again = noise(x, _generator(3)), noise(x, _generator(3))
    assert torch.equal(first, again)
    if noise.draw(x, _generator()).numel():
        assert not torch.equal(first, noise(x, _generator(4)))
    assert torch.equal(torch.get_rng_state(), state)


@every_noise
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_dtype_of_the_values_is_kept(noise: Noise, dtype):
    assert noise(_like(noise, dtype), _generator()).dtype == dtype


@every_noise
def test_zeros_stay_finite(noise: Noise):
    assert noise(torch.zeros(4, 3), _generator()).isfinite().all()


def test_mismatch_has_its_moments_and_follows_its_equation():
    w = torch.linspace(-1, 1, MANY, dtype=torch.float64)
    gain = Mismatch(0.3)(w, _generator()) / w
    assert gain.mean() == pytest.approx(1, abs=4 * 0.3 / math.sqrt(MANY))
    assert gain.std() == pytest.approx(0.3, rel=0.02)
    draw = torch.tensor([1.0, -2.0])
    torch.testing.assert_close(Mismatch(0.1).apply(torch.tensor([4.0, -3.0]), draw), torch.tensor([4.4, -2.4]))


@pytest.mark.parametrize("kind", [Offset, ProgrammingNoise, ReadNoise])
def test_additive_noise_is_relative_to_the_largest_weight(kind):
    w = torch.linspace(-4, 2, MANY, dtype=torch.float64)
    error = kind(0.05)(w, _generator()) - w
    assert error.mean() == pytest.approx(0, abs=4 * 0.2 / math.sqrt(MANY))
    assert error.std() == pytest.approx(0.05 * 4, rel=0.02)


def test_drift_follows_the_power_law():
    w = torch.tensor([1.0, -2.0, 0.0])
    drifted = Drift(0.05, seconds=2000.0, t0=20.0)(w, _generator())
    torch.testing.assert_close(drifted, w * 100**-0.05)


def test_drift_exponents_have_their_moments_and_are_never_negative():
    w = torch.ones(MANY, dtype=torch.float64)
    exponent = -Drift(0.06, 0.01, seconds=20 * math.e, t0=20.0)(w, _generator()).log()
    assert exponent.mean() == pytest.approx(0.06, rel=0.01)
    assert exponent.std() == pytest.approx(0.01, rel=0.02)
    assert (Drift(0.01, 0.1)(w, _generator()) <= 1).all()


def test_compensated_drift_keeps_the_sum_of_magnitudes():
    w = torch.randn(50, 40, generator=_generator())
    drifted = Drift(0.05, 0.02, compensated=True)(w, _generator(1))
    assert drifted.abs().sum() == pytest.approx(w.abs().sum().item(), rel=1e-4)
    assert not torch.allclose(drifted, w)


def test_stuck_cells_come_in_the_given_fractions():
    w = torch.full((MANY,), 0.5)
    w[0] = 2.0
    out = StuckCells(off=0.1, on=0.2)(w, _generator())[1:]
    for value, fraction in ((0.0, 0.1), (2.0, 0.1), (-2.0, 0.1), (0.5, 0.7)):
        assert (out == value).float().mean() == pytest.approx(fraction, abs=0.01)


def test_all_cells_may_be_stuck():
    w = torch.tensor([0.3, -0.7])
    assert torch.equal(StuckCells(off=1.0)(w, _generator()), torch.zeros(2))
    assert set(StuckCells(on=1.0)(w, _generator()).abs().tolist()) == {w.abs().max().item()}


def test_photons_arrive_as_a_poisson_process():
    x = torch.full((MANY,), 0.6, dtype=torch.float64)
    seen = ShotNoise(50.0)(x, _generator())
    assert seen.mean() == pytest.approx(0.6, abs=4 * math.sqrt(0.6 / 50 / MANY))
    assert seen.var() == pytest.approx(0.6 / 50, rel=0.04)
    torch.testing.assert_close(seen * 50, (seen * 50).round())
    assert torch.equal(ShotNoise(50.0)(torch.zeros(9), _generator()), torch.zeros(9))
    assert torch.equal(
        ShotNoise(50.0)(torch.full((9,), -0.1), _generator()), torch.zeros(9)
    )  # a darker noise came first


def test_impulses_are_salt_and_pepper_in_equal_parts():
    seen = ImpulseNoise(0.3)(torch.full((MANY,), 0.4), _generator())
    assert (seen == 0).float().mean() == pytest.approx(0.15, abs=0.01)
    assert (seen == 1).float().mean() == pytest.approx(0.15, abs=0.01)
    assert set(ImpulseNoise(1.0)(torch.full((99,), 0.4), _generator()).tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("noise", "scale"), [(SensorNoise(0.2), 1.0), (ActivityNoise(0.2), 3.0)])
def test_noise_of_signals_has_its_moments(noise: Noise, scale: float):
    x = torch.full((1, MANY), scale, dtype=torch.float64)
    error = noise(x, _generator()) - x
    assert error.mean() == pytest.approx(0, abs=4 * 0.2 * scale / math.sqrt(MANY))
    assert error.std() == pytest.approx(0.2 * scale, rel=0.02)


def test_noise_of_activities_is_relative_to_the_same_image():
    x = torch.tensor([[1.0, 0.0], [100.0, 0.0]])
    draw = torch.ones(2, 2)
    torch.testing.assert_close(ActivityNoise(0.1).apply(x, draw), x + torch.tensor([[0.1], [10.0]]))


def test_units_have_one_gain_for_all_images():
    x = torch.rand(5, 3, 2, 2, generator=_generator())
    gain = NeuronMismatch(0.3)(x, _generator()) / x
    torch.testing.assert_close(gain, gain[:1].expand_as(gain))
    assert gain[0].unique().numel() == 12


def test_a_change_varies_in_proportion_and_none_stays_none():
    change = torch.full((MANY,), -0.02, dtype=torch.float64)
    noisy = UpdateNoise(0.5)(change, _generator()) / change
    assert noisy.mean() == pytest.approx(1, abs=0.01)
    assert noisy.std() == pytest.approx(0.5, rel=0.02)
    assert torch.equal(UpdateNoise(0.5)(torch.zeros(3), _generator()), torch.zeros(3))


def test_polynomial_noise_follows_a_loop_over_devices():
    w, coefficients = torch.tensor([0.8, -0.4, 0.0, 0.1]), (0.02, 0.3, -0.2)
    draw = torch.randn(2, 4, generator=_generator())
    expected = []
    for k, weight in enumerate(w.tolist()):
        pair = []
        for device, sign in enumerate((1, -1)):
            g = max(0.0, sign * weight) / 0.8
            sigma = sum(c * g**power for power, c in enumerate(coefficients))
            pair.append(max(0.0, g + sigma * draw[device, k].item()))
        expected.append(0.8 * (pair[0] - pair[1]))
    torch.testing.assert_close(PolynomialNoise(coefficients).apply(w, draw), torch.tensor(expected))


def _phase_change_by_loop(g: float, seconds: float, n: list[float]) -> float:
    """The device model of aihwkit's PCMLikeNoiseModel, one device in microsiemens, written from its equations."""
    g_max, t = 25.0, seconds + 20.0
    target = g * g_max
    programmed = max(0.0, target + (0.26348 + 1.9650 * g - 1.1731 * g * g) * n[0])
    log = math.log(max(g, 1e-7))
    mean = min(max(-0.0155 * log + 0.0244, 0.049), 0.1)
    spread = min(max(-0.0125 * log - 0.0059, 0.008), 0.045)
    drifted = programmed * (t / 20.0) ** -abs(mean + spread * n[1])
    q = min(0.0088 / max((programmed / g_max) ** 0.65, 1e-3), 0.2)
    sigma = q * math.sqrt(math.log((t + 250e-9) / (2 * 250e-9)))
    return max(0.0, drifted + drifted * sigma * n[2]) / g_max


@pytest.mark.parametrize("seconds", [0.0, 100.0, 3e7])
def test_phase_change_memory_follows_a_loop_over_devices(seconds: float):
    w = torch.tensor([0.5, -0.02, 0.0, 0.3, -0.25])
    draw = torch.randn(3, 2, 5, generator=_generator())
    expected = []
    for k, weight in enumerate(w.tolist()):
        pair = [max(0.0, sign * weight) / 0.5 for sign in (1, -1)]
        plus, minus = (_phase_change_by_loop(g, seconds, draw[:, d, k].tolist()) for d, g in enumerate(pair))
        expected.append(0.5 * (plus - minus))
    torch.testing.assert_close(PhaseChange(seconds).apply(w, draw), torch.tensor(expected))


def test_phase_change_memory_decays_by_its_published_exponent():
    """Large conductances drift with an exponent near 0.05: over a day the mean falls to (86420 / 20) ** -0.049."""
    w = torch.ones(MANY)
    day = PhaseChange(86400.0, programming=0.0, read=0.0)(w, _generator())
    assert day.mean() == pytest.approx((86420 / 20) ** -0.049, rel=0.01)


def test_phase_change_memory_agrees_with_aihwkit():
    noise = pytest.importorskip("aihwkit.inference.noise.pcm", reason="compares with aihwkit, which is not installed")
    w = torch.linspace(-1, 1, 9).repeat_interleave(8000)
    theirs = noise.PCMLikeNoiseModel(g_max=25.0).apply_noise(w, 86400.0).view(9, -1)
    ours = PhaseChange(86400.0)(w, _generator()).view(9, -1)
    torch.testing.assert_close(ours.mean(1), theirs.mean(1), atol=0.005, rtol=0.02)
    torch.testing.assert_close(ours.std(1), theirs.std(1), atol=0.003, rtol=0.05)


@given(strengths, strengths)
def test_chips_of_one_seed_differ_in_strength_alone(small: float, large: float):
    """The error is the strength times one and the same draw."""
    w = torch.linspace(-1, 1, 20, dtype=torch.float64)
    errors = [Mismatch(sigma).apply(w, Mismatch(sigma).draw(w, _generator(2))) - w for sigma in (small, large)]
    torch.testing.assert_close(errors[0] * large, errors[1] * small, atol=1e-6, rtol=0)


@given(strengths, strengths, strengths)
def test_a_larger_fraction_keeps_the_stuck_cells_of_a_smaller_one(a: float, b: float, on: float):
    small, large = sorted([a * (1 - on), b * (1 - on)])
    w = torch.linspace(0.1, 1, 200)
    stuck = [StuckCells(off=off, on=on)(w, _generator()) == 0 for off in (small, large)]
    assert (stuck[1] | ~stuck[0]).all()


@given(st.floats(1, 1000), st.floats(0, 1))
def test_photon_counts_are_whole_and_never_negative(photons: float, level: float):
    counts = ShotNoise(photons)(torch.full((50,), level, dtype=torch.float64), _generator()) * photons
    assert (counts >= 0).all()
    torch.testing.assert_close(counts, counts.round(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mismatch(-0.1), "sigma of Mismatch must be a finite number >= 0, got -0.1"),
        (lambda: Mismatch(math.nan), "sigma of Mismatch .* got nan"),
        (lambda: Offset(math.inf), "sigma of Offset .* got inf"),
        (lambda: ProgrammingNoise(-1.0), "sigma of ProgrammingNoise"),
        (lambda: ReadNoise(-1.0), "sigma of ReadNoise"),
        (lambda: Drift(-0.1), "nu of Drift"),
        (lambda: Drift(0.1, seconds=5.0), "t0 <= seconds, got t0 20.0 and seconds 5.0"),
        (lambda: Drift(0.1, t0=0.0), "t0 of Drift must be a finite number > 0"),
        (lambda: StuckCells(0.7, 0.4), r"off \+ on of StuckCells must be in \[0, 1\], got 0.7 \+ 0.4"),
        (lambda: StuckCells(-0.1), "StuckCells"),
        (lambda: PhaseChange(-1.0), "seconds of PhaseChange"),
        (lambda: PolynomialNoise(()), "at least one coefficient"),
        (lambda: PolynomialNoise((0.1,), scale=-1.0), "scale of PolynomialNoise"),
        (lambda: ShotNoise(0.0), "photons of ShotNoise must be .*, got 0.0"),
        (lambda: ShotNoise(math.nan), "photons of ShotNoise"),
        (lambda: ImpulseNoise(1.1), "probability of ImpulseNoise"),
        (lambda: SensorNoise(-0.1), "sigma of SensorNoise"),
        (lambda: NeuronMismatch(-0.1), "sigma of NeuronMismatch"),
        (lambda: ActivityNoise(-0.1), "sigma of ActivityNoise"),
        (lambda: UpdateNoise(-0.1), "sigma of UpdateNoise"),
    ],
)
def test_a_value_outside_its_range_is_refused_in_one_line(make, message: str):
    with pytest.raises(ValueError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)
