"""Noise on pixels, which a comparison of tables, or of images in other units, leaves out."""

from collections.abc import Callable, Sequence

from onward.core import InputForm
from onward.hardware.sweeps import Condition

_WHY = "is noise on pixels in [0, 1], and these inputs are none"


def without_pixels(
    conditions: Sequence[Condition], forms: Sequence[InputForm], say: Callable[[str], None]
) -> tuple[Condition, ...]:
    """Leave out noise on pixels where inputs are no images in [0, 1]. Raises ValueError where nothing would be left."""
    on_pixels = [each for each in conditions if any(noise.site == "pixels" for noise in each.noises)]
    if not on_pixels or all(form.kind == "images" and form.unit for form in forms):
        return tuple(conditions)
    names = ", ".join(dict.fromkeys(condition.sweep for condition in on_pixels))
    if len(on_pixels) == len(conditions):
        raise ValueError(f"{names} {_WHY}: take --noise mismatch bits")
    say(f"left out: {names}, which {_WHY}")
    return tuple(each for each in conditions if each not in on_pixels)
