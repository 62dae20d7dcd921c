"""Arrays and settings to `partial_fit` and `fit`: learned as in another form, or refused and nothing learned."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fuzz_arrays import World as Arrays
from fuzz_arrays import prepare as prepare_arrays
from fuzz_arrays import row_names
from fuzz_case import Case, Target, Wrong, unchanged_if_refused
from fuzz_forms import images_of, labels_of
from torch import Tensor

from onward.algorithms import ALGORITHMS
from onward.core import Learner, TrainerSettings
from onward.nets import MLP
from onward.runs import fit
from onward.training import OnlineLearning


@dataclass
class World:
    """The world of arrays, and of each learner its weights."""

    arrays: Arrays
    weights: dict[str, dict[str, Tensor]]


def prepare(folder: Path) -> World:
    arrays = prepare_arrays(folder)
    fit(ALGORITHMS[0](), MLP(width=12, depth=1), arrays.data, epochs=1, device="cpu")  # imports half of torch
    return World(arrays, {name: _weights(learner) for name, learner in arrays.learners.items()})


def _weights(learner: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in learner.state_dict().items()}


def case(case: Case, world: World) -> None:
    (_fit if case.chance(0.06) else _partial_fit)(case, world)


def _partial_fit(case: Case, world: World) -> None:
    arrays = world.arrays
    name = case.pick(sorted(arrays.learners))
    learner = arrays.learners[name]
    rate = case.pick((0.01, 0.01, 0.01, 0.01, 1e38, 1e300)) if case.chance(0.1) else 0.01
    settings = TrainerSettings(learning_rate=rate, optimizer="sgd" if rate > 1 else "adamw")
    count = case.draw.randrange(4, 9)
    given, kind = images_of(case, arrays.images[:count])
    labels, label_kind = labels_of(case, arrays.labels[:count])
    named_rows = row_names(arrays.labels[:count], learner.class_names, named=False)
    around = case.pick((torch.no_grad, torch.inference_mode, nullcontext)) if case.chance(0.15) else nullcontext
    try:
        online = OnlineLearning(learner, settings)
        with unchanged_if_refused(lambda: _bits(online), "the learner"), around():
            losses = online.partial_fit(given, labels)
        if kind in ("other", "refused") or label_kind == "refused":
            raise Wrong("partial_fit took it")
        if label_kind == "named" and row_names(labels, learner.class_names, named=True) != named_rows:
            raise Wrong("partial_fit took names for those of other classes")
        if online.step != 1 or not losses.isfinite().all():
            raise Wrong(f"step {online.step}, losses {losses.tolist()}")
        _check_weights(learner, world.weights[name])
        found = _weights(learner)
        learner.load_state_dict(world.weights[name])
        if rate < 1:
            again = OnlineLearning(learner, settings)
            again.partial_fit(torch.from_numpy(arrays.images[:count].copy()), torch.from_numpy(arrays.labels[:count]))
            _check_same(found, learner, 0.2 if kind == "rounded" else 0.02)
    finally:
        learner.load_state_dict(world.weights[name])
        learner.eval()


def _bits(online: OnlineLearning) -> list[bytes]:
    states = [online.learner.state_dict(), *(optimizer.state() for optimizer in online.trainer.optimizers)]
    held = [name.encode() + value.numpy().tobytes() for state in states for name, value in sorted(state.items())]
    return [*held, str(online.step).encode(), str(online.learner.training).encode()]


def _check_weights(learner: Learner, before: dict[str, Tensor]) -> None:
    after = learner.state_dict()
    if any(not value.isfinite().all() for value in after.values() if value.is_floating_point()):
        infinite = [k for k, v in after.items() if v.is_floating_point() and not v.isfinite().all()]
        if any(before[name].isfinite().all() for name in infinite):
            raise Wrong(f"{infinite[0]} is not finite")
    if all(torch.equal(value, before[name]) for name, value in after.items()):
        raise Wrong("nothing was learned")


def _check_same(found: dict[str, Tensor], learner: Learner, tolerance: float) -> None:
    for name, value in learner.state_dict().items():
        if value.is_floating_point() and not torch.allclose(found[name], value, atol=tolerance, rtol=tolerance):
            raise Wrong(f"{name} differs by {float((found[name] - value).abs().max()):g}")


def _fit(case: Case, world: World) -> None:
    arrays = world.arrays
    names = sorted(arrays.learners)
    if case.chance(0.97):  # to fit a read-out takes a second
        names = [name for name in names if "linear_readout" not in arrays.learners[name].rules]
    name = case.pick(names)
    more: dict[str, Any] = {"epochs": 1, "batch_size": 8, "seed": 1}
    refused = False
    if case.chance(0.7):
        what, value = case.draw.choice(_BAD)
        more[what], refused = value, True
        case.note(f"{what}={value!r}")
    algorithm = next(algorithm for algorithm in ALGORITHMS if algorithm.__name__ == name)
    learner = fit(algorithm(), MLP(width=12, depth=2), arrays.data, **{"device": "cpu", **more})
    if refused:
        raise Wrong("fit took it")
    _check_weights(learner, world.weights[name])


_BAD: tuple[tuple[str, Any], ...] = (
    *(("epochs", value) for value in (0, -1, 1.5, "1", None, float("nan"), True, 2**70)),
    *(("batch_size", value) for value in (0, -1, 1.5, "8", None, float("inf"), [8])),
    *(("seed", value) for value in (-1, 1.5, "0", None, 2**64, float("nan"))),
    *(("device", value) for value in ("hpu", "privateuseone", "", "cuda:99", "CPU", None, 3, "cpu\x1b[2J", "meta")),
    *(("trainer", value) for value in (3, "adamw", {"learning_rate": 0.1})),
    *(("augmentation", value) for value in (3, "flip", {})),
)

TARGET = Target("online", 15, prepare, case)
