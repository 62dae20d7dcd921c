"""A small learner, batches and noises for the tests of hardware."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, TrainerSettings, each
from onward.hardware import (
    ActivityNoise,
    Drift,
    ImpulseNoise,
    Mismatch,
    NeuronMismatch,
    Noise,
    Offset,
    PhaseChange,
    PolynomialNoise,
    ProgrammingNoise,
    QuantizedActivities,
    QuantizedInputs,
    QuantizedMemory,
    QuantizedUpdates,
    QuantizedWeights,
    ReadNoise,
    SensorNoise,
    ShotNoise,
    StuckCells,
    UpdateNoise,
)
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.prepare import Standardize
from onward.parts.supervision.labels import LabelInLoss

SHAPE, WIDTH, CLASSES = (1, 4, 4), 8, 3
SETTINGS = TrainerSettings(learning_rate=0.01)

STRONG = (
    Mismatch(0.2),
    Offset(0.1),
    ProgrammingNoise(0.1),
    ReadNoise(0.1),
    Drift(0.05, 0.02),
    StuckCells(0.2, 0.1),
    PhaseChange(60.0),
    PolynomialNoise((0.02, 0.05)),
    ShotNoise(20.0),
    ImpulseNoise(0.2),
    SensorNoise(0.1),
    NeuronMismatch(0.2),
    ActivityNoise(0.1),
    UpdateNoise(0.5),
    QuantizedWeights(4),
    QuantizedWeights(3, stochastic=True),
    QuantizedActivities(4),
    QuantizedInputs(4, stochastic=True),
    QuantizedUpdates(4),
    QuantizedMemory(4),
)
"""Every kind of noise, strong enough to be seen."""

IDEAL = (
    Mismatch(0.0),
    Offset(0.0),
    ProgrammingNoise(0.0),
    ReadNoise(0.0),
    Drift(0.0),
    Drift(0.05, 0.01, seconds=20.0),
    StuckCells(),
    PhaseChange(0.0, programming=0.0, read=0.0),
    PolynomialNoise((0.02, 0.05), scale=0.0),
    ShotNoise(),
    ImpulseNoise(0.0),
    SensorNoise(0.0),
    NeuronMismatch(0.0),
    ActivityNoise(0.0),
    UpdateNoise(0.0),
    QuantizedWeights(None),
    QuantizedActivities(None),
    QuantizedInputs(None),
    QuantizedUpdates(None),
    QuantizedMemory(None),
)
"""Every kind of noise without strength."""


def on_site(*sites: str) -> list[Noise]:
    return [noise for noise in STRONG if noise.site in sites]


def names(noises: Sequence[Noise]) -> list[str]:
    return [type(noise).__name__ for noise in noises]


def batch(size: int = 12, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(size, *SHAPE, generator=generator)
    return x, torch.randint(0, CLASSES, (size,), generator=generator)


def make_learner(spans: Callable[[int], Sequence[Span]] = each, *, dropout: float = 0.0, seed: int = 0) -> Learner:
    """A convolution, then two linear layers, each with a linear head and cross-entropy."""
    torch.manual_seed(seed)
    bodies = [
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout)),
        nn.Sequential(nn.Linear(32, WIDTH), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()),
    ]
    blocks = [
        LocalBlock(body, goodness=LinearHead(CLASSES, width), objective=CrossEntropy())
        for body, width in zip(bodies, (32, WIDTH, WIDTH), strict=True)
    ]
    return Learner(
        blocks,
        supervision=LabelInLoss(),
        spans=spans(len(blocks)),
        rules={"last": LastGoodness()},
        prepare=Standardize(SHAPE, [0.5], [0.3]),
    )


def train(learner: Learner, steps: range, *, trainer: LocalTrainer | None = None, **settings) -> list[Tensor]:
    """Train on a batch per step; return the losses."""
    trainer = trainer or LocalTrainer(learner, TrainerSettings(**{"learning_rate": 0.01, **settings}), seed=4)
    return [trainer.step(*batch(seed=step), step=step) for step in steps]


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    """Whether all values are equal, bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def hooks(learner: Learner) -> int:
    """How many hooks a learner and all in it carry."""
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in learner.modules())
