"""What is exchanged between two recorded steps counts in the next one, as in plain steps; and what an error leaves."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
import torch
from core_toys import batch, make_learner
from torch import Tensor, fx, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from onward.core import CapturedTrainer, CompiledPrograms, LocalTrainer, TrainerSettings, recorded_programs, seeds
from onward.core.draws import drawing_from
from onward.parts.objective.class_scores import CrossEntropy

SETTINGS = TrainerSettings(learning_rate=0.0078125, clip_norm=1.0)


def body(index: int) -> nn.Module:
    return nn.Sequential(nn.Linear(12 if index else 10, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2))


def _trainers(body: Callable[[int], nn.Module] = body) -> tuple[LocalTrainer, CapturedTrainer]:
    plain, other = (LocalTrainer(make_learner(body=body).train(), SETTINGS, seed=3) for _ in range(2))
    return plain, CapturedTrainer(other, recorded_programs())


def _assert_same_steps(plain: LocalTrainer, captured: CapturedTrainer, steps: range) -> None:
    for step in steps:
        expected = plain.step(*batch(seed=step), step=step)
        assert torch.equal(captured.step(*batch(seed=step), step=step), expected), step
    for name, value in plain.learner.state_dict().items():
        assert torch.equal(value, captured.trainer.learner.state_dict()[name]), name
    for one, other in zip(plain.optimizers, captured.trainer.optimizers, strict=True):
        for name, value in one.state().items():
            assert torch.equal(value, other.state()[name]), name


def _layer(trainer: LocalTrainer, name: str = "0") -> Any:
    return trainer.learner.blocks[1].body.get_submodule(name)


def _halve(trainer: LocalTrainer) -> None:
    _layer(trainer).weight.data = _layer(trainer).weight.data * 0.5


def _set(trainer: LocalTrainer, **values: Any) -> None:
    for optimizer in trainer.optimizers:
        optimizer.parts[0].optimizer.param_groups[0].update(values)


def _loaded(trainer: LocalTrainer) -> None:
    own = trainer.optimizers[1]
    own.load_state({name: value.clone() for name, value in own.state().items()})


def _left_over(trainer: LocalTrainer) -> None:
    _layer(trainer).weight.grad = torch.ones_like(_layer(trainer).weight)


EXCHANGES: dict[str, Callable[[LocalTrainer], object]] = {
    "mode of an inner module": lambda trainer: _layer(trainer, "1").eval(),
    "frozen weights": lambda trainer: _layer(trainer).requires_grad_(False),
    "number of a module": lambda trainer: setattr(_layer(trainer, "3"), "p", 0.6),
    "module": lambda trainer: setattr(trainer.learner.blocks[1].body, "2", nn.Tanh()),
    "memory of a weight": _halve,
    "buffer": lambda trainer: setattr(_layer(trainer, "1"), "running_mean", torch.zeros(12)),
    "hook": lambda trainer: _layer(trainer).register_forward_hook(lambda module, args, out: out * 0.5),
    "hook of a weight": lambda trainer: _layer(trainer).weight.register_hook(lambda gradient: gradient * 0.5),
    "objective": lambda trainer: setattr(trainer.learner.blocks[1], "objective", CrossEntropy(0.3)),
    "preparation": lambda trainer: setattr(trainer.learner, "prepare", nn.Tanh()),
    "number of an optimizer": lambda trainer: _set(trainer, weight_decay=0.3),
    "state of an optimizer": _loaded,
    "no state": lambda trainer: trainer.optimizers[1].parts[0].optimizer.state.clear(),
    "clipping": lambda trainer: setattr(trainer.optimizers[1], "clip_norm", 0.01),
    "settings": lambda trainer: setattr(trainer, "settings", replace(SETTINGS, precision="bf16")),
    "gradient": _left_over,
}


def _while_it_records_or_replays() -> Iterator[Any]:
    """Yield every exchange after three steps and after six; one of them is slow, in turn."""
    for number, exchange in enumerate(EXCHANGES):
        for turn, before in enumerate((3, 6)):
            marks = [pytest.mark.slow] if turn == number % 2 else []
            yield pytest.param(exchange, before, marks=marks, id=f"{exchange}-{before}")


@pytest.mark.filterwarnings("ignore:steps run without")
@pytest.mark.parametrize(("exchange", "before"), [*_while_it_records_or_replays()])
def test_what_is_exchanged_counts(exchange: str, before: int):
    plain, captured = _trainers()
    _assert_same_steps(plain, captured, range(before))
    for trainer in (plain, captured.trainer):
        EXCHANGES[exchange](trainer)
    _assert_same_steps(plain, captured, range(before, 12))


def test_the_same_state_is_recorded_once():
    plain, captured = _trainers()
    _assert_same_steps(plain, captured, range(5))
    recorded = [work.repeat for work in captured._recorded.values()]
    for trainer in (plain, captured.trainer):
        trainer.set_learning_rate(0.00390625)
        trainer.learner.load_state_dict({name: value * 1 for name, value in trainer.learner.state_dict().items()})
    _assert_same_steps(plain, captured, range(5, 8))
    assert recorded == [work.repeat for work in captured._recorded.values()] and all(recorded)


@pytest.mark.filterwarnings("ignore:steps run without")
@pytest.mark.parametrize("register", [register_module_forward_hook, register_optimizer_step_pre_hook])
def test_hooks_of_all_modules_and_optimizers_run(register: Callable[[Any], Any]):
    _, captured = _trainers()
    for step in range(6):
        captured.step(*batch(seed=step), step=step)
    ran: list[int] = []
    hook = register(lambda *args: ran.append(1) and None)
    try:
        captured.step(*batch(seed=6), step=6)
    finally:
        hook.remove()
    assert ran


class Stopping(nn.Module):
    """Stops the step when it is told to, like a key pressed in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        if STOP:
            STOP.pop()
            raise KeyboardInterrupt
        return nn.functional.dropout(self.linear(x), 0.2, self.training)


