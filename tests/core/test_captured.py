"""The captured step without a device: a double repeats work as it was recorded, on the buffers of its recording.

It runs the recorded Python again, whose step number is that of the recording; batches are overwritten after their step.
What does not come through buffers, generators and rates of the recording is therefore wrong, and seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from core_toys import batch, make_learner
from torch import Tensor

from onward.algorithms import SCFF, Algorithm, Backprop, DeeperForward, ForwardForward, LayerCollaboration, Trifecta
from onward.core import CapturedTrainer, CudaGraphs, Graphs, Learner, LocalTrainer, TrainerSettings, pairs, split
from onward.nets import MLP, Architecture, TinyCNN

SHAPE, CLASSES, STEPS = (1, 8, 8), 4, 9
SETTINGS = TrainerSettings(learning_rate=0.0078125)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Repeated(Graphs):
    """Does recorded work again, as a graph would."""

    name = "CUDA graphs"

    def __init__(self) -> None:
        self.records = 0

    def warm(self, work: Callable[[], object]) -> None:
        work()

    def record(
        self, work: Callable[[], list[Tensor]], generators: Sequence[torch.Generator]
    ) -> Callable[[], list[Tensor]]:
        self.records += 1
        return work


class Refusing(Repeated):
    def record(
        self, work: Callable[[], list[Tensor]], generators: Sequence[torch.Generator]
    ) -> Callable[[], list[Tensor]]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")


def _learner(algorithm: Algorithm, net: Architecture) -> Learner:
    torch.manual_seed(0)
    return algorithm(net(SHAPE, CLASSES), CLASSES).train()


def _images(step: int, rows: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.rand(rows, *SHAPE, generator=generator), torch.randint(0, CLASSES, (rows,), generator=generator)


def _step(stepper: LocalTrainer | CapturedTrainer, x: Tensor, y: Tensor, step: int) -> list[Tensor]:
    """One step as a training takes it, on a batch that is gone afterwards."""
    trainer = stepper.trainer if isinstance(stepper, CapturedTrainer) else stepper
    trainer.set_learning_rate(2.0 ** -(7 + step % 3))
    pieces = split(*stepper.enter(x, y, step=step), trainer.settings.micro_batches)
    spans = trainer.learner.turns[step % len(trainer.learner.turns)]
    losses = [loss.clone() for loss in stepper.update_pieces(pieces, spans, step=step)]
    if isinstance(stepper, CapturedTrainer):
        x.fill_(float("nan"))
        y.zero_()
    return losses


def _assert_same(plain: LocalTrainer, captured: CapturedTrainer, batches: Sequence[int] = (12,) * STEPS) -> None:
    """Losses, weights, buffers and optimizer state are those of plain steps, bit for bit."""
    state = torch.get_rng_state()
    for step, rows in enumerate(batches):
        expected = _step(plain, *_images(step, rows), step)
        assert torch.equal(torch.stack(_step(captured, *_images(step, rows), step)), torch.stack(expected)), step
    for name, value in plain.learner.state_dict().items():
        assert torch.equal(value, captured.trainer.learner.state_dict()[name]), name
    for one, other in zip(plain.optimizers, captured.trainer.optimizers, strict=True):
        for name, value in one.state().items():
            assert torch.equal(value, other.state()[name]), name
    assert torch.equal(torch.get_rng_state(), state)


CASES = {
    "dropout": (DeeperForward(), TinyCNN(width=4, dropout=0.2), SETTINGS),
    "wrong labels": (ForwardForward(), MLP(width=16, depth=2), SETTINGS),
    "drawn views": (SCFF(), MLP(width=16, depth=2), SETTINGS),
    "turns": (Trifecta(), MLP(width=16, depth=4), SETTINGS),
    "overlapping spans": (LayerCollaboration(), MLP(width=16, depth=3), SETTINGS),
    "micro-batches": (DeeperForward(), TinyCNN(width=4, dropout=0.2), replace(SETTINGS, micro_batches=2)),
    "recomputing": (Backprop(of=DeeperForward()), TinyCNN(width=4, dropout=0.2), replace(SETTINGS, recompute=True)),
    "average": (DeeperForward(), MLP(width=16, depth=2), replace(SETTINGS, ema_decay=0.9, clip_norm=0.5)),
    "sgd": (DeeperForward(), MLP(width=16, depth=2), replace(SETTINGS, optimizer="sgd")),
    "one optimizer step": (
        DeeperForward(),
        MLP(width=16, depth=3),
        replace(SETTINGS, step_together=True, ema_decay=0.9),
    ),
    "bf16": (DeeperForward(), TinyCNN(width=4, dropout=0.2), replace(SETTINGS, precision="bf16")),
}


@pytest.mark.parametrize("case", CASES)
def test_repeated_steps_are_the_plain_ones(case: str):
    algorithm, net, settings = CASES[case]
    graphs = Repeated()
    plain, other = (LocalTrainer(_learner(algorithm, net), settings, seed=7) for _ in range(2))
    captured = CapturedTrainer(other, graphs)
    _assert_same(plain, captured)
    assert captured.reason is None
    assert graphs.records == 1 + len(plain.learner.turns)  # what comes before the blocks, and each turn


def test_muon_is_equal_to_rounding():
    settings = replace(SETTINGS, optimizer="muon")
    plain, other = (LocalTrainer(_learner(DeeperForward(), MLP(width=16, depth=2)), settings) for _ in range(2))
    captured = CapturedTrainer(other, Repeated())
    for step in range(6):
        expected = torch.stack(_step(plain, *_images(step), step))
        torch.testing.assert_close(torch.stack(_step(captured, *_images(step), step)), expected)
    assert captured.reason is None


def test_a_smaller_batch_runs_as_it_is():
    graphs = Repeated()
    plain, other = (LocalTrainer(_learner(DeeperForward(), TinyCNN(width=4, dropout=0.2)), SETTINGS) for _ in range(2))
    _assert_same(plain, CapturedTrainer(other, graphs), batches=(12, 12, 5) * 5)
    assert graphs.records == 2


def test_a_phase_that_trains_other_blocks_is_recorded_apart():
    graphs, learner = Repeated(), _learner(DeeperForward(), MLP(width=16, depth=3))
    captured = CapturedTrainer(LocalTrainer(learner, SETTINGS), graphs)
    for step in range(10):
        learner.blocks[0].train(step < 5)
        _step(captured, *_images(step), step)
    assert graphs.records == 3


def test_what_stands_against_a_graph_is_named_once_and_steps_go_on():
    learners = [_learner(DeeperForward(), MLP(width=16, depth=2)) for _ in range(2)]
    for learner in learners:
        learner.blocks[1].body.register_forward_hook(lambda module, args, out: out * 0.5)  # pyright: ignore[reportOperatorIssue]
    plain, other = (LocalTrainer(learner, SETTINGS) for learner in learners)
    captured = CapturedTrainer(other, Repeated())
    with pytest.warns(UserWarning, match=r"without CUDA graphs: blocks\.1\.body has hooks") as caught:
        _assert_same(plain, captured)
    assert len(caught) == 1 and captured.reason is not None


def test_adafactor_runs_as_it_is():
    settings = replace(SETTINGS, optimizer="adafactor")
    plain, other = (LocalTrainer(_learner(DeeperForward(), MLP(width=16, depth=2)), settings) for _ in range(2))
    captured = CapturedTrainer(other, Repeated())
    with pytest.warns(UserWarning, match="reads a value on the host"):
        _assert_same(plain, captured)


def test_a_recording_that_fails_leaves_plain_steps():
    plain, other = (LocalTrainer(_learner(DeeperForward(), MLP(width=16, depth=2)), SETTINGS) for _ in range(2))
    captured = CapturedTrainer(other, Refusing())
    with pytest.warns(UserWarning, match="the recording failed: operation not permitted when stream is capturing$"):
        _assert_same(plain, captured)


def test_averages_in_overlapping_spans_are_not_recorded():
    trainer = LocalTrainer(make_learner(pairs), replace(SETTINGS, ema_decay=0.9))
    with pytest.warns(UserWarning, match="overlapping spans"):
        assert CapturedTrainer(trainer, Repeated()).reason is not None


def test_loaded_state_is_recorded_anew():
    graphs = Repeated()
    plain, other = (LocalTrainer(make_learner(), SETTINGS, seed=3) for _ in range(2))
    captured = CapturedTrainer(other, graphs)
    for step in range(5):
        _step(plain, *batch(seed=step), step)
        _step(captured, *batch(seed=step), step)
    for optimizer in other.optimizers:
        optimizer.load_state({name: value.clone() for name, value in optimizer.state().items()})
    captured.forget()
    for step in range(5, 10):
        expected = torch.stack(_step(plain, *batch(seed=step), step))
        assert torch.equal(torch.stack(_step(captured, *batch(seed=step), step)), expected)
    assert graphs.records == 4


def test_a_whole_step_is_that_of_a_trainer():
    plain, other = (LocalTrainer(make_learner(), SETTINGS, seed=3) for _ in range(2))
    graphs = Repeated()
    captured = CapturedTrainer(other, graphs)
    for step in range(STEPS):
        x, y = batch(seed=step)
        assert torch.equal(captured.step(x, y, step=step), plain.step(x, y, step=step))
    assert graphs.records == 2


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize("case", CASES)
def test_graphs_on_a_device_are_the_plain_steps(case: str):
    algorithm, net, settings = CASES[case]
    device = torch.device("cuda")
    plain, other = (LocalTrainer(_learner(algorithm, net).to(device), settings, seed=7) for _ in range(2))
    captured = CapturedTrainer(other, CudaGraphs(device))
    for step in range(STEPS):
        x, y = (tensor.to(device) for tensor in _images(step))
        expected = torch.stack(_step(plain, x.clone(), y.clone(), step))
        torch.testing.assert_close(torch.stack(_step(captured, x, y, step)), expected, rtol=1e-3, atol=1e-4)
    assert captured.reason is None
