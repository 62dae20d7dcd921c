"""Algorithm x network x images: put together and trained by a step, or refused when they are put together."""

import random
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from fuzz_case import Case, Target, Unclear, Wrong
from torch import Tensor

from onward.algorithms import ALGORITHMS, Backprop, DeepSupervision
from onward.core import Learner, TrainerSettings
from onward.nets import NETS
from onward.runs import ModelSpec
from onward.runs.trial import try_out
from onward.training import OnlineLearning

_HEAVY = ("ResNet100", "ResNet33", "Plain17", "ResNet17", "VGG14", "Trifecta12", "TopographicMaps")
"""Networks of so many layers or weights that they are drawn seldom."""

_NEVER = ("CFSE", "CFSE6")
"""Those whose step takes seconds."""


@dataclass
class World:
    """Networks, the light ones several times."""

    nets: list[type]


def prepare(folder: Path) -> World:
    learner = _spec(random.Random(0), ALGORITHMS[0](), NETS[0](width=12, depth=1), (1, 8, 8), 3).build()
    _step(learner, torch.zeros(4, 1, 8, 8), torch.arange(4) % 3, TrainerSettings())  # imports half of torch
    light = [net for net in NETS if net.__name__ not in (*_HEAVY, *_NEVER)]
    return World([*light * 8, *(net for net in NETS if net.__name__ in _HEAVY)])


def case(case: Case, world: World) -> None:
    algorithm = _algorithm(case)
    net = _made(case, case.draw.choice(world.nets))
    side = case.draw.choice((1, 2, 5, 8, 8, 12, 16))
    shape = (case.draw.choice((1, 3)), side, side if case.chance(0.8) else case.draw.choice((1, 3, 9)))
    classes = case.draw.choice((2, 3, 4, 7, 10, 10, 13))
    settings = _settings(case)
    case.note(f"{algorithm} on {net}, {shape}, {classes} classes, {settings}")
    count = case.draw.choice((1, 2, 4, 6))
    spec = _spec(case.draw, algorithm, net, shape, classes)
    try_out(spec.build(), settings, batch_size=count)
    learner = spec.build(seed=1)
    x = torch.rand(count, *shape, generator=torch.Generator().manual_seed(case.draw.getrandbits(30)))
    y = torch.tensor([case.draw.randrange(classes) for _ in range(count)])
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    small = side < 5 or min(shape) < 5
    try:
        _step(learner, x, y, settings)
    except (ValueError, OSError) as error:
        if small and "not finite" in str(error):  # of a pixel or two there is nothing to learn
            raise
        raise Unclear(f"refused by the step, not when it was put together: {error}") from None
    _check(learner, before, x, classes, small=small, every=not small and getattr(net, "width", 10) >= 10)


def _spec(draw: random.Random, algorithm: Any, net: Any, shape: tuple[int, int, int], classes: int) -> ModelSpec:
    channels = shape[0]
    names = tuple(str(k) for k in range(classes))
    return ModelSpec(algorithm, net, shape, names, (0.5,) * channels, (draw.choice((0.1, 0.3)),) * channels)


def _step(learner: Learner, x: Tensor, y: Tensor, settings: TrainerSettings) -> None:
    online = OnlineLearning(learner, settings, seed=1)
    for step in range(max(2, len(learner.turns))):
        losses = online.partial_fit(x, y)
        if not losses.isfinite().all():
            raise Wrong(f"losses {losses.tolist()} in step {step}")


def _check(learner: Learner, before: dict[str, Tensor], x: Tensor, classes: int, *, small: bool, every: bool) -> None:
    after = learner.state_dict()
    for name, value in after.items():
        if value.is_floating_point() and not value.isfinite().all() and before[name].isfinite().all():
            raise Wrong(f"{name} is not finite")
    parameters = [name for name, p in learner.named_parameters() if p.requires_grad]
    # A pixel alone is brought to zero by the normalization of samples.
    if not small and all(torch.equal(after[name], before[name]) for name in before):
        raise Wrong("nothing was learned")
    ends = {span.last for span in learner.spans}
    for k in ends if every else ():
        mine = [name for name in parameters if name.startswith(f"blocks.{k}.")]
        if mine and all(torch.equal(after[name], before[name]) for name in mine):
            raise Wrong(f"block {k} was not trained")
    learner.eval()
    try:
        found = learner.predict_scores(x)
    except ValueError as error:
        if "not fitted" not in str(error):
            raise
        return
    if found.shape != (len(x), classes) or not found.isfinite().all():
        raise Wrong(f"scores of shape {tuple(found.shape)}, finite: {bool(found.isfinite().all())}")


def _algorithm(case: Case) -> Any:
    kind = case.draw.choice(ALGORITHMS)
    if kind in (Backprop, DeepSupervision) and case.chance(0.5):
        return kind(of=_made(case, case.draw.choice(ALGORITHMS[2:])))
    return _made(case, kind)


def _made(case: Case, kind: type) -> Any:
    """Return settings of a kind, small where they are sizes, with a field or two drawn anew."""
    hints, chosen = get_type_hints(kind), {}
    for field in fields(kind):
        hint = hints[field.name]
        if field.name in ("width", "channels", "units", "hidden") and hint is int:
            chosen[field.name] = case.draw.choice((1, 4, 6, 10, 12, 20, 30))
        elif field.name == "depth" and hint is int:
            chosen[field.name] = case.draw.choice((1, 2, 3))
        elif case.chance(0.15):
            found = _drawn(case, hint, getattr(field, "default", None))
            if found is not None:
                chosen[field.name] = found
    if "features" in hints:  # thousands of them take a processor many seconds to solve for
        chosen.setdefault("features", 64)
    return kind(**chosen)


def _drawn(case: Case, hint: Any, default: Any) -> Any:
    if (
        get_origin(hint) is not None
        and get_origin(hint) is not type
        and all(isinstance(choice, str | int | float) for choice in get_args(hint))
    ):
        return case.draw.choice(get_args(hint))
    if hint is bool:
        return case.draw.choice((True, False))
    if hint is int:
        return case.draw.choice((-1, 0, 1, 2, 3, 5, 8))
    if hint is float:
        return case.draw.choice((-1.0, 0.0, 0.1, 0.5, 1.0, 2.0, float("nan"), float("inf")))
    return None


def _settings(case: Case) -> TrainerSettings:
    return TrainerSettings(
        optimizer=case.draw.choice(("adamw", "adam", "sgd", "adafactor", "muon")),
        learning_rate=1e-3,
        precision=case.draw.choice(("fp32", "fp32", "bf16")),
        micro_batches=case.draw.choice((1, 1, 1, 2)),
        recompute=case.chance(0.1),
        channels_last=case.chance(0.5),
    )


TARGET = Target("combinations", 3, prepare, case)
