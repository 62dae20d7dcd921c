"""The card beside an export: the model, its inputs and outputs, and how to call it."""

from onward.export.program import Model
from onward.export.step import Learning

_CALLS = {
    "torch": """```python
import torch

scores = torch.export.load("model.pt2").module()(images)
```""",
    "onnx": """```python
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
(scores,) = session.run(["scores"], {"images": images})
```""",
    "module": """```python
from model import Model  # needs torch and safetensors

scores = Model()(images)
```""",
    "c": """```c
#include "model.h" /* compile model.c with -O2, link with -lm */

float scores[ONWARD_CLASSES];
onward_scores(image, scores); /* one input; model.h says how one of bytes is given */
```""",
    "page": "Open `index.html` in a browser: no server and no network are needed.",
    "js": """```js
import { scores, classNames } from "./model.mjs";

const found = scores(image); // one input, a Float32Array
```""",
}
_STEPS = {
    "torch": """`step.pt2` and `scores.pt2` are pure functions: `step` takes and returns the state, `scores` takes its
entries that are no moments. `state.safetensors` is the initial state; `export.json` has the order of the arguments.

```python
import json
from pathlib import Path

from safetensors.torch import load_file

names, state = json.loads(Path("export.json").read_text())["state"], load_file("state.safetensors")
step, scores = (torch.export.load(file).module() for file in ("step.pt2", "scores.pt2"))
found = step(*(state[name] for name in names["step"]), images, labels, torch.tensor(1.0), torch.tensor(1e-3))
state, losses = dict(zip(names["step"], found)), found[len(names["step"]) :]  # after step 1, at learning rate 1e-3
scores(*(state[name] for name in names["scores"]), images)
```

For a network with dropout, `step.pt2` takes further arguments: for each dropout, 1 for a unit that stays and 0 for one
that is dropped.""",
    "onnx": """`step.onnx` and `scores.onnx` are pure functions that take and return the state; `state.safetensors` is
the initial one. Every state `NAME` is an input, and `new.NAME` an output; the loss of every span is an output too
(`loss.0`, ...). `step` counts from 1. For a network with dropout, `kept.0` and so on are further inputs of `step.onnx`:
1 for a unit that stays, 0 for one that is dropped.

```python
import numpy
import onnxruntime
from safetensors.numpy import load_file

state, session = load_file("state.safetensors"), onnxruntime.InferenceSession("step.onnx")
given = {"step": numpy.array(1, "float32"), "learning_rate": numpy.array(1e-3, "float32")}
found = session.run(None, {**state, "images": images, "labels": labels, **given})
found = dict(zip([output.name for output in session.get_outputs()], found))
state = {name: found[f"new.{name}"] for name in state}
```""",
    "c": """```c
float loss = onward_learn(images, labels, 1e-3f); /* ONWARD_BATCH images; weights change in place */
```

`onward_weights`, `onward_moments` and `onward_steps` are all that learning changes.""",
    "page": "Press the right answer: every block learns by its own step, on the drawing and on kept images.",
    "js": """```js
const losses = learn(images, labels, 1e-3); // `batch` images; weights change in place
```

`state()` and `setState(kept)` save and load all that learning changes.""",
}


_KINDS = {"classes": "classifier", "values": "regression", "labels": "classifier by several labels at once,"}
_OUTPUTS = {
    "classes": "{} score{}, the higher the likelier. They are no probabilities.\n- Classes, in order",
    "values": "{} number{} in the unit of the training.\n- Numbers, in order",
    "labels": "{} score{}, above 0 for a label that is given.\n- Labels, in order",
}


def card(model: Model, format: str, learning: Learning | None, memory: dict[str, int]) -> str:
    """Return the card of an export, in Markdown."""
    spec, form, count = model.spec, model.form, len(model.spec.class_names)
    numbers = "values in [0, 1]" if form.unit else "numbers in the unit of the training"
    features = f"\n- Features, in order: {', '.join(model.features)}" if model.features else ""
    parts = [
        f"# {model.name}",
        f"A {_KINDS[model.task]} of {form.noun} that was trained layer by layer by onward "
        f"({type(spec.algorithm).__name__} on {type(spec.net).__name__}, {len(model.learner.blocks)} blocks), "
        f"read by the rule `{model.rule}`.",
        f"- Input: {form.noun} of {model.layout}, {numbers}; all preparation is inside.{features}\n"
        f"- Output: {_OUTPUTS[model.task].format(count, 's' * (count > 1))}: {', '.join(spec.class_names)}",
        _CALLS[format],
    ]
    if learning is not None:
        parts += ["## Learning", _learning(model, learning), _STEPS[format]]
    if memory:
        rows = "\n".join(f"| {name} | {size:,} |" for name, size in memory.items() if size)
        parts += ["## Memory", f"| | bytes |\n| --- | --- |\n{rows}"]
    return "\n\n".join(parts) + "\n"


def _learning(model: Model, learning: Learning) -> str:
    kind = f"{learning.optimizer}, weight decay {learning.weight_decay:g}"
    if learning.optimizer == "sgd":
        kind += f", momentum {learning.momentum_or_default:g}"
    return (
        f"One step trains every span of blocks on a batch of {learning.batch_size} ({kind}), "
        "each by its own loss: no gradient passes through the whole network. The rule "
        f"`{model.rule}` stays as it was fitted. Weights are not averaged, and the learning rate is the caller's."
    )
