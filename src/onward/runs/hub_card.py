"""The model card on the hub: the learner, the accuracy of its training, and its use."""

import json
from pathlib import Path
from typing import Any

from onward.core import Learner
from onward.core.metrics import MEASURES, format_metric
from onward.runs.codec import encode
from onward.runs.model import ModelSpec
from onward.storage.files import read_json


def card(learner: Learner, spec: ModelSpec, folder: Path, *, name: str) -> str:
    """Return the card of a learner that was saved into a folder, in Markdown after a YAML header.

    It has a test accuracy if the learner was read from a finished run and has not been trained since.
    """
    method, net = type(spec.algorithm).__name__, type(spec.net).__name__
    about = f"{net} of {len(learner.blocks)} blocks, trained layer by layer by {method}, without a backward pass."
    parts = [f"# {name}", about, _takes(learner, spec), _use(name)]
    history = _history(learner)
    if history:
        parts += ["## Training", history]
    if learner.origin is not None:
        parts.append(_origin(learner, folder))
    weights = {"class_weights": dict(zip(spec.class_names, spec.class_weights, strict=False))}
    parts_of_it = {"algorithm": encode(spec.algorithm), "net": encode(spec.net)}
    settings = json.dumps(parts_of_it | (weights if spec.class_weights else {}), indent=2)
    parts += ["## Settings", f"```json\n{settings}\n```"]
    return f"---\n{_head(learner, spec, folder, name)}\n---\n\n" + "\n\n".join(parts) + "\n"


def _head(learner: Learner, spec: ModelSpec, folder: Path, name: str) -> str:
    """Return the metadata of a card, as YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    images = spec.form is None and learner.task == "classes"
    metadata: dict[str, Any] = {"pipeline_tag": "image-classification"} if images else {}
    origin = learner.origin
    if images and origin is not None and _unchanged(learner, folder):
        result = EvalResult(
            task_type="image-classification",
            dataset_type=origin.data,
            dataset_name=origin.data,
            metric_type="accuracy",
            metric_value=round(origin.test_accuracy, 4),
        )
        metadata |= {"model_name": name.split("/")[-1], "eval_results": [result]}
    tags = ["onward", "local-learning", type(spec.algorithm).__name__]
    return ModelCardData(library_name="onward", tags=tags, **metadata).to_yaml()


def _takes(learner: Learner, spec: ModelSpec) -> str:
    shape = " x ".join(map(str, spec.shape))
    kind = "images" if spec.form is None else spec.form.kind
    preparation = "uint8 or floats in [0, 1]; all preparation is inside" if spec.form is None else "prepared inside"
    gives = {"classes": "classes, in order", "labels": "labels, each there or not", "values": "values"}[learner.task]
    return f"- Input: {kind} of shape {shape}, {preparation}.\n- Output: {gives}: {', '.join(spec.class_names)}."


def _use(name: str) -> str:
    return f"""```python
import onward  # pip install 'onward[hub]'

learner = onward.load("{name}")  # weights and JSON: no code of this repository is run
predicted = learner.predict(inputs)
```"""


def _history(learner: Learner) -> str:
    if not learner.history:
        return ""
    last = learner.history[-1]
    measure, value = MEASURES[learner.task], format_metric(learner.task, last.validation_accuracy)
    outcome = f"{len(learner.history)} epochs; validation {measure} after the last one {value}."
    if not last.block_accuracy:
        return outcome
    rows = "\n".join(
        f"| {k} | {format_metric(learner.task, value)} |" for k, value in enumerate(last.block_accuracy, 1)
    )
    return f"{outcome}\n\n| scored block | validation {measure} |\n| --- | --- |\n{rows}"


def _origin(learner: Learner, folder: Path) -> str:
    origin = learner.origin
    assert origin is not None
    run = f"Recipe `{origin.recipe}`, seed {origin.seed}, on {origin.data}"
    if not _unchanged(learner, folder):
        return f"{run}; the weights have changed since, so its test {MEASURES[learner.task]} is not stated."
    reached = format_metric(learner.task, origin.test_accuracy)
    return (
        f"{run}: {MEASURES[learner.task]} {reached} on the test split, read once, with the weights of the last epoch."
    )


def _unchanged(learner: Learner, folder: Path) -> bool:
    assert learner.origin is not None
    return read_json(folder / "model.json")["weights_sha256"] == learner.origin.weights
