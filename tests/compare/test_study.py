"""What a comparison evaluates under: noise on pixels is for images in [0, 1] alone."""

import numpy as np
import pytest

from onward.compare.study import ComparisonSettings, Method, _without_pixels
from onward.data import Splits, from_arrays
from onward.hardware.sweeps import conditions
from onward.recipes import find

Y = np.arange(40) % 2
TABLE = from_arrays(np.random.default_rng(0).random((40, 5)), Y)
IMAGES = from_arrays(np.random.default_rng(0).integers(0, 256, (40, 6, 6), dtype=np.uint8), Y)


def _method(data: Splits) -> Method:
    recipe = find("mono_forward-digits")
    assert recipe is not None
    return Method(recipe, (), data)


def test_noise_on_pixels_is_left_out_of_tables_and_named():
    said: list[str] = []
    asked = ComparisonSettings(conditions=tuple(conditions(("mismatch", "shot", "impulse", "bits"))))
    left = _without_pixels(asked, [_method(TABLE)], said.append)
    assert {condition.sweep for condition in left.conditions} == {"mismatch", "bits"}
    assert said == ["left out: shot, impulse, noise on pixels in [0, 1], which these inputs are not"]
    assert _without_pixels(asked, [_method(IMAGES)], said.append) is asked
    none = ComparisonSettings(conditions=tuple(conditions(("shot",))))
    with pytest.raises(ValueError, match=r"^shot is noise on pixels .*: take --noise mismatch bits"):
        _without_pixels(none, [_method(TABLE)], said.append)
