"""The output of a model: its task, its number of scores, and checks that the loss can be applied to it."""
# B batch

from typing import Any, cast

from torch import Tensor, nn

from onward.core.graph import below
from onward.modules.batch import RANKS, Task
from onward.nets.layout import Layout, features_of, infer_layout, other_axis
from onward.nets.recorded_pass import Pass

_PARTS = ("Split", "Chunk", "Unbind", "Slice", "Select", "Narrow", "Index", "Gather")
_FORMS = (
    *("View", "Reshape", "UnsafeView", "Squeeze", "Unsqueeze", "Permute", "Transpose", "TBackward", "Alias", "Expand"),
    *("Clone", "ToCopy", "Clamp"),
)
"""How the names of operations begin that give a part of a tensor, and its values in another form."""

REENTRANT = (
    "a part of the model is checkpointed with use_reentrant=True, which hides its weights: give "
    "checkpoint(..., use_reentrant=False), of transformers "
    "model.gradient_checkpointing_enable({'use_reentrant': False}), or switch it off"
)


def read_output(seen: Pass, num_classes: int | None, task: str | None) -> tuple[Task, int, tuple[int, ...], Layout]:
    """Return the task, the number of scores, shape and layout. Raises ValueError for an output that fits no task."""
    shape = tuple(seen.output.shape)
    if not shape:
        raise ValueError(
            "the model gives a single number, such as its own loss: it has to give scores of each row, from which "
            "onward.local makes the loss; call what gives them with feed=lambda model, inputs: ..."
        )
    shape = (*shape, 1) if len(shape) == 1 else shape
    ranks: dict[int, Task] = {2: "classes", 3: "tokens", 4: "pixels", 5: "pixels"}
    resolved = ranks.get(len(shape)) if task is None else task
    if resolved not in RANKS or len(shape) not in RANKS[resolved]:
        known = "; ".join(f"{name} has {' or '.join(map(str, axes))}" for name, axes in RANKS.items())
        raise ValueError(
            f"the model gives {list(shape)}, {len(shape)} axes, which is no output for task {task!r}: {known}"
        )
    if not seen.output.requires_grad and any(p.requires_grad for c in seen.calls[-1:] for p in c.module.parameters()):
        raise ValueError("the model's output has no gradient: is it detached, or computed under no_grad?")
    layout = infer_layout(shape, seen.rows, seen.calls, "the model's output", seen.output.grad_fn)
    if num_classes is not None and features_of(shape, layout) != num_classes and len(shape) > 2:
        layout = other_axis(layout)
    outputs = features_of(shape, layout)
    if num_classes is not None and outputs != num_classes:
        raise ValueError(
            f"the model gives {list(shape)}: {outputs} scores, but num_classes is {num_classes}; exchange its output "
            "head for one of that many, or leave num_classes out"
        )
    if outputs < 2 and resolved in ("classes", "tokens", "pixels", "next_token"):
        raise ValueError(
            "the model gives one score, too few for classes: take task='values', or 'labels' for yes and no"
        )
    _check_scores(seen, cast(Task, resolved))
    check_others(seen)
    return cast(Task, resolved), outputs, shape, layout


def _check_scores(seen: Pass, task: Task) -> None:
    """Raise ValueError for an output with a softmax or sigmoid, which the loss applies itself."""
    made = [node.name() for node in _made_by(seen.output)][-1:]
    for name, tasks in (("Softmax", ("classes", "tokens", "next_token", "pixels")), ("Sigmoid", ("labels",))):
        if made == [f"{name}Backward0"] and task in tasks:
            raise ValueError(
                f"the model's output has gone through a {name.lower()}, which the loss of task {task} applies by "
                f"itself: take the {name.lower()} out of the model, or give what enters it by feed=...; predictions "
                "are the same without it"
            )


def _made_by(output: Tensor) -> list[Any]:
    """Return the operations that gave an output, the last first: changes of its form, and the one before these."""
    nodes = [output.grad_fn] if output.grad_fn is not None else []
    while nodes and nodes[-1].name().startswith((*_PARTS, *_FORMS)):
        before = [node for node, _ in nodes[-1].next_functions if node is not None]
        if len(before) != 1:
            break
        nodes += before
    return nodes


def check_checkpointing(seen: Pass) -> None:
    """Raise ValueError for checkpointing of the kind whose weights are in no graph, so that no block has them."""
    if any(node.name() == "CheckpointFunctionBackward" for node in below(seen.output.grad_fn)):
        raise ValueError(REENTRANT)


def check_others(seen: Pass) -> None:
    """Raise ValueError where further outputs need a loss of their own: weights reach them alone, or they are one."""
    if not seen.others:
        return
    if any(other.ndim == 0 for other in seen.others):
        raise ValueError(
            f"the model gives a single number with a gradient beside its scores, {list(seen.output.shape)}, such as a "
            "loss that balances experts: no block learns from it. Leave it out with feed=lambda model, inputs: ..., "
            "which returns the scores alone"
        )
    own = _made_by(seen.output)
    parts = {node for node in own if node.name().startswith(_PARTS)}
    halves = [other for other in seen.others if parts and own[-1] in _made_by(other)]
    if any(_made_by(other) != own or other.output_nr != seen.output.output_nr for other in halves):
        shapes = " and ".join(str(list(part.shape)) for part in (seen.output, *halves))
        raise ValueError(
            f"the model gives several outputs, {shapes}, which are parts of one tensor, and one loss trains the first "
            "alone: choose one, or join them in one tensor, with feed=lambda model, inputs: ..."
        )
    reached = _weights(seen.output.grad_fn)
    for other in seen.others:
        missed = _weights(other.grad_fn) - reached
        names = [n for call in seen.calls[-1:] for n, p in call.module.named_parameters() if id(p) in missed]
        if names:
            raise ValueError(
                f"the model gives several outputs, and one loss trains the first, {list(seen.output.shape)}: "
                f"{names[0]} reaches another one alone, {list(other.shape)}. Choose one, or join them in one tensor, "
                f"with feed=lambda model, inputs: ..., and freeze what belongs to others (requires_grad_(False))"
            )


def _weights(node: object) -> set[int]:
    """Return the parameters that a place of the graph is computed from, by identity."""
    leaves = (getattr(below_it, "variable", None) for below_it in below(node))
    return {id(leaf) for leaf in leaves if isinstance(leaf, nn.Parameter) and leaf.requires_grad}
