"""Sweeps: conditions by name and level, and one clear line for what they are not."""

import json

import pytest

from onward.hardware import (
    DEFAULT_SWEEPS,
    PRESETS,
    SWEEPS,
    ImpulseNoise,
    Mismatch,
    QuantizedWeights,
    conditions,
    preset,
)


@pytest.mark.parametrize("known", SWEEPS, ids=lambda sweep: sweep.name)
def test_every_level_is_a_noise_and_they_go_from_little_to_much(known):
    found = known.conditions()
    assert [condition.level for condition in found] == list(known.levels)
    assert not any(condition.noises[0].ideal for condition in found)
    steps = [b - a for a, b in zip(known.levels, known.levels[1:], strict=False)]
    assert all(step > 0 for step in steps) or all(step < 0 for step in steps)


def test_names_are_their_own():
    names = [sweep.name for sweep in SWEEPS] + [entry.name for entry in PRESETS]
    assert len(set(names)) == len(names)
    assert set(DEFAULT_SWEEPS) == {"mismatch", "shot", "impulse", "bits"}


def test_words_become_conditions():
    found = conditions(["mismatch=0.1,0.3", "bits", "pcm-day"])
    assert [str(condition) for condition in found[:2]] == ["mismatch 0.1", "mismatch 0.3"]
    assert found[1].noises == (Mismatch(0.3),)
    assert [condition.noises for condition in found[2:-1]] == [(QuantizedWeights(bits),) for bits in (8, 7, 6, 5, 4, 3)]
    assert not any(condition.random for condition in found[2:-1])
    assert (found[-1].noises, found[-1].level, str(found[-1])) == (preset("pcm-day").noises, None, "pcm-day")
    assert conditions(["impulse=0.2"])[0].noises == (ImpulseNoise(0.2),)
    assert conditions(["none"]) == () and conditions([]) == ()


def test_levels_go_from_little_noise_to_much_each_once():
    assert [c.level for c in conditions(["mismatch=0.3,0.1,0.3,0"])] == [0, 0.1, 0.3]
    assert [c.level for c in conditions(["bits=3,8,4,8"])] == [8, 4, 3]
    assert [str(c) for c in conditions(["mismatch=-0,0"])] == ["mismatch 0"]


def test_infinitely_many_photons_are_no_noise():
    few, none = sorted(conditions(["shot=10,inf"]), key=lambda condition: condition.noises[0].ideal)
    assert none.noises[0].ideal and conditions(["shot=10,inf"]) == (none, few)
    assert (str(none), none.json_level, few.json_level) == ("shot inf", "inf", 10.0)
    json.dumps([none.json_level, few.json_level], allow_nan=False)
    assert conditions(["pcm-day"])[0].json_level is None


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("mismatch=-0.1", "sigma of Mismatch must be a finite number >= 0, got -0.1"),
        ("mismatch=nan", "sigma of Mismatch must be a finite number >= 0, got nan"),
        ("bits=0", r"bits of QuantizedWeights must be a whole number in \[2, 16\] or None, got 0"),
        ("bits=33", r"bits of QuantizedWeights must be a whole number in \[2, 16\] or None, got 33"),
        ("bits=3.5", "bits must be a whole number, got 3.5"),
        ("bits=inf", "bits must be a whole number, got inf"),
        ("mismatch=inf", "sigma of Mismatch must be a finite number >= 0, got inf"),
        ("impulse=inf", "must be a number in"),
        ("stuck=nan", "off of StuckCells must be a number in"),
        ("shot=nan", r"photons of ShotNoise must be a number in \(0, inf\]"),
        ("impulse=1.5", "must be a number in"),
        ("shot=0", r"photons of ShotNoise must be a number in \(0, inf\]"),
        ("mismatch=much", "levels are numbers with commas between them"),
        ("mismatch=", "levels are numbers with commas between them"),
        ("pcm-dya", "unknown noise 'pcm-dya'; did you mean pcm-day"),
        ("mismach", "unknown noise 'mismach'; did you mean mismatch"),
        ("pcm-day=3", "takes no levels"),
        ("zzz", "there are mismatch"),
    ],
)
def test_what_is_no_noise_is_one_line(word: str, says: str):
    with pytest.raises(ValueError, match=says) as caught:
        conditions([word])
    assert "\n" not in str(caught.value)


def test_a_noise_is_named_once():
    with pytest.raises(ValueError, match="mismatch is named twice"):
        conditions(["mismatch=0.1", "mismatch=0.2"])
