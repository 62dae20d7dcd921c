"""The program of a model: from images in [0, 1] to class scores, everything that a run decided fixed inside."""
# B batch, C classes

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from onward.core import InferenceRule, Learner
from onward.runs import ModelSpec, load_model
from onward.runs.model import model_folder
from onward.storage.files import read_json

MOST_IMAGES = 1 << 20


@dataclass(frozen=True)
class Model:
    """A learner with one rule, without the blocks that the rule does not read, and its description."""

    learner: Learner
    spec: ModelSpec
    name: str

    @property
    def rule(self) -> str:
        return self.learner.headline


def open_model(run: Path | str, rule: str | None = None) -> Model:
    """Read the model of a run folder or model folder for one rule, the headline unless named.

    Raises ValueError for a missing or damaged model, and for an unknown rule.
    """
    folder = model_folder(Path(run))
    learner, spec = load_model(folder)
    recipe = read_json(folder / "config.json").get("recipe") if (folder / "config.json").exists() else None
    name = recipe.get("name") if isinstance(recipe, dict) else None
    return model_of(learner, spec, rule, name=str(name or type(spec.algorithm).__name__))


def model_of(learner: Learner, spec: ModelSpec, rule: str | None = None, *, name: str = "") -> Model:
    """Return a learner for one rule. Raises ValueError for an unknown rule."""
    whole = learner.shortened(len(learner.blocks), rule=rule)
    scored = [k for k, block in enumerate(whole.blocks) if block.goodness is not None]
    reader = whole.rules[whole.headline]
    assert isinstance(reader, InferenceRule)
    count = reader.reach(len(scored))
    short = (whole if count is None else whole.shortened(scored[count - 1] + 1)).eval()
    return Model(short, replace(spec, blocks=len(short.blocks), rule=short.headline), name)


def trace(model: Model, *, batch: int | None = None) -> ExportedProgram:
    """Return the program of a model: for batches of any size, or of one size alone."""
    shape, device = model.spec.shape, model.learner.device
    example = torch.zeros(4 if batch is None else batch, *shape, device=device)
    sizes = {"images": {0: Dim("batch", min=1, max=MOST_IMAGES)}} if batch is None else None
    with torch.no_grad():
        return torch.export.export(model.learner, (example,), dynamic_shapes=sizes)
