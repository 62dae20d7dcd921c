"""Noise on pixels in a comparison is for images in [0, 1] alone."""

import pytest

from onward.compare.pixel_noise import without_pixels
from onward.core import InputForm
from onward.hardware.sweeps import conditions

TABLE, IMAGES, FLOATS = InputForm("table", (5,)), InputForm("images", (1, 6, 6), True), InputForm("images", (1, 6, 6))


@pytest.mark.parametrize("other", [TABLE, FLOATS])
def test_noise_on_pixels_is_left_out_of_other_inputs_and_named(other: InputForm):
    said: list[str] = []
    asked = conditions(("mismatch", "shot", "impulse", "bits"))
    left = without_pixels(asked, [IMAGES, other], said.append)
    assert {condition.sweep for condition in left} == {"mismatch", "bits"}
    assert said == ["left out: shot, impulse, which is noise on pixels in [0, 1], and these inputs are none"]
    with pytest.raises(ValueError, match=r"^shot is noise on pixels .*: take --noise mismatch bits"):
        without_pixels(conditions(("shot",)), [other], said.append)


def test_noise_on_pixels_of_images_stays():
    asked = conditions(("mismatch", "shot"))
    assert without_pixels(asked, [IMAGES], pytest.fail) == asked
    assert without_pixels((), [TABLE], pytest.fail) == ()
