"""One optimizer step over all blocks: the updates of each block alone, gradients held until then, state as ever."""

import copy
from collections import Counter
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from core_toys import WIDTH, batch, head, linear_body, make_learner
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from onward.core import Learner, LocalTrainer, TrainerSettings, pairs, whole
from onward.measure import MemoryMeter

TOGETHER = TrainerSettings(step_together=True)


def _losses(trainer: LocalTrainer, steps: range = range(6)) -> Tensor:
    return torch.stack([trainer.step(*batch(seed=step), step=step) for step in steps])


def _assert_same(one: LocalTrainer, other: LocalTrainer) -> None:
    for name, value in one.learner.state_dict().items():
        assert torch.equal(value, other.learner.state_dict()[name]), name
    for mine, yours in zip(one.optimizers, other.optimizers, strict=True):
        for name, value in mine.state().items():
            assert torch.equal(value, yours.state()[name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adam", "clip_norm": 0.1},
        {"optimizer": "sgd", "ema_decay": 0.9},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "adafactor"},
        {"optimizer": "muon"},
        {"micro_batches": 3},
        {"micro_batches": 5, "recompute": True},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
@pytest.mark.parametrize("spans", [None, whole], ids=["greedy", "backprop"])
def test_losses_weights_and_state_are_those_of_each_block_alone(changes: dict[str, Any], spans: Any):
    made = [make_learner(spans) if spans else make_learner() for _ in range(2)]
    alone, together = (
        LocalTrainer(learner, replace(TOGETHER, step_together=joint, **changes), seed=3)
        for learner, joint in zip(made, (False, True), strict=True)
    )
    assert torch.equal(_losses(alone), _losses(together))
    _assert_same(alone, together)
    assert all(parameter.grad is None for parameter in together.learner.parameters())


@pytest.mark.parametrize(
    ("changes", "at_once"), [({}, 1), ({"optimizer": "sgd"}, 1), ({"optimizer": "adafactor"}, None)]
)
def test_blocks_of_a_span_step_at_once_where_no_intermediate_results_grow(changes: dict[str, Any], at_once: int | None):
    """The blocks of a span have their gradients together anyway; Adafactor's results would be those of all weights."""
    trainer = LocalTrainer(make_learner(whole), TrainerSettings(**changes))
    taken: list[int] = []
    hook = register_optimizer_step_pre_hook(lambda own, *_: taken.append(len(own.param_groups[0]["params"])))
    try:
        trainer.step(*batch(seed=0), step=0)
    finally:
        hook.remove()
    assert len(taken) == (at_once or len(trainer.optimizers))
    assert sum(taken) == len([p for own in trainer.optimizers for p in own.parameters])


def test_blocks_with_learning_rates_of_their_own_keep_them():
    alone, together = (LocalTrainer(make_learner(), replace(TOGETHER, step_together=joint)) for joint in (False, True))
    for trainer in (alone, together):
        for step in range(4):
            for k, optimizer in enumerate(trainer.optimizers):
                optimizer.set_learning_rate(0.01 / (1 + (k + step) % 2))
            trainer.step(*batch(seed=step), step=step)
    _assert_same(alone, together)


def test_state_can_be_saved_and_loaded_on_the_way():
    straight, first = (LocalTrainer(make_learner(), TOGETHER) for _ in range(2))
    _losses(straight)
    _losses(first, range(3))
    resumed = LocalTrainer(make_learner(seed=9), TOGETHER)
    _losses(resumed, range(2))
    resumed.learner.load_state_dict(first.learner.state_dict())
    for own, saved in zip(resumed.optimizers, first.optimizers, strict=True):
        own.load_state({name: value.clone() for name, value in saved.state().items()})
    _losses(resumed, range(3, 6))
    _assert_same(straight, resumed)


def test_gradients_of_all_blocks_are_held_until_the_end():
    def gradients(settings: TrainerSettings) -> int:
        trainer = LocalTrainer(make_learner(depth=8), settings)
        _losses(trainer, range(2))
        with MemoryMeter(trainer, batch()) as meter:
            trainer.step(*batch(), step=2)
        return meter.by_category["gradients"]

    assert gradients(TOGETHER) > 3 * gradients(replace(TOGETHER, step_together=False))


def test_a_micro_batch_goes_through_all_spans_before_the_next_one():
    """Where activities dominate, a step holds less than one that holds the activity of the whole batch at each cut."""

    def peak(settings: TrainerSettings) -> int:
        trainer = LocalTrainer(make_learner(), replace(settings, micro_batches=8))
        rows = batch(4096)
        trainer.step(*rows, step=0)
        with MemoryMeter(trainer, rows) as meter:
            trainer.step(*rows, step=1)
        return meter.peak - sum(tensor.nbytes for tensor in rows)

    assert peak(TOGETHER) < 0.5 * peak(replace(TOGETHER, step_together=False))


class _Counted(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def test_it_is_one_operation_over_all_blocks():
    trainer = LocalTrainer(make_learner(depth=4), TOGETHER)
    _losses(trainer, range(2))
    with _Counted() as counted:
        trainer.step(*batch(), step=2)
    assert counted.names["_fused_adamw_"] == 1


def test_optimizers_of_another_kind_step_as_they_do():
    """Replicas of a pipeline wrap the optimizers, which then add gradients of other processes first."""
    trainer, stepped = LocalTrainer(make_learner(), TOGETHER), []

    class Wrapped:
        def __init__(self, k: int) -> None:
            self.k = k

        def step(self) -> None:
            stepped.append(self.k)

    optimizers: list[Any] = trainer.optimizers
    optimizers[:] = [Wrapped(k) for k in range(3)]
    trainer.step(*batch(), step=0)
    assert stepped == [0, 1, 2]


def test_a_block_that_two_spans_train_in_one_step_needs_its_first_update():
    with pytest.raises(ValueError, match=r"two spans train block 1 in one step.*leave it off"):
        LocalTrainer(make_learner(pairs), TOGETHER)


def test_blocks_with_the_same_weight_are_refused_and_those_of_one_span_are_not():
    shared = torch.nn.Linear(WIDTH, WIDTH)

    def made(**spans: Any) -> Learner:
        return make_learner(body=lambda index: torch.nn.Sequential(shared) if index else linear_body(0), **spans)

    with pytest.raises(ValueError, match=r"two spans train the weight blocks\.2\.body\.0\.weight in one step"):
        LocalTrainer(made(), TOGETHER)
    LocalTrainer(made(spans=whole), TOGETHER)
    shared.requires_grad_(False)
    LocalTrainer(made(), TOGETHER)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_weight_that_blocks_of_a_span_share_moves_once_as_in_a_plain_loop(
    name: Literal["sgd", "adam"], kind: Any, pieces: int
):
    def body(k: int) -> torch.nn.Module:
        return torch.nn.Sequential(shared if k else begin, torch.nn.Tanh())

    torch.manual_seed(0)
    begin, shared = linear_body(0), torch.nn.Linear(WIDTH, WIDTH)
    learner, (x, y) = make_learner(body=body, spans=whole), batch()
    before, twin, twins_head = copy.deepcopy((begin, shared, head(learner.blocks[-1])))
    settings = TrainerSettings(optimizer=name, learning_rate=0.1, momentum=0.0, micro_batches=pieces)
    LocalTrainer(learner, settings).step(x, y, step=0)
    plain = kind([*before.parameters(), *twin.parameters(), *twins_head.parameters()], lr=0.1)
    activity = before(x).tanh()
    for _ in range(2):
        activity = twin(activity).tanh()
    torch.nn.functional.cross_entropy(twins_head(activity), y).backward()
    plain.step()
    torch.testing.assert_close(shared.weight, twin.weight)
    torch.testing.assert_close(head(learner.blocks[-1]).weight, twins_head.weight)
