"""Compiled steps: most tests run the graph of a step as it is, without a compiler, which takes seconds."""

import copy
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch
from core_toys import FEATURES, WIDTH, batch, make_learner
from test_captured import CASES, SETTINGS, _assert_same, _images, _learner, _step
from torch import Tensor, fx
from torch._inductor import config as inductor_config

from onward.algorithms import (
    ALGORITHMS,
    ASGE,
    Algorithm,
    Backprop,
    DeeperForward,
    DistanceForward,
    ForwardForward,
    MonoForward,
    PredSim,
)
from onward.core import (
    CapturedTrainer,
    CompiledPrograms,
    LocalTrainer,
    TrainerSettings,
    check_compilable,
    recorded_programs,
)
from onward.core.tape import Tape
from onward.nets import MLP, VGG8, Architecture, TinyCNN

needs_a_compiler = pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="needs a C++ compiler")


def as_it_is(graph: fx.GraphModule, inputs: list[Tensor]) -> fx.GraphModule:
    return graph


def _assert_bits(algorithm: Algorithm, net: Architecture, settings: TrainerSettings, steps: int) -> None:
    """The graph of a step, run as it is and with torch's own fused optimizers, does what the plain step does."""
    plain, other = (LocalTrainer(_learner(algorithm, net), settings, seed=7) for _ in range(2))
    captured = CapturedTrainer(other, CompiledPrograms(as_it_is, formulas={}))
    _assert_same(plain, captured, (12,) * steps)
    assert captured.reason is None


@pytest.mark.parametrize("case", CASES)
def test_graphs_of_steps_are_the_plain_steps(case: str):
    _assert_bits(*CASES[case], steps=8 if case == "turns" else 6)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_method_has_a_graph(algorithm: type[Algorithm]):
    for net in (MLP(width=16, depth=3), TinyCNN(width=4)):
        try:
            _learner(algorithm(), net)
        except ValueError:
            continue
        _assert_bits(algorithm(), net, SETTINGS, 5)


