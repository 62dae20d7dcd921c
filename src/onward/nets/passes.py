"""A recorded forward pass of a user's module: the calls of its modules, and their outputs."""
# B batch

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from onward.core import gradients_on, seeded
from onward.core.gradients import make_trainable

Feed = Callable[[nn.Module, Any], Any]
"""How a module is called: `feed(model, inputs)` returns its output."""


class Call(NamedTuple):
    """One call of a module: its name, its first output tensor, the node of that tensor, and the order of the call."""

    name: str
    module: nn.Module
    activity: Tensor
    nodes: tuple[Any, ...]
    """The graph's nodes of all output tensors, the activity's first."""
    watched: bool
    """Whether gradients are on, and nothing else (gradient checkpointing) keeps watch over saved tensors."""


class Pass(NamedTuple):
    """A forward pass: its calls, in the order in which they ended, and the module's output."""

    calls: list[Call]
    output: Tensor
    sources: frozenset[Any]
    """Nodes of the graph at which the batch enters it: float inputs, and embeddings of whole numbers."""
    rows: int
    """Rows of the batch."""
    others: tuple[Tensor, ...] = ()
    """Further float outputs of the module, with their graph."""


def feed_module(model: nn.Module, inputs: Any) -> Any:
    """Call a module with a tensor, with a tuple of arguments, or with a dict of keyword arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def leading_tensor(output: Any) -> Tensor | None:
    """Return the main tensor of an output: itself, its `logits`, or the first float tensor inside it."""
    if isinstance(output, Tensor):
        return output
    for name in ("logits", "last_hidden_state"):
        if isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    tensors = [tensor for tensor in map(leading_tensor, parts) if tensor is not None]
    return next((tensor for tensor in tensors if tensor.is_floating_point()), tensors[0] if tensors else None)


def tensors_in(tree: Any) -> list[Tensor]:
    """Return the tensors of nested tuples, lists and dicts, in order."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def batch_rows(inputs: Any, output: Tensor | None = None) -> int:
    """Return the number of rows of a batch: the length of its first tensor.

    Of inputs of several lengths, such as the words and the offsets of an embedding bag, the output tells which it is.
    Raises ValueError where there is no tensor.
    """
    lengths = [len(tensor) for tensor in tensors_in(inputs) if tensor.ndim]
    if not lengths:
        raise ValueError(
            "the inputs hold no tensor: give a tensor, a tuple of arguments or a dict of keyword arguments"
        )
    return len(output) if output is not None and output.ndim and len(output) in lengths else lengths[0]


@gradients_on()
def watch(model: nn.Module, inputs: Any, feed: Feed = feed_module, *, all_trained: bool = False) -> Pass:
    """Run a module once in evaluation mode and record its calls; the module is not changed.

    Random state, modes, gradients and running statistics are unchanged. `all_trained` also follows weights that are
    frozen. Raises ValueError for a module without a float output.
    """
    make_trainable(model)
    calls, sources = [], set()
    batch = {_address(tensor) for tensor in tensors_in(inputs)}
    embedded: dict[bool, set[Any]] = {True: set(), False: set()}
    with ExitStack() as stack:
        stack.enter_context(modes_kept(model))
        stack.enter_context(seeded(0, torch.device("cpu")))
        if all_trained:
            stack.enter_context(_all_trained(model))
        model.eval()
        entering, nodes = _as_sources(inputs) if all_trained else (inputs, [])
        sources.update(nodes)
        guard = saved_tensor_hooks()

        def note(name: str, module: nn.Module, args: tuple, output: Any) -> None:
            activity = leading_tensor(output)
            if activity is None:
                return
            given = tuple(t.grad_fn for t in (activity, *tensors_in(output)) if t.grad_fn is not None)
            first = args[0] if args and isinstance(args[0], Tensor) else None
            if isinstance(module, nn.Embedding | nn.EmbeddingBag) and given and first is not None:
                embedded[_address(first) in batch].add(given[0])
            watched = torch.is_grad_enabled() and saved_tensor_hooks() == guard
            calls.append(Call(name, module, activity.detach(), given, watched))

        for name, module in model.named_modules():
            hook = module.register_forward_hook(
                lambda module, args, output, name=name: note(name, module, args, output)
            )
            stack.callback(hook.remove)
        given = feed(model, entering)
        output = leading_tensor(given)
    if output is None or not output.is_floating_point():
        what = "no tensor" if output is None else f"a tensor of {output.dtype}"
        raise ValueError(f"{type(model).__name__} returns {what}; a loss needs a float output, such as class scores")
    sources |= embedded[True] or (embedded[False] if not sources else set())
    others = tuple(t for t in tensors_in(given) if t is not output and t.grad_fn is not None)
    return Pass(calls, output, frozenset(sources), batch_rows(inputs, output), others)


def _address(tensor: Tensor) -> int:
    """Return where a tensor's values lie; a sparse one has no single place."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Bring every module back to its own mode, training or evaluation, on leaving."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def saved_tensor_hooks() -> Any:
    """Return what keeps watch over tensors that are saved for a backward pass now, such as gradient checkpointing."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False)  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def _all_trained(model: nn.Module) -> Iterator[None]:
    frozen = [p for p in model.parameters() if not p.requires_grad and (p.is_floating_point() or p.is_complex())]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _as_sources(inputs: Any) -> tuple[Any, list[Any]]:
    """Return inputs whose float tensors stand at the start of a graph, and the nodes where they enter it."""
    nodes: list[Any] = []

    def enter(value: Any) -> Any:
        if isinstance(value, Tensor) and value.is_floating_point():
            value = value.detach().clone().requires_grad_().clone()  # a node of its own: a leaf forbids writing to it
            nodes.append(value.grad_fn)
            return value
        if isinstance(value, Mapping):
            return {key: enter(entry) for key, entry in value.items()}
        return type(value)(map(enter, value)) if type(value) in (tuple, list) else value

    return enter(inputs), nodes
