"""The model file: safetensors plus JSON, from which the same learner is built again."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from onward.algorithms import Algorithm
from onward.core import Learner, derive_seed, seeded
from onward.data import Splits
from onward.nets import Architecture
from onward.parts.prepare import Standardise
from onward.parts.whiten import Whiten, patch_covariance
from onward.runs.codec import decode, encode
from onward.runs.files import read_json, read_tensors, write_json, write_tensors

FORMAT = "onward-model-1"


@dataclass(frozen=True)
class ModelSpec:
    """How to build a learner: everything but its weights. Image values are in [0, 1] before they are standardised."""

    algorithm: Algorithm
    net: Architecture
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...] = ()
    """Of the patches that the network wants whitened, in standardised images; empty: they count as white."""
    blocks: int | None = None
    """How many blocks a truncated model keeps; None: all."""
    rule: str | None = None
    """The inference rule that a truncated model keeps; None: all."""

    def build(self, *, seed: int = 0) -> Learner:
        """Build the learner with fresh weights drawn from `seed`. Raises ValueError if the parts do not fit."""
        prepare, shape = self._preparation()
        with seeded(derive_seed(seed, "weights"), torch.device("cpu")):
            learner = self.algorithm(self.net(shape, len(self.class_names)), len(self.class_names))
        learner.prepare = prepare
        return learner if self.blocks is None else learner.shortened(self.blocks, rule=self.rule)

    def _preparation(self) -> tuple[nn.Module, tuple[int, int, int]]:
        """Return what turns images into the network's input, and the shape of that."""
        standardise, side = Standardise(self.shape, self.mean, self.deviation), self.net.whiten
        if not side:
            return standardise, self.shape
        channels, height, width = self.shape
        whiten = Whiten(channels, side, self.covariance or torch.eye(channels * side**2).tolist())
        return nn.Sequential(standardise, whiten), (len(whiten.weight), height - side + 1, width - side + 1)


def spec_for(algorithm: Algorithm, net: Architecture, data: Splits) -> ModelSpec:
    """Describe a learner for a data set; the training split's statistics standardise its images."""
    mean, deviation = (statistic.tolist() for statistic in data.channel_statistics())
    if not algorithm.standardise:
        mean, deviation = [0.0] * len(mean), [1.0] * len(deviation)
    covariance = patch_covariance(data.train.sample.pixels, mean, deviation, net.whiten) if net.whiten else []
    return ModelSpec(
        algorithm,
        net,
        data.shape,
        data.class_names,
        tuple(mean),
        tuple(deviation),
        tuple(tuple(row) for row in covariance),
    )


def truncate(learner: Learner, spec: ModelSpec, rule: str | None = None) -> tuple[Learner, ModelSpec]:
    """Leave out the blocks that an inference rule does not read; return the shorter learner and its description.

    With this rule it predicts exactly what the whole learner does; it has no other. Raises ValueError as
    `Learner.truncated` does.
    """
    shorter = learner.truncated(rule)
    return shorter, replace(spec, blocks=len(shorter.blocks), rule=shorter.headline)


def save_model(folder: Path | str, learner: Learner, spec: ModelSpec) -> None:
    """Write `model.safetensors` and `model.json`. Raises OSError if they cannot be written."""
    folder = Path(folder)
    write_tensors(folder / "model.safetensors", learner.state_dict(), {"format": FORMAT})
    write_json(
        folder / "model.json",
        {
            "format": FORMAT,
            "algorithm": encode(spec.algorithm),
            "net": encode(spec.net),
            "shape": list(spec.shape),
            "class_names": list(spec.class_names),
            "mean": list(spec.mean),
            "deviation": list(spec.deviation),
            "covariance": [list(row) for row in spec.covariance],
            "blocks": spec.blocks,
            "rule": spec.rule,
        },
    )


def load_model(folder: Path | str) -> tuple[Learner, ModelSpec]:
    """Read a learner back, in evaluation mode. Raises ValueError for a missing, damaged or foreign model."""
    folder = Path(folder)
    content = read_json(folder / "model.json")
    if content.get("format") != FORMAT:
        raise ValueError(f"{folder / 'model.json'} has format {content.get('format')!r}, expected {FORMAT!r}")
    spec = ModelSpec(
        decode(content["algorithm"]),
        decode(content["net"]),
        (content["shape"][0], content["shape"][1], content["shape"][2]),
        *(tuple(content[key]) for key in ("class_names", "mean", "deviation")),
        covariance=tuple(tuple(row) for row in content.get("covariance", [])),
        blocks=content.get("blocks"),
        rule=content.get("rule"),
    )
    tensors, _ = read_tensors(folder / "model.safetensors")
    learner = spec.build()
    try:
        learner.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{folder / 'model.safetensors'} does not fit {folder / 'model.json'}: {reason}") from None
    return learner.eval(), spec
