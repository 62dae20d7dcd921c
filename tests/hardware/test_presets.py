"""Presets: every one is named, sourced and works; an unknown name is answered with the nearest."""

import pytest
import torch

from onward.hardware import PRESETS, PhaseChange, Preset, preset

each_preset = pytest.mark.parametrize("entry", PRESETS, ids=[entry.name for entry in PRESETS])


@each_preset
def test_a_preset_is_found_by_its_name_and_says_where_it_comes_from(entry: Preset):
    assert preset(entry.name) is entry
    assert "et al." in entry.source


def test_names_are_unique():
    assert len({entry.name for entry in PRESETS}) == len(PRESETS)


@each_preset
def test_a_preset_disturbs_weights_by_a_few_percent_of_full_scale(entry: Preset):
    """The published deviations lie between 1 % and 10 %, before the loss that drift brings to all weights alike."""
    w = torch.linspace(-1, 1, 20_000)
    out = w
    for noise in entry.noises:
        assert not noise.ideal
        out = noise(out, torch.Generator().manual_seed(0))
    slope = (out * w).sum() / w.square().sum()
    assert 0.01 < (out - slope * w).std() < 0.1
    assert 0.3 < slope < 1.02


def test_phase_change_memory_loses_more_with_time():
    slopes = []
    for name in ("pcm-fresh", "pcm-hour", "pcm-day", "pcm-year"):
        (noise,) = preset(name).noises
        assert isinstance(noise, PhaseChange)
        slopes.append(noise(torch.ones(5000), torch.Generator().manual_seed(0)).mean())
    assert slopes == sorted(slopes, reverse=True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("pcm-dai", "did you mean pcm-day"), ("rram", "did you mean rram-"), ("?", "there are pcm-fresh, pcm-hour")],
)
def test_an_unknown_preset_is_answered_with_the_nearest_names(name: str, hint: str):
    with pytest.raises(ValueError) as refused:
        preset(name)
    assert f"unknown device preset {name!r}" in str(refused.value) and hint in str(refused.value)
    assert "\n" not in str(refused.value)
