"""The program of a model: from its inputs to its scores, with everything else as constants."""
# B batch, C classes

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import jaxtyping
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from onward.core import InputForm, Learner, ObservedEvidence, Task
from onward.hardware.injection import is_noisy
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
        return self.learner.default_rule

    @property
    def form(self) -> InputForm:
        return self.spec.form or InputForm("images", self.spec.shape, unit=True)

    @property
    def task(self) -> Task:
        return "classes" if self.spec.target is None else self.spec.target.task

    @property
    def features(self) -> list[str]:
        """What the numbers of a table's row are, in order: columns, and for each category whether it is that one."""
        return [
            column.name if text is None else f"{column.name} = {text} (0 or 1)"
            for column in self.form.columns
            for text in column.categories or (None,)
        ]

    @property
    def layout(self) -> str:
        """The shape of an input in words."""
        shape = " x ".join(map(str, self.spec.shape))
        return f"{shape} as channels, height, width" if self.form.kind == "images" else shape


def open_model(run: Path | str, rule: str | None = None) -> Model:
    """Read the model of a run folder or model folder for one rule, the default rule unless named.

    Raises ValueError for a missing or damaged model, and for an unknown rule.
    """
    folder = model_folder(Path(run))
    learner, spec = load_model(folder)
    recipe = read_json(folder / "config.json").get("recipe") if (folder / "config.json").exists() else None
    name = recipe.get("name") if isinstance(recipe, dict) else None
    return model_of(learner, spec, rule, name=str(name or type(spec.algorithm).__name__))


def model_of(learner: Learner, spec: ModelSpec, rule: str | None = None, *, name: str = "") -> Model:
    """Return a learner for one rule. Raises ValueError for an unknown rule, a learner on a noisy chip, and tokens."""
    if is_noisy(learner):
        raise ValueError("this learner computes on a noisy or quantized chip, which cannot be exported: leave `noisy`")
    if spec.form is not None and spec.form.kind == "tokens":
        raise ValueError("models of tokens are not exported: take learner.module() and torch.export")
    whole = learner.shortened(len(learner.blocks), rule=rule)
    count = whole.blocks_needed()
    short = (whole if count is None else whole.shortened(count)).eval()
    return Model(short, replace(spec, blocks=len(short.blocks), rule=short.default_rule), name)


def trace(model: Model, *, batch: int | None = None, blocks: bool = False) -> ExportedProgram:
    """Return the program of a model: for batches of any size, or of one size alone.

    `blocks`: it returns the scores of every block too, [L, B, C].
    """
    shape, device = model.spec.shape, model.learner.device
    example = torch.zeros(4 if batch is None else batch, *shape, device=device)
    sizes = {"images": {0: Dim("batch", min=1, max=MOST_IMAGES)}} if batch is None else None
    with torch.no_grad(), quiet():
        frozen = copy.deepcopy(model.learner).requires_grad_(False)  # some operators refuse trainable weights
        frozen(example)  # a read-out that is solved at its first evaluation is solved now, not by the program
        if blocks:
            return torch.export.export(_WithBlocks(frozen), (example,), dynamic_shapes=sizes)
        return torch.export.export(frozen, (example,), dynamic_shapes=sizes)


class _WithBlocks(nn.Module):
    """A learner that returns the scores of its rule and of each block."""

    def __init__(self, learner: Learner):
        super().__init__()
        self.learner = learner

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        evidence = ObservedEvidence(self.learner, images)
        return self.learner.rules[self.learner.default_rule](evidence), evidence.block_scores


def tensor_of(program: ExportedProgram, name: str | None) -> Tensor:
    """Return a weight, statistic or constant of a program."""
    value = program.state_dict[name] if name in program.state_dict else program.constants[str(name)]
    assert isinstance(value, Tensor)
    return value.detach()


@contextmanager
def quiet() -> Iterator[None]:
    """Trace without checks of shapes, and without the exporters' warnings about other packages and deprecations."""
    checks = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)  # sizes are symbols while a program is traced
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*", module=r"torch\.(onnx|export|_export|fx).*")
            yield
    finally:
        logger.setLevel(level)
        jaxtyping.config.update("jaxtyping_disable", checks)
