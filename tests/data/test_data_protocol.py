"""The `Data` protocol: training, description and evaluation with any object that has its members."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import onward
from onward.algorithms import MonoForward
from onward.core import InputForm, TrainerSettings
from onward.data import Data, DataSettings, Samples, Source, as_splits
from onward.nets import MLP, Dense
from onward.registry import DATA
from onward.runs import fit, spec_for
from onward.runs.evaluating import evaluate

TABLE = InputForm("table", (4,))


def _rows(count: int, seed: int) -> Samples:
    rows = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) * 5 + 20
    return Samples(rows, (rows[:, 0] > 20).long())


@dataclass
class Weather:
    """Rows of four numbers, of two classes; no class of onward's."""

    train: Any
    validation: Any
    test: Any
    class_names: Any = ("dry", "wet")
    task: Any = "classes"
    inputs: Any = TABLE
    name: str = "weather"


class Drawn(Source):
    """Images that are drawn when they are asked for: the class is the bright half."""

    def __init__(self, count: int):
        self.labels = torch.arange(count) % 2

    def _image(self, number: int) -> Tensor:
        image = torch.randint(0, 100, (1, 4, 4), generator=torch.Generator().manual_seed(number), dtype=torch.uint8)
        image[:, :2] += 120 * int(self.labels[number]) * torch.ones((), dtype=torch.uint8)
        return image

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, 4, 4)

    @property
    def sample(self) -> Samples:
        return self.subset(torch.arange(20))

    def placed(self, device: torch.device) -> Source:
        return self

    def subset(self, index: Tensor) -> Samples:
        return Samples(torch.stack([self._image(int(k)) for k in index]), self.labels[index])

    def order(self, batch_size: int, seed: int) -> list[Tensor]:
        shuffled = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return list(shuffled.split(batch_size)[: len(self) // batch_size])

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        return self.take(list(torch.arange(len(self)).split(batch_size)))

    def take(self, batches: Sequence[Tensor], own: slice | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches:
            found = self.subset(batch)
            yield found.pixels, found.labels


def _weather(**changes: Any) -> Weather:
    return replace(Weather(_rows(200, 0), _rows(50, 1), _rows(50, 2)), **changes)


def test_an_object_of_ones_own_is_trained_described_and_evaluated(tmp_path):
    data = _weather()
    assert isinstance(data, Data)
    learner = fit(MonoForward(), Dense(hidden=(8,)), data, epochs=10, batch_size=20, device="cpu")
    assert evaluate(learner, data).of_default_rule > 0.8
    assert evaluate(learner, data) == evaluate(learner, as_splits(data))
    spec = spec_for(MonoForward(), Dense(hidden=(8,)), data)
    assert spec == learner.description and spec.class_names == ("dry", "wet")
    learner.save(tmp_path / "model")
    assert onward.load(tmp_path / "model").predict_names(data.test.pixels[:1]) in (["dry"], ["wet"])


def test_a_source_of_ones_own_makes_its_samples_when_they_are_asked_for():
    drawn = Drawn(60)
    held = drawn.subset(torch.arange(20))
    data = Weather(drawn, held, held, ("dark", "bright"), inputs=InputForm("images", (1, 4, 4), unit=True))
    quick = TrainerSettings(learning_rate=0.02)
    learner = fit(MonoForward(), MLP(width=8, depth=1), data, epochs=10, batch_size=10, trainer=quick, device="cpu")
    assert evaluate(learner, data).of_default_rule > 0.8
    assert evaluate(learner, data, split="train").of_default_rule > 0.8


def test_a_registered_set_may_be_an_object_of_ones_own(monkeypatch):
    monkeypatch.setattr(DATA, "_values", dict(DATA._values))
    DATA.add("weather", lambda settings, data_dir: _weather())
    DATA.add("thunder", lambda settings, data_dir: 3)
    found = onward.load_data(DataSettings(name="weather"))
    assert found.class_names == ("dry", "wet") and found.checksum
    with pytest.raises(ValueError, match="returned int: it must return Splits"):
        onward.load_data(DataSettings(name="thunder"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": [1, 2]}, r"data.train is a list: give onward.data.Samples\(inputs, targets\), or another Source"),
        ({"test": None}, "data.test is a NoneType"),
        ({"task": "dreams"}, "data.task must be .* got 'dreams'"),
        ({"class_names": ("dry",)}, r"data.train.labels\[.*\] is 1"),
        ({"class_names": ("dry", "dry")}, "class_names has 'dry' 2 times"),
        ({"inputs": (4,)}, "data.inputs is a tuple"),
        ({"inputs": InputForm("table", (3,))}, r"data.train has inputs of shape \(4,\), but data.inputs has \(3,\)"),
        ({"validation": Samples(torch.full((2, 4), torch.nan), torch.zeros(2).long())}, "validation.*holds NaN"),
        ({"test": Samples(torch.ones(2, 4), torch.zeros(2, dtype=torch.int32))}, "keep them as torch.int64"),
        ({"task": "values", "class_names": ("rain",)}, "keep them as torch.float64 of shape"),
    ],
)
def test_members_of_another_form_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(MonoForward(), Dense(hidden=(8,)), _weather(**changes), epochs=1, device="cpu")


def test_what_lacks_a_member_is_told_which(types_unchecked):
    class Half:
        train = validation = test = _rows(4, 0)
        name, class_names = "half", ("a", "b")

    with pytest.raises(ValueError, match="data is a Half without task and inputs"):
        fit(MonoForward(), Dense(hidden=(8,)), Half(), epochs=1)
    with pytest.raises(ValueError, match="inputs is a ndarray: give a tensor"):
        Samples(_rows(4, 0).pixels.numpy(), torch.zeros(4))  # pyright: ignore[reportArgumentType]


def test_registered_sets_of_arrays_have_the_names_they_are_registered_by(monkeypatch):
    made = onward.from_arrays(torch.rand(40, 3), torch.arange(40) % 2)
    named = replace(made, name="mine")
    found = {"easy": lambda settings, folder: made, "hard": lambda settings, folder: named}
    monkeypatch.setattr(DATA, "_values", found)
    assert [onward.load_data(DataSettings(name=name)).name for name in found] == ["easy", "mine"]