def _assert_close(
    algorithm: Algorithm, net: Architecture, settings: TrainerSettings, programs: CompiledPrograms
) -> None:
    """Losses, weights, buffers and optimizer state are those of plain steps, up to rounding."""
    plain, other = (LocalTrainer(_learner(algorithm, net), settings, seed=7) for _ in range(2))
    captured = CapturedTrainer(other, programs)
    for step in range(6):
        expected = _step(plain, *_images(step), step)
        torch.testing.assert_close(_step(captured, *_images(step), step), expected, rtol=1e-4, atol=1e-4)
    assert captured.reason is None
    for one, other in zip(plain.optimizers, captured.trainer.optimizers, strict=True):
        torch.testing.assert_close(one.block.state_dict(), other.block.state_dict(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(one.state(), other.state(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("optimizer", "momentum"), [("adamw", 0.9), ("adam", 0.9), ("sgd", 0.9), ("sgd", 0.0)])
def test_formulas_of_optimizers_are_those_of_torch(optimizer: Any, momentum: float):
    settings = replace(SETTINGS, optimizer=optimizer, momentum=momentum, weight_decay=0.1, learning_rate=0.02)
    _assert_close(DeeperForward(), MLP(width=16, depth=2), settings, CompiledPrograms(as_it_is))


@needs_a_compiler
def test_a_program_draws_writes_and_returns():
    generator, weight, rate = torch.Generator(), torch.ones(8), torch.tensor(0.5)

    def work() -> list[Tensor]:
        weight.sub_(rate * weight * torch.rand(8, generator=generator))
        return [weight + 1, rate]

    with inductor_config.patch(cpp_cache_precompile_headers=False):  # these pay for larger graphs
        repeat = CompiledPrograms().record(work, [generator])
    assert torch.equal(weight, torch.ones(8))
    generator.manual_seed(5)
    found = [repeat()[0].clone() for _ in range(3)]
    weight.fill_(1)
    generator.manual_seed(5)
    torch.testing.assert_close(found, [work()[0] for _ in range(3)])
    rate.fill_(0)
    out, same = repeat()
    torch.testing.assert_close(out, found[-1])
    assert same.item() == 0


@needs_a_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "net"),
    [
        (MonoForward(), MLP(width=16, depth=3)),
        (ForwardForward(), MLP(width=16, depth=3)),
        (DistanceForward(), MLP(width=16, depth=3)),
        (ASGE(), VGG8(width=4)),
        (DeeperForward(), TinyCNN(width=4, dropout=0.2)),
        (PredSim(), TinyCNN(width=4, dropout=0.2)),
        (Backprop(of=DeeperForward()), TinyCNN(width=4, dropout=0.2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_compiled_steps_of_several_methods(algorithm: Algorithm, net: Architecture):
    _assert_close(algorithm, net, SETTINGS, CompiledPrograms())


def test_a_recording_changes_nothing_outside_also_after_an_error():
    weight, moved = torch.ones(3, requires_grad=True), torch.zeros(3)

    def work() -> list[Tensor]:
        with torch.no_grad():
            weight.detach().view(3, 1).add_(1)
            moved.copy_(2 * weight)
        return [moved, weight * moved]

    taped = Tape([], {}).record(work)
    assert torch.equal(weight, torch.ones(3)) and torch.equal(moved, torch.zeros(3))
    for value in (2.0, 3.0):
        (out,) = taped.graph(*taped.inputs())
        assert torch.equal(weight, torch.full((3,), value)) and torch.equal(out, weight * moved)
    assert taped.leaving[0] is not None and taped.leaving[0].data_ptr() == moved.data_ptr()

    def failing() -> list[Tensor]:
        raise RuntimeError(f"stopped after {work()}")

    with pytest.raises(RuntimeError, match="stopped after"):
        Tape([], {}).record(failing)
    assert torch.equal(weight, torch.full((3,), 3.0))


def test_statistics_of_batches_are_as_before():
    layer, x = torch.nn.BatchNorm1d(3), torch.rand(5, 3)
    before = copy.deepcopy(layer.state_dict())
    taped = Tape([], {}).record(lambda: [layer(x).detach()])
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    taped.graph(*taped.inputs())
    own = torch.nn.BatchNorm1d(3)
    own(x)
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in layer.state_dict().items())
    bare = torch.nn.BatchNorm1d(3, track_running_stats=False)
    taped = Tape([], {}).record(lambda: [bare(x).detach()])
    assert torch.equal(taped.graph(*taped.inputs())[0], bare(x))


def test_draws_are_new_each_time_and_in_order():
    generator, x = torch.Generator(), torch.zeros(4)

    def work() -> list[Tensor]:
        first = torch.rand(4, generator=generator)
        return [x + first, torch.empty(4).uniform_(generator=generator), torch.randint(9, (4,), generator=generator)]

    taped = Tape([generator], {}).record(work)
    generator.manual_seed(3)
    found = [taped.graph(*taped.inputs()) for _ in range(2)]
    generator.manual_seed(3)
    for drawn in found:
        assert all(torch.equal(one, other) for one, other in zip(drawn, work(), strict=True))


def test_what_cannot_be_a_graph_is_named():
    generator, memory = torch.Generator(), torch.zeros(4)
    halves = memory[:2], memory[1:]

    def by_values() -> list[Tensor]:
        return [torch.multinomial(memory + 1, 2, generator=generator)]

    def elsewhere() -> list[Tensor]:
        return [torch.rand(3, generator=torch.Generator())]

    def shared() -> list[Tensor]:
        return [halves[0].add_(1) + halves[1][:2]]

    for work, says in [
        (by_values, "multinomial.default draws by values that the step computes"),
        (elsewhere, "rand.generator draws from a generator that is none of the step's"),
        (shared, r"a tensor of shape \(3,\) is a part of another that is written to"),
    ]:
        with pytest.raises(RuntimeError, match=says):
            Tape([generator], {}).record(work)
    assert torch.equal(memory, torch.zeros(4))


def test_a_step_without_a_graph_goes_on_as_it_is():
    plain, other = (LocalTrainer(_learner(DeeperForward(), MLP(width=16, depth=2)), SETTINGS) for _ in range(2))

    def refuse(graph: fx.GraphModule, inputs: list[Tensor]) -> fx.GraphModule:
        raise RuntimeError("no such operation\nmore")

    with pytest.warns(
        UserWarning, match="steps run without compiled programs: the recording failed: no such operation$"
    ):
        _assert_same(plain, CapturedTrainer(other, CompiledPrograms(refuse)))


def test_where_nothing_can_be_compiled_the_way_out_is_named():
    with pytest.raises(ValueError, match="is on cuda:0: train on the CPU, or take capture 'auto' in its place"):
        check_compilable(torch.device("cuda", 0))
    found_none = pytest.raises(ValueError, match="needs a C\\+\\+ compiler and found none: install g")
    with inductor_config.patch({"cpp.cxx": ("no-such-compiler",)}), found_none:
        check_compilable(torch.device("cpu"))


def test_a_program_is_tried_once_and_undone():
    generator, weight = torch.Generator(), torch.ones(3)

    def work() -> list[Tensor]:
        weight.add_(torch.rand(3, generator=generator))
        return [weight * 2]

    def aside() -> list[Tensor]:
        made = weight * 2
        made.numpy()[:] += 1  # no operation of torch
        return [made]

    def failing(graph: fx.GraphModule, inputs: list[Tensor]) -> Any:
        def program(*inputs: Tensor) -> list[Tensor]:
            graph(*inputs)
            raise TypeError("expected a tensor")

        return program

    assert len(recorded_programs().record(work, [generator])()) == 1
    weight.fill_(1)
    with pytest.raises(RuntimeError, match="give other numbers when they are repeated"):
        recorded_programs().record(aside, [])
    with pytest.raises(TypeError, match="expected a tensor"):
        CompiledPrograms(failing).record(work, [generator])
    assert torch.equal(weight, torch.ones(3))


class Recurrent(torch.nn.Module):
    """An LSTM, which keeps what its gradient needs only where gradients are on."""

    def __init__(self, index: int):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, WIDTH, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.unsqueeze(2))[0][:, -1]


class Noisy(torch.nn.Module):
    """Adds noise by operations that take no generator."""

    def __init__(self, index: int):
        super().__init__()
        self.linear = torch.nn.Linear(WIDTH if index else FEATURES, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(x)
        return torch.relu(h + torch.randn_like(h)) + torch.rand_like(h) * h[torch.randperm(len(h))]


@pytest.mark.parametrize("body", [Recurrent, Noisy])
def test_recorded_steps_of_such_bodies_are_the_plain_ones(body: type[torch.nn.Module]):
    plain, other = (LocalTrainer(make_learner(depth=2, body=body), SETTINGS, seed=3) for _ in range(2))
    captured = CapturedTrainer(other, recorded_programs())
    for step in range(6):
        expected = plain.step(*batch(seed=step), step=step)
        assert torch.equal(captured.step(*batch(seed=step), step=step), expected), step
    assert captured.reason is None
