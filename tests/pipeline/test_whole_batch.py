"""What looks at a batch as a whole: replicas that each have a share of it learn what one process learns from all."""

import copy
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from launcher import Launcher
from test_pipelined_equals_sequential import SHAPE, toy
from torch import Tensor

from onward.algorithms import (
    ALGORITHMS,
    HCLFF,
    Algorithm,
    CaFo,
    DeeperForward,
    MonoForward,
    PredSim,
    RandomFeatures,
    UnsupervisedForwardForward,
)
from onward.core import Learner, LocalTrainer, TrainerSettings, split
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, Airbench, TinyCNN, Trifecta6
from onward.nets.net import Architecture
from onward.pipeline import check_replicas, see_whole_batch
from onward.pipeline.replicas import Peers
from onward.pipeline.run import Pipelining
from onward.runs import RunOptions, load_model, train

REPLICAS, BATCH = 2, 8


class _Together(Peers):
    """Replicas in threads of one process, with what `Peers` offers."""

    def __init__(self, rank: int, board: list[Tensor | None], barrier: threading.Barrier):
        self.number, self.rank, self.board, self.barrier = REPLICAS, rank, board, barrier

    def gather(self, tensor: Tensor) -> Tensor:
        self.board[self.rank] = tensor.detach().clone()
        self.barrier.wait(timeout=30)
        found = torch.stack([share for share in self.board if share is not None])
        self.barrier.wait(timeout=30)
        return found

    def combine(self, tensor: Tensor, how: object = None) -> None:
        tensor.copy_(self.gather(tensor).sum(dim=0))


def _gradients(learner: Learner, x: Tensor, y: Tensor, rank: int, number: int) -> list[Tensor]:
    """Return the gradients of one step on share `rank` of `number`, as optimizers get to see them."""
    trainer = LocalTrainer(learner, TrainerSettings(), seed=1, first_piece=rank)
    found = {}

    def keep(optimizers: Sequence[object]) -> None:
        found.update(
            {name: p.grad for name, p in learner.named_parameters() if p.grad is not None and name not in found}
        )

    trainer.joint.step = keep
    stream, target = trainer.enter(x, y, step=0)
    trainer.update_pieces(split(stream, target, number)[rank : rank + 1], learner.turns[0], step=0)
    return [found.get(name, torch.zeros_like(p)) for name, p in learner.named_parameters()]


def _in_threads(learners: list[Learner], x: Tensor, y: Tensor) -> list[list[Tensor]]:
    found: list[list[Tensor]] = [[] for _ in learners]
    board: list[Tensor | None] = [None] * REPLICAS
    barrier = threading.Barrier(REPLICAS)

    def run(rank: int) -> None:
        try:
            peers = _Together(rank, board, barrier)
            see_whole_batch(learners[rank].blocks, peers)  # pyright: ignore[reportArgumentType]
            found[rank] = _gradients(learners[rank], x, y, rank, REPLICAS)
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(REPLICAS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


_CASES: list[tuple[Algorithm, Architecture]] = [
    *[(algorithm(), MLP(width=20, depth=2)) for algorithm in ALGORITHMS],
    (DeeperForward(), Trifecta6(width=10)),
    (MonoForward(), Airbench(width=4)),
    (CaFo(), Airbench(width=4)),
    (RandomFeatures(), Airbench(width=4)),
    (PredSim(), TinyCNN(width=10, dropout=0.0)),
    (HCLFF(), TinyCNN(width=10, dropout=0.0)),
    (UnsupervisedForwardForward(peer_weight=0.1), MLP(width=20, depth=2)),
]


@pytest.mark.parametrize(("algorithm", "net"), _CASES, ids=lambda case: type(case).__name__)
def test_gradients_and_statistics_of_shares_are_those_of_the_whole_batch(
    algorithm: Algorithm, net: Architecture, monkeypatch: pytest.MonkeyPatch
):
    # Replicas are processes; here they are threads, which wait for each other while they draw.
    monkeypatch.setattr("onward.core.seeds.DRAWING", nullcontext())
    torch.manual_seed(0)
    whole = algorithm(net(SHAPE, 10), 10).double().train()
    check_replicas(whole, REPLICAS, BATCH, 1)
    shares = [copy.deepcopy(whole) for _ in range(REPLICAS)]
    x, y = torch.rand(BATCH, *SHAPE, dtype=torch.float64), torch.arange(BATCH) % 4
    expected = _gradients(whole, x, y, 0, 1)
    found = _in_threads(shares, x, y)
    assert any(gradient.abs().sum() > 0 for gradient in expected)
    for total, *parts in zip(expected, *found, strict=True):
        torch.testing.assert_close(sum(parts), total)
    for share in shares:
        for (name, ours), theirs in zip(share.named_buffers(), whole.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}")


def test_without_help_a_share_learns_something_else():
    torch.manual_seed(0)
    whole = DeeperForward()(Trifecta6(width=10)(SHAPE, 10), 10).double().train()
    x, y = torch.rand(BATCH, *SHAPE, dtype=torch.float64), torch.arange(BATCH)
    parts = [_gradients(copy.deepcopy(whole), x, y, rank, REPLICAS) for rank in range(REPLICAS)]
    expected = _gradients(whole, x, y, 0, 1)
    close = [
        torch.allclose(torch.stack(shares).sum(dim=0), whole) for *shares, whole in zip(*parts, expected, strict=True)
    ]
    assert not all(close)


def test_processes_that_share_batches_of_a_normalizing_network_learn_as_one(
    launcher: Launcher, tmp_path: Path, place: dict
):
    recipe = toy(DeeperForward(), Trifecta6(width=10), optimizer="sgd", ema_decay=None, learning_rate=0.1)
    recipe = replace(recipe, epochs=1, data=DataSettings(name="digits", augmentation=Augmentation(flip=True)))
    launch = launcher.start(recipe, place, 4, how=Pipelining(stages=(3, 3), replicas=2))
    whole, _ = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    ours, theirs = (load_model(run)[0].blocks for run in (tmp_path / "runs" / "toy" / "seed-0", whole.path))
    for left, right in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):  # pyright: ignore
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-5)
