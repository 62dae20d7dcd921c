"""Files that other runtimes read: torch.export programs, ONNX, and a module of plain torch calls."""
# B batch, C classes

import copy
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.func import functional_call

from onward.export.decompositions import decompositions
from onward.export.program import MOST_IMAGES, Model, quiet, tensor_of, trace
from onward.export.step import Learning, Step, trace_step

Names = Sequence[str]


def write_torch(model: Model, folder: Path, learning: Learning | None) -> dict[str, list[str]]:
    """Write `model.pt2`, and with learning `step.pt2`, `scores.pt2` and `state.safetensors`.

    Return the names of the state, in the order of the arguments of `step` and `scores`; a file of tensors keeps none.
    """
    step = None if learning is None else trace_step(model, learning)  # first: it may be refused
    with quiet():
        torch.export.save(trace(model), folder / "model.pt2")
        if step is None:
            return {}
        torch.export.save(step_program(step), folder / "step.pt2")
        torch.export.save(scores_of_state(model, step), folder / "scores.pt2")
    write_state(step, folder)
    return {"step": list(step.state), "scores": read_state(model)}


def write_onnx(model: Model, folder: Path, learning: Learning | None) -> None:
    """Write `model.onnx`, and with learning `step.onnx`, `scores.onnx` and `state.safetensors`.

    Raises ValueError where onnx is not installed.
    """
    check_onnx()
    step = None if learning is None else trace_step(model, learning)  # first: it may be refused
    _save_onnx(trace(model), folder / "model.onnx", ["images"], ["scores"], model)
    if step is None:
        return
    losses = [f"loss.{k}" for k in range(step.spans)]
    inputs = [*step.state, "images", "labels", "step", "learning_rate", *(draw.name for draw in step.draws)]
    _save_onnx(step_program(step), folder / "step.onnx", inputs, [*(f"new.{n}" for n in step.state), *losses], model)
    _save_onnx(scores_of_state(model, step), folder / "scores.onnx", [*read_state(model), "images"], ["scores"], model)
    write_state(step, folder)


def step_program(step: Step) -> ExportedProgram:
    """Return the step as a program of the state, then images, labels, step, learning rate and kept units."""
    return torch.export.export(step.graph, (*step.state.values(), *step.example))


def scores_of_state(model: Model, step: Step) -> ExportedProgram:
    """Return the scores as a program of weights and statistics, in the order of `read_state`, then images."""
    names = read_state(model)
    values = [step.state[name] for name in names]
    images = torch.zeros(4, *model.spec.shape)
    sizes = {"values": (*(None for _ in values), {0: Dim("batch", min=1, max=MOST_IMAGES)})}
    with torch.no_grad():
        return torch.export.export(_ScoresOf(model, names), (*values, images), dynamic_shapes=sizes)


def read_state(model: Model) -> list[str]:
    """Return the names of a step's state that the model reads: all but the optimizer's."""
    learner = model.learner
    named = [*learner.named_parameters(), *learner.named_buffers()]
    return [name for name, value in named if name.startswith("blocks.") and value.numel()]


class _ScoresOf(nn.Module):
    """A model whose weights and statistics are inputs."""

    def __init__(self, model: Model, names: Names):
        super().__init__()
        self.names = names
        self.held = (
            copy.deepcopy(model.learner).requires_grad_(False),
        )  # in a tuple, so that its weights are not this module's

    def forward(self, *values: Tensor) -> Tensor:
        return functional_call(self.held[0], dict(zip(self.names, values, strict=False)), (values[-1],))


def write_state(step: Step, folder: Path) -> None:
    """Write the initial state of a step."""
    save_file({name: value.contiguous().clone() for name, value in step.state.items()}, folder / "state.safetensors")


def check_onnx() -> None:
    """Raise ValueError, with the remedy, where the ONNX exporter is not installed."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"--format onnx needs {' and '.join(missing)}: pip install 'onward[export]'")


def _save_onnx(program: ExportedProgram, path: Path, inputs: Names, outputs: Names, model: Model) -> None:
    """Write a program as ONNX, unoptimized: the exporter's optimizer would replace AdamW's 1e-8 by zero.

    Raises ValueError naming an operator that ONNX lacks.
    """
    with quiet():
        try:
            written: Any = torch.onnx.export(
                program, dynamo=True, optimize=False, verbose=False, input_names=inputs, output_names=outputs
            )
        except torch.onnx.OnnxExporterError as error:
            raise ValueError(
                f"{_operator_of(error)} cannot be written as ONNX ({path.name}): take --format torch"
            ) from error
    assert written is not None
    notes = {"classes": "\n".join(model.spec.class_names), "rule": model.rule, "name": model.name}
    written.model.metadata_props.update(notes)
    written.save(path, external_data=False)


def _operator_of(error: BaseException | None) -> str:
    """Return the operator that an error of the exporter, or one of those behind it, is about."""
    name = None
    while error is not None:
        name = re.search(r"op='([\w.]+)'", str(error)) or name
        error = error.__cause__
    return "this program" if name is None else f"the operator {name[1]}"


_MODULE = '''"""{name}: scores of {noun}, written by onward. Needs torch and safetensors alone."""

from math import inf, nan
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import device


class Model(torch.nn.Module):
    """Takes {noun} [B, {shape}], {numbers}; returns {scores} [B, {count}]."""

    classes = {classes}

    def __init__(self, weights=Path(__file__).with_name("model.safetensors")):
        super().__init__()
        for name, value in load_file(weights).items():
            self.register_buffer(name, value)

    def forward(self, images):
        return _scores({values}images.contiguous())[0]


def _scores({arguments}images):
{body}
'''


def write_module(model: Model, folder: Path) -> None:
    """Write `model.py`, which needs torch and safetensors alone, and `model.safetensors`."""
    with quiet():
        program = trace(model).run_decompositions(decompositions())
    tensors, names, own = {}, [], {}
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            continue
        own[spec.arg.name] = f"v{len(own)}"
        names.append(own[spec.arg.name])
        tensors[names[-1]] = tensor_of(program, spec.target).contiguous().clone()
    head, _, body = program.graph_module.code.strip().partition("\n")
    arguments = re.findall(r"\w+", head.partition("(self")[2].partition(")")[0])
    lines = [line for line in body.splitlines() if line.strip()]
    for name, short in zip([a for a in arguments if a in own], names, strict=True):
        lines = [re.sub(rf"\b{name}\b", short, line) for line in lines]
    text = _MODULE.format(
        name=model.name.replace('"', "'"),
        noun=model.form.noun,
        numbers="values in [0, 1]" if model.form.unit else "numbers in the unit of the training",
        scores="numbers" if model.task == "values" else "scores, the higher the likelier,",
        shape=", ".join(map(str, model.spec.shape)),
        count=len(model.spec.class_names),
        classes=repr(list(model.spec.class_names)),
        values="".join(f"self.{name}, " for name in names),
        arguments="".join(f"{name}, " for name in names),
        body="\n".join(lines),
    )
    (folder / "model.py").write_text(text, encoding="utf-8")
    save_file(tensors, folder / "model.safetensors")
