"""Every kind of network that people bring is cut, trained in its blocks, and stays its owner's."""

import copy

import pytest
import torch
from kinds import KINDS, Kind
from torch import Tensor, nn

from onward.algorithms import (
    ASGE,
    HCLFF,
    HFF,
    Backprop,
    DeeperForward,
    DeepSupervision,
    DistanceForward,
    MonoForward,
    PredSim,
)
from onward.core import TrainerSettings
from onward.modules import LocalModel, cuts, local
from onward.modules.batch import as_batch
from onward.nets.outputs import leading_tensor
from onward.nets.recorded_pass import feed_module

ALGORITHMS = (
    MonoForward(),
    PredSim(),
    HFF(),
    ASGE(alpha=0.0),
    DistanceForward(collaboration="none"),
    DistanceForward(collaboration="disjoint"),
    DeepSupervision(of=MonoForward()),
    Backprop(of=MonoForward()),
)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def made(kind: Kind, algorithm=None, **options) -> LocalModel:
    torch.manual_seed(0)
    settings = TrainerSettings(learning_rate=0.01, schedule="constant")
    return local(kind.make(), kind.batch(), algorithm or MonoForward(), task=kind.task, settings=settings, **options)


def own_output(model: nn.Module, batch) -> torch.Tensor:
    with torch.no_grad():
        output = leading_tensor(feed_module(model, as_batch(batch).inputs))
    assert output is not None
    return output


@each_kind
def test_cuts_are_found_and_every_weight_has_a_block(kind: Kind):
    trained = made(kind)
    assert len(trained.plan.parts) >= 2
    owned = [name for part in trained.plan.parts for name in part.weights]
    names = [name for name, _ in trained.model.named_parameters()]
    assert sorted([*owned, *trained.plan.tied]) == sorted(names) and trained.plan.unreached == ()
    assert trained.plan.outputs == kind.classes


def _pairs():
    """Every kind with three algorithms, three kinds with every one; the others are slow tests."""
    for kind in KINDS:
        for algorithm in ALGORITHMS:
            name = f"{kind.name}-{type(algorithm).__name__}-{getattr(algorithm, 'collaboration', '')}"
            quick = algorithm in ALGORITHMS[:2] or kind.name in ("residual CNN", "BERT", "GPT")
            yield pytest.param(kind, algorithm, id=name, marks=[] if quick else pytest.mark.slow)


@pytest.mark.parametrize(("kind", "algorithm"), list(_pairs()))
def test_every_algorithm_learns_every_kind(kind: Kind, algorithm):
    trained, batch = made(kind, algorithm), kind.batch()
    before = trained.evaluate([batch])["loss"]
    first = trained.step(batch)
    for _ in range(12):
        last = trained.step(batch)
    assert len(last) == len(trained.spans) and last.isfinite().all()
    assert (last < first).float().mean() > 0.5 and last.sum() < first.sum()
    assert trained.evaluate([batch])["loss"] < before


@each_kind
def test_a_gradient_stays_in_its_block(kind: Kind):
    """The targets of one block's loss cannot move another's weights: only the last one learns from its own output."""
    batch = kind.batch()
    given, other = made(kind), made(kind)
    with torch.no_grad():  # another head in the last block
        for name, parameter in other.model.named_parameters():
            if name in other.plan.parts[-1].weights and name not in other.plan.tied:
                parameter.mul_(1.5).add_(0.1)
    given.step(batch)
    other.step(batch)
    weights, others = dict(given.model.named_parameters()), dict(other.model.named_parameters())
    for part in given.plan.parts[:-1]:
        assert all(torch.equal(weights[name], others[name]) for name in part.weights)


@each_kind
def test_the_model_stays_its_owners(kind: Kind):
    model, batch = kind.make(), kind.batch()
    model.train()
    state = torch.get_rng_state()
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained = local(model, batch, MonoForward(), task=kind.task)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and all(module.training for module in model.modules())
    trained.step(batch)
    assert torch.equal(state, torch.get_rng_state()) and all(module.training for module in model.modules())
    assert trained.module() is model and not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    copied = copy.deepcopy(model).eval()
    model.eval()
    assert torch.equal(own_output(copied, batch), own_output(model, batch))
    scores = trained.predict_scores(batch)
    assert torch.equal(own_output(model, batch), scores)
    fresh = kind.make()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(own_output(fresh.eval(), batch), scores)


@each_kind
def test_a_file_goes_on_as_the_training_would(kind: Kind, tmp_path):
    trained, batch = made(kind, PredSim()), kind.batch()
    trained.step(batch)
    trained.save(tmp_path / "model.safetensors")
    again = LocalModel.load(tmp_path / "model.safetensors", kind.make())
    assert torch.equal(trained.step(batch), again.step(batch))
    first, second = trained.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@each_kind
def test_cuts_by_number_and_by_name_are_those_of_cuts(kind: Kind):
    torch.manual_seed(0)
    model, example = kind.make(), as_batch(kind.batch()).inputs
    found = [spot.name for spot in cuts(model, example)]
    assert found and all(spot.matrices for spot in cuts(model, example))
    two = [spot.name for spot in cuts(model, example, 2)]
    assert len(two) == 1 and two[0] in found
    assert local(model, kind.batch(), MonoForward(), task=kind.task, cut=2).cuts == two
    assert local(model, kind.batch(), MonoForward(), task=kind.task, cut=two).cuts == two


