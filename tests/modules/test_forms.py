"""Unusual forms of networks: supported, or refused with a remedy that works."""

from typing import Any, NamedTuple

import pytest
import torch
from kinds_forms import (
    FORMS,
    Counts,
    Dataclasses,
    Holder,
    Holds,
    Layers,
    Packed,
    Sampled,
    Scripted,
    _layer,
    classes,
    table,
)
from test_chain import SETTINGS, pair
from torch import nn

from onward.algorithms import MonoForward, PredSim
from onward.core import LocalTrainer, TrainerSettings
from onward.modules import LocalModel, cuts, local
from onward.modules.batch import as_batch


def learns(model: nn.Module, batch: Any, **options: Any) -> LocalModel:
    trained = local(model, batch, MonoForward(), settings=SETTINGS, **options)
    first = trained.step(batch)
    for _ in range(8):
        last = trained.step(batch)
    assert last.isfinite().all() and last.sum() < first.sum()
    return trained


def test_maps_that_were_joined_keep_their_layout():
    kind = next(kind for kind in FORMS if kind.name == "joined maps")
    assert {cut.layout for cut in cuts(kind.make(), as_batch(kind.batch()).inputs)} == {"map"}


def test_packed_sequences_are_read_without_their_padding():
    """A block reads each sequence by itself: in a batch of others, longer ones, its loss is the same."""
    kind = next(kind for kind in FORMS if kind.name == "packed sequences")
    ids, lengths, y = kind.batch()
    losses = []
    for rows in (slice(0, 8), slice(4, 8), slice(0, 4)):
        torch.manual_seed(0)
        losses.append(local(Packed(), (ids, lengths, y), MonoForward()).step((ids[rows], lengths[rows], y[rows]))[0])
    assert torch.allclose(losses[0], (losses[1] + losses[2]) / 2, atol=1e-6)


def test_looking_at_a_model_does_not_change_its_buffers():
    model = Counts().train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    trained = local(model, table(), MonoForward())
    trained.as_learner(table())
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


@pytest.mark.parametrize("name", ["view", "dataclasses", "objects", "own buffers", "bytes", "lookup", "adapters"])
def test_their_chain_trains_as_they_do(name: str):
    kind = next(kind for kind in FORMS if kind.name == name)
    own, other, x, y = pair(kind.make, kind.batch(), PredSim())
    trainer = LocalTrainer(other.as_learner((x, y)), SETTINGS, seed=3)
    assert all(torch.equal(own.step((x, y)), trainer.step(x, y, step=step)) for step in range(3))


def test_what_training_mode_alone_uses_is_trained_and_is_no_chain():
    x, y = table()
    trained = local(Sampled().train(), (x, y), MonoForward())
    assert not trained.plan.unreached
    before = trained.model.get_parameter("spread.weight").clone()
    trained.step((x, y))
    assert not torch.equal(before, trained.model.get_parameter("spread.weight"))
    with pytest.raises(ValueError, match="form no chain"):
        local(Sampled().train(), (x, y), MonoForward(), cut=["mean"]).as_learner((x, y))


class Noisy(Layers):
    def __init__(self):
        super().__init__()
        self.draws = torch.Generator()

    def forward(self, x):
        return super().forward(x + 0.1 * torch.randn(x.shape, generator=self.draws))


def test_an_output_that_changes_from_call_to_call_is_refused():
    with pytest.raises(ValueError, match="another output each time"):
        local(Noisy(), table(), MonoForward()).as_learner(table())


def test_a_scripted_part_stays_inside_a_block():
    with pytest.warns(DeprecationWarning):
        model = Scripted()
    assert learns(model, table()).cuts == ["layers.0"]
    with pytest.raises(ValueError, match=r"layers\.1 is scripted"):
        local(model, table(), MonoForward(), cut=["layers.1"])


class Ratio(Layers):
    """Gives its scores and a loss of its own."""

    def forward(self, x):
        scores = super().forward(x)
        return scores, scores.square().mean()


class Teacher(Layers):
    """A second head, which evaluation averages in, is an output of its own in training."""

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(12, 4)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        both = self.head(x), self.second(x)
        return both if self.training else (both[0] + both[1]) / 2


class HiddenFirst(Layers):
    def forward(self, x):
        x = self.layers[1](self.layers[0](x))
        return {"hidden": {"last": [x.detach()]}, "scores": self.head(x)}


class OneByOne(Layers):
    def forward(self, x):
        return (scores for scores in [super().forward(x)])


class Named(Layers):
    def forward(self, *, x):
        return super().forward(x)