STOP: list[bool] = []


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_step_that_was_interrupted_leaves_no_gradients(before: int, together: bool):
    settings = replace(SETTINGS, step_together=together, micro_batches=2)
    learners = [make_learner(body=lambda index: Stopping() if index == 1 else body(index)).train() for _ in range(2)]
    plain, other = (LocalTrainer(learner, settings, seed=3) for learner in learners)
    captured = CapturedTrainer(other, recorded_programs())
    _assert_same_steps(plain, captured, range(before))
    for trainer in (plain, captured):
        STOP.append(True)
        with pytest.raises(KeyboardInterrupt):
            trainer.step(*batch(seed=before), step=before)
    assert not any(p.grad is not None for learner in learners for p in learner.parameters())
    if before < 3:  # a recording changes nothing before it is interrupted, and the plain step all blocks before this
        _assert_same_steps(plain, captured, range(before, 9))
    assert captured.reason is None


def test_the_callers_modes_do_not_count():
    plain, captured = _trainers()
    for step in range(8):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            found = captured.step(*batch(seed=step), step=step)
        assert torch.equal(found, plain.step(*batch(seed=step), step=step)), step
    assert captured.reason is None and all(work.repeat for work in captured._recorded.values())


def test_whatever_a_compiler_raises_steps_go_on():
    def broken(graph: fx.GraphModule, inputs: list[Tensor]) -> fx.GraphModule:
        raise KeyError("no such kernel")

    plain, other = (LocalTrainer(make_learner(), SETTINGS, seed=3) for _ in range(2))
    with pytest.warns(UserWarning, match="steps run without compiled programs: the recording failed: 'no such kernel'"):
        _assert_same_steps(plain, CapturedTrainer(other, CompiledPrograms(broken)), range(6))


def test_other_threads_wait_while_a_recording_draws():
    entered: list[bool] = []
    with drawing_from(torch.Generator(), torch.device("cpu")):
        other = Thread(target=lambda: entered.append(seeds.DRAWING.acquire(blocking=False)))
        other.start()
        other.join()
    assert entered == [False]


class Complex(nn.Module):
    def __init__(self, index: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(12 if index else 10, 12, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(torch.complex64) @ self.weight).real


def test_complex_weights_take_plain_steps():
    plain, captured = _trainers(Complex)
    with pytest.warns(UserWarning, match="reads a value on the host"):
        captured.step(*batch(seed=0), step=0)
        captured.step(*batch(seed=1), step=1)
        captured.step(*batch(seed=2), step=2)
    expected = torch.stack([plain.step(*batch(seed=step), step=step) for step in range(6)])
    found = torch.stack([captured.step(*batch(seed=step), step=step) for step in range(3, 6)])
    torch.testing.assert_close(found, expected[3:])  # rates on the device are rounded to fp32


def test_averages_of_shared_weights_are_not_recorded():
    shared = nn.Linear(12, 12)
    learner = make_learner(body=lambda index: nn.Sequential(shared) if index else body(0))
    with pytest.warns(UserWarning, match="blocks with the same weights, make two in a step"):
        CapturedTrainer(LocalTrainer(learner, replace(SETTINGS, ema_decay=0.9)), recorded_programs())
