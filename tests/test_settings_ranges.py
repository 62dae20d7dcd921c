"""Every number that a user can set has a range, and what is outside it is refused with field and value."""

import importlib
import math
import pkgutil
from dataclasses import MISSING, fields, is_dataclass, replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import jaxtyping
import numpy as np
import pytest

import onward
from onward.algorithms import ALGORITHMS, Algorithm, Backprop, DeeperForward
from onward.compare.recovery import ChipTraining
from onward.compare.study import ComparisonSettings
from onward.core import Objective, Supervision, TrainerSettings
from onward.core.ranges import LARGEST, Range
from onward.data import Augmentation, DataSettings
from onward.hardware import Noise
from onward.nets import MLP, NETS, Architecture
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.margins import NPairMargin
from onward.pipeline.run import Pipelining
from onward.recipes import Published, Recipe
from onward.runs.train import RunOptions

NEEDED = {
    "num_classes": 3,
    "sigma": 0.1,
    "bits": 4,
    "nu": 0.1,
    "probability": 0.1,
    "coefficients": (0.1, 0.2),
    "weight": 0.5,
    "objective": CrossEntropy(),
    "test_accuracy": 0.5,
    "source": "a paper",
    "name": "toy",
    "description": "Toy",
    "algorithm": DeeperForward(),
    "net": MLP(),
    "data": DataSettings(),
    "trainer": TrainerSettings(),
    "epochs": 1,
    "bandwidth": 1.0,
    "mean": (0.0,),
    "deviation": (1.0,),
    "weights": (1.0,),
}
"""A value of every field that has no default."""

KINDS = (Algorithm, Architecture, Objective, Supervision, Noise)
SINGLE = (
    TrainerSettings,
    DataSettings,
    Augmentation,
    Recipe,
    Published,
    RunOptions,
    Pipelining,
    ComparisonSettings,
    ChipTraining,
)


def _settings_classes() -> list[type]:
    found: set[type] = {*SINGLE, NPairMargin}
    for module in pkgutil.walk_packages(onward.__path__, "onward."):
        if module.name != "onward.__main__":
            found |= {cls for cls in vars(importlib.import_module(module.name)).values() if isinstance(cls, type)}
    ours = [cls for cls in found if cls in (*SINGLE, NPairMargin) or issubclass(cls, KINDS)]
    return sorted((cls for cls in ours if is_dataclass(cls) and not _abstract(cls)), key=lambda cls: cls.__qualname__)


def _abstract(cls: type) -> bool:
    return bool(getattr(cls, "__abstractmethods__", ()))


def _made(cls: type, **values: Any) -> Any:
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    return cls(**{**{name: NEEDED[name] for name in missing}, **values})


def _ranges(kind: Any) -> list[tuple[Any, Range | None]]:
    """Return number type and range of every number that a type allows."""
    if get_origin(kind) is Annotated:
        found = [part for part in get_args(kind)[1:] if isinstance(part, Range)]
        return [(get_args(kind)[0], found[0])] if found else _ranges(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType, tuple):
        return [pair for part in get_args(kind) for pair in _ranges(part)]
    return [(kind, None)] if kind in (int, float) else []


CLASSES = _settings_classes()
NUMBERS = [
    (cls, field.name, number, allowed)
    for cls in CLASSES
    for field in fields(cls)
    for number, allowed in _ranges(get_type_hints(cls, include_extras=True)[field.name])
]


@pytest.fixture(autouse=True)
def types_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user has no checker of types in front of the classes."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_the_classes_are_found():
    assert {*ALGORITHMS, *NETS, TrainerSettings, Recipe} <= set(CLASSES)
    assert len(CLASSES) > 70 and len(NUMBERS) > 120


@pytest.mark.parametrize(
    ("cls", "name", "number", "allowed"), NUMBERS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_number_outside_its_range_is_refused(cls: type, name: str, number: type, allowed: Range | None):
    assert allowed is not None, f"{name} of {cls.__name__} has no range"
    inside = getattr(_made(cls), name)
    wrap = (lambda value: (value,)) if isinstance(inside, tuple) else (lambda value: value)
    outside = [math.nan, -math.inf, "1", [1], True, 1 + 1j, -int(LARGEST) * 10, 10**400]
    outside += [math.inf, int(LARGEST) * 10] if allowed.high != math.inf else []
    outside += [1.5, 2.0, 2**63] if number is int else []
    outside += (
        [allowed.low] if allowed.above else [allowed.low - (1 if number is int else 1e-3 + abs(allowed.low) * 1e-3)]
    )
    outside += [allowed.high] if allowed.below else []
    for value in outside:
        with pytest.raises(ValueError, match=f"^{name} of {cls.__name__} must be .*, got ") as refused:
            _made(cls, **{name: wrap(value)})
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_defaults_are_inside_and_fields_of_other_types_are_checked(cls: type):
    made = _made(cls)
    assert replace(made) == made
    for field in fields(cls):
        with pytest.raises(ValueError, match=f"{field.name} of {cls.__name__} must be"):
            _made(cls, **{field.name: object()})


def test_numbers_of_numpy_become_pythons_own():
    net = MLP(width=np.int64(7))  # pyright: ignore[reportArgumentType]
    assert net == MLP(width=7) and type(net.width) is int
    settings = TrainerSettings(learning_rate=np.float32(0.5))  # pyright: ignore[reportArgumentType]
    assert type(settings.learning_rate) is float


def test_a_class_in_place_of_an_object_is_refused():
    with pytest.raises(
        ValueError, match=r"of of Backprop must be an Algorithm, got the class DeeperForward: give Deep"
    ):
        Backprop(of=DeeperForward)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="net of Recipe must be an Architecture, got DeeperForward"):
        _made(Recipe, net=DeeperForward())


def test_a_number_that_cannot_be_written_is_refused_naming_its_length():
    with pytest.raises(ValueError, match="got a number of 33220 bits"):
        MLP(width=10**10000)