@pytest.mark.parametrize("goodness", ["mean", "mean_square"])
def test_class_groups_are_as_even_as_the_widths_of_a_model_allow(goodness):
    trained = made(_of_width(7), DeeperForward(goodness=goodness, temperature=0.1), cut=["1"])
    activity = torch.rand(2, 7, 6, 6)
    read = (activity if goodness == "mean" else activity.square()).mean((2, 3))
    expected = torch.stack([read[:, :2].mean(1), read[:, 2:4].mean(1), read[:, 4:6].mean(1), read[:, 6]], dim=1)
    read_by = trained.heads[0].block.goodness
    assert read_by is not None
    torch.testing.assert_close(read_by(activity), expected)
    first = trained.step(KINDS[0].batch())
    for _ in range(10):
        last = trained.step(KINDS[0].batch())
    assert last[0] < first[0]


def test_class_groups_need_a_channel_each_and_other_parts_even_groups():
    for width, algorithm in ((3, DeeperForward()), (7, HCLFF())):
        with pytest.raises(ValueError, match=f"own share of a block's features, and {width} channels cannot be split"):
            made(_of_width(width), algorithm, cut=["1"])


def _of_width(width: int) -> Kind:
    def make() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, 4))

    return KINDS[0]._replace(make=make)


@pytest.mark.parametrize("name", ["table", "GPT"])
def test_blocks_that_step_alone_in_groups_or_together_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch):
    kind = next(kind for kind in KINDS if kind.name == name)
    batch, trained = kind.batch(), []
    sizes = [optimizer.gradient_bytes for optimizer in local(kind.make(), batch, PredSim(), task=kind.task).optimizers]
    for together, room in ((False, 0.0), (False, 1.0 * sum(sizes[:2])), (False, 2.0**20), (True, 0.0)):
        torch.manual_seed(0)
        monkeypatch.setattr("onward.modules.forward._ROOM", room)
        settings = TrainerSettings(learning_rate=0.01, clip_norm=1.0, step_together=together)
        trained.append(local(kind.make(), batch, PredSim(), task=kind.task, settings=settings))
    losses = [torch.stack([model.step(batch) for _ in range(3)]) for model in trained]
    first, *others = (model.state_dict() for model in trained)
    for loss, other in zip(losses[1:], others, strict=True):
        assert torch.equal(loss, losses[0])
        assert first.keys() == other.keys() and all(torch.equal(first[key], other[key]) for key in first)
    held = [_gradients_held(model, batch) for model in trained]
    assert held[0] < held[1] <= held[2] == held[3] and held[1] - held[0] <= sum(sizes[:2])


def test_a_step_that_is_refused_leaves_no_trace_in_the_next_one():
    kind = next(kind for kind in KINDS if kind.name == "table")
    x, y = kind.batch()
    torch.manual_seed(0)
    first = local(kind.make(), (x, y), MonoForward())
    second = copy.deepcopy(first)
    broken = next(p for name, p in first.model.named_parameters() if name in first.plan.parts[-1].weights)
    kept = broken.detach().clone()
    broken.data.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"is not finite: lower the learning rate .*clip_norm=1[)]$"):
        first.step((x, y))
    broken.data.copy_(kept)
    assert torch.equal(first.step((x, y)), second.step((x, y)))
    assert all(torch.equal(p, q) for p, q in zip(first.model.parameters(), second.model.parameters(), strict=True))


class Observer(nn.Module):
    """The kind of a quantization that is learned: it notes the range of what passes, in any mode."""

    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.high.copy_(0.9 * self.high + 0.1 * x.detach().abs().max())
        return x.clamp(max=float(self.high))


def test_a_prediction_changes_nothing_even_if_the_model_observes_what_it_is_given():
    torch.manual_seed(0)
    x, y = torch.randn(16, 6), torch.arange(16) % 3
    layers = [nn.Sequential(nn.Linear(size, 8), nn.ReLU(), Observer()) for size in (6, 8, 8)]
    model = local(nn.Sequential(*layers, nn.Linear(8, 3)), (x, y), MonoForward())
    model.step((x, y))
    kept = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    scores = [model.predict_scores(x), model.predict_scores(10 * x), model.predict_scores(x)]
    assert torch.equal(scores[0], scores[2]) and model.evaluate([(x, y)]) == model.evaluate([(x, y)])
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.model.state_dict().items())
    model.step((x, y))
    assert not torch.equal(model.model.get_buffer("0.2.high"), kept["0.2.high"])


def _gradients_held(trained: LocalModel, batch) -> int:
    """Return the most gradients that are held in a step while a layer computes, in bytes."""
    weights = [p for optimizer in trained.optimizers for p in optimizer.parameters]
    seen: list[int] = []

    def look(module: nn.Module, args: object) -> None:
        seen.append(sum(p.grad.nbytes for p in weights if p.grad is not None))

    hooks = [module.register_forward_pre_hook(look) for module in trained.model.modules()]
    trained.step(batch)
    for hook in hooks:
        hook.remove()
    return max(seen)