def _averaged(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    given = model(x)
    return given if isinstance(given, torch.Tensor) else (given[0] + given[1]) / 2


class Case(NamedTuple):
    make: Any
    match: str
    feed: Any


@pytest.mark.parametrize(
    "case",
    [
        Case(Ratio, "a single number with a gradient", lambda model, x: model(x)[0]),
        Case(Teacher, r"second\.weight reaches another one alone", _averaged),
        Case(HiddenFirst, "has no gradient, and another one has", lambda model, x: model(x)["scores"]),
        Case(OneByOne, "generator, in which no tensor is found", lambda model, x: next(model(x))),
        Case(Named, "cannot be called with these inputs", lambda model, x: model(x=x)),
    ],
    ids=lambda case: case.make.__name__,
)
def test_the_remedy_by_feed_works(case: Case):
    with pytest.raises(ValueError, match=case.match):
        local(case.make().train(), table(), MonoForward())
    assert len(learns(case.make().train(), table(), feed=case.feed).cuts) >= 1


class Both(nn.Module):
    """Siamese: two inputs through one encoder, told by their difference."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Sequential(_layer(6), _layer(12)), nn.Linear(12, 4)

    def forward(self, one, other):
        return self.head((self.encoder(one) - self.encoder(other)).abs())


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.ParameterList([nn.Parameter(0.3 * torch.randn(6, 12)), nn.Parameter(0.3 * torch.randn(12, 4))])

    def forward(self, x):
        return (x @ self.own[0]).relu() @ self.own[1]


class Modulated(nn.Module):
    """A second input scales and shifts every layer."""

    def __init__(self):
        super().__init__()
        self.told, self.layers = nn.Linear(3, 12), nn.ModuleList([nn.Linear(6, 12), nn.Linear(12, 12)])
        self.head = nn.Linear(12, 4)

    def forward(self, x, more):
        for layer in self.layers:
            x = (layer(x) * self.told(more)).relu() if layer is self.layers[0] else (layer(x) + self.told(more)).relu()
        return self.head(x)


def test_advice_without_a_cut_was_tried():
    x, y = table()
    for make, batch, match in (
        (Both, (x, x.flip(0), y), r"several times in a pass \(encoder.*onward\.local\(model\.encoder"),
        (Weights, (x, y), "belong to no module that is called"),
        (lambda: nn.Linear(6, 4), (x, y), "a single layer of weights: ask for that block"),
        (Modulated, (x, x[:, :3], y), r"these work: cut=\['layers.0'"),
    ):
        with pytest.raises(ValueError, match=match) as told:
            local(make(), batch, MonoForward())
        assert "cut=1" in str(told.value) and len(learns(make(), batch, cut=1).plan.parts) == 1
    named = str(told.value).partition("cut=[")[2].partition("]")[0].replace("'", "").split(", ")
    assert learns(Modulated(), (x, x[:, :3], y), cut=named).cuts == named
    with pytest.raises(ValueError, match="behind a module that is called once"):
        local(Both(), (x, x.flip(0), y), MonoForward(), cut=["encoder"])
    assert learns(Both().encoder, (x, y)).cuts


def test_cuts_that_give_no_real_tensor_are_refused():
    class Hidden(Holder):
        last_hidden_state: Any = None

    class Hides(Holds):
        def forward(self, x):
            return Hidden(self.layer(x.tensor))

    class Net(Layers):
        def forward(self, x):
            for layer in self.layers:
                x = layer(Holder(x)).tensor
            return self.head(x)

    model = Net()
    model.layers = nn.ModuleList([Hides(layer) for layer in model.layers])
    with pytest.raises(ValueError, match=r"layers\.0 gives Hidden, in which no tensor is found"):
        local(model, table(), MonoForward(), cut=["layers.0"])
    assert learns(model, table(), cut=["layers.0.layer"]).cuts == ["layers.0.layer"]
    complex_first = next(kind for kind in FORMS if kind.name == "complex, then real")
    with pytest.raises(ValueError, match=r"torch\.complex64, and blocks learn from real numbers"):
        local(complex_first.make(), complex_first.batch(), MonoForward(), cut=["waves.0"])


def test_frames_that_stand_as_rows_are_refused():
    class Frames(nn.Module):
        def __init__(self):
            super().__init__()
            self.each, self.rest = _layer(6), nn.Sequential(_layer(12), nn.Linear(12, 4))

        def forward(self, x):
            return self.rest(self.each(x.flatten(0, 1)).unflatten(0, (len(x), -1)).mean(dim=1))

    batch = torch.randn(8, 3, 6), classes()
    with pytest.raises(ValueError, match="parts of a row, such as frames"):
        local(Frames(), batch, MonoForward(), cut=["each"])
    assert learns(Frames(), batch).cuts == ["rest.0"]


def test_an_exported_program_is_refused():
    exported = torch.export.export(Layers(), (table()[0],)).module()
    with pytest.raises(ValueError, match="give the module that it was exported from"):
        local(exported, table(), MonoForward())


def test_a_learner_hands_on_no_packed_sequences():
    kind = next(kind for kind in FORMS if kind.name == "packed sequences")
    ids, _, y = kind.batch()
    feed = lambda model, x: model(x, torch.full((len(x),), 10))  # noqa: E731
    with pytest.raises(ValueError, match="gives packed sequences"):
        local(Packed(), (ids, y), MonoForward(), feed=feed).as_learner((ids, y))


def test_dataclasses_are_evaluated_as_they_are_trained():
    trained = learns(Dataclasses(), table())
    assert torch.equal(trained.predict(table()[0]), trained.model.eval()(table()[0]).scores.argmax(dim=1))


class _Cached(nn.Module):
    """Adds a table, which it looks up once for all of an evaluation, and again after a training."""

    def __init__(self):
        super().__init__()
        self.layer, self.table = nn.Linear(6, 6), nn.Parameter(torch.zeros(6))
        self.held: torch.Tensor | None = None

    def train(self, mode: bool = True) -> "_Cached":
        super().train(mode)
        self.held = None if mode else self.held
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return (self.layer(x) + self.table.tanh()).relu()
        self.held = self.table.tanh() if self.held is None else self.held
        return (self.layer(x) + self.held).relu()


def test_what_a_model_holds_for_its_evaluation_is_made_again_after_a_step():
    batch = table()
    model = nn.Sequential(_Cached(), _Cached(), nn.Linear(6, 4)).train()
    trained = local(model, batch, MonoForward(), settings=TrainerSettings(learning_rate=0.05))
    trained.predict(batch)
    trained.step(batch)
    fresh = nn.Sequential(_Cached(), _Cached(), nn.Linear(6, 4))
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(trained.predict_scores(batch), fresh.eval()(batch[0]))
    assert model.training and all(module.training for module in model.modules())
