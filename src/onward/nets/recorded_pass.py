"""A recorded forward pass of a user's module: the calls of its modules, and their outputs."""
# B batch

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from onward.core import gradients_on, seeded
from onward.core.gradients import make_trainable
from onward.nets.outputs import leading_tensor, lengths_in, mapped, read, tensors_in

Feed = Callable[[nn.Module, Any], Any]
"""How a module is called: `feed(model, inputs)` returns its output."""


class Call(NamedTuple):
    """One call of a module that gives a tensor."""

    name: str
    module: nn.Module
    activity: Tensor
    """The part of its output that is read."""
    nodes: tuple[Any, ...]
    """The graph's nodes of all output tensors, the main one's first."""
    watched: bool
    """Whether gradients are on, without other hooks on saved tensors (gradient checkpointing)."""


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
    silent: Mapping[str, str] = {}
    """Modules that were called and gave no tensor: by name, the type that they gave."""


def feed_module(model: nn.Module, inputs: Any) -> Any:
    """Call a module with a tensor, with a tuple of arguments, or with a dict of keyword arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def batch_rows(inputs: Any, output: Tensor | None = None) -> int:
    """Return the number of rows of a batch: the length of its first tensor.

    If inputs have several lengths, such as the words and the offsets of an embedding bag, the output decides, also
    where a vector of whole numbers says to which of its rows each entry belongs, such as the nodes of several graphs.
    Raises ValueError if there is no tensor.
    """
    lengths = lengths_in(inputs)
    if not lengths:
        raise ValueError(
            "the inputs hold no tensor: give a tensor, a tuple of arguments or a dict of keyword arguments"
        )
    if output is None or not output.ndim:
        return lengths[0]
    return len(output) if len(output) in lengths or _are_counted(inputs, len(output)) else lengths[0]


def _are_counted(inputs: Any, rows: int) -> bool:
    """Whether a vector of whole numbers has the rows 0 to rows - 1 as its entries."""
    vectors = [t for t in tensors_in(inputs) if t.ndim == 1 and t.dtype in (torch.int64, torch.int32) and t.numel()]
    return any((int(vector.min()), int(vector.max())) == (0, rows - 1) for vector in vectors)


@gradients_on()
def watch(
    model: nn.Module, inputs: Any, feed: Feed = feed_module, *, all_trained: bool = False, own_modes: bool = False
) -> Pass:
    """Run a module once and record its calls: in evaluation mode, or with `own_modes` in its current modes.

    Random state, modes, gradients and buffers, such as running statistics, are unchanged. `all_trained` also follows
    frozen weights, and records where the batch enters. Raises ValueError for inputs that the module cannot be called
    with, and for a module without a float output.
    """
    check_initialized(model)
    make_trainable(model)
    with ExitStack() as stack:
        stack.enter_context(state_kept(model))
        stack.enter_context(seeded(0, torch.device("cpu")))
        if all_trained:
            stack.enter_context(_all_trained(model))
        if not own_modes:
            model.eval()
        seen = _recorded(model, inputs, feed, enter=all_trained)
        if all_trained and not seen.sources:
            with Entrances(inputs) as entrances:
                seen = _recorded(model, inputs, feed, enter=False)
            seen = seen._replace(sources=frozenset(entrances.nodes))
    return seen


def check_initialized(model: nn.Module) -> None:
    """Raise ValueError for a lazy module, whose weights have no shape yet."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise ValueError(f"{name} has no shape yet: run the model once on a batch, model(x)")


def _recorded(model: nn.Module, inputs: Any, feed: Feed, *, enter: bool) -> Pass:
    calls, silent = [], {}
    batch = {_address(tensor) for tensor in tensors_in(inputs)}
    embedded: dict[bool, set[Any]] = {True: set(), False: set()}
    entering, sources = _as_sources(inputs) if enter else (inputs, set())
    guard = saved_tensor_hooks()

    def note(name: str, module: nn.Module, args: tuple, output: Any) -> None:
        activity = read(output)
        if activity is None:
            silent[name] = type(output).__name__
            return
        given = tuple(t.grad_fn for t in (leading_tensor(output), *tensors_in(output)) if t is not None and t.grad_fn)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and given and first is not None:
            embedded[_address(first) in batch].add(given[0])
        watched = torch.is_grad_enabled() and saved_tensor_hooks() == guard
        calls.append(Call(name, module, activity.tensor.detach(), given, watched))

    with ExitStack() as stack:
        for name, module in hookable(model):
            hook = module.register_forward_hook(
                lambda module, args, output, name=name: note(name, module, args, output)
            )
            stack.callback(hook.remove)
        given = called(model, entering, feed)
    output = leading_tensor(given)
    if output is None or not output.is_floating_point():
        what = (
            f"{type(given).__name__}, in which no tensor is found" if output is None else f"a tensor of {output.dtype}"
        )
        raise ValueError(
            f"{type(model).__name__} returns {what}; a loss needs a float output, such as class scores: pick it out "
            "with feed=lambda model, inputs: ..."
        )
    sources |= embedded[True] or (embedded[False] if not sources else set())
    others = tuple(t for t in tensors_in(given) if t is not output and t.grad_fn is not None)
    return Pass(calls, output, frozenset(sources), batch_rows(inputs, output), others, silent)


def called(model: nn.Module, inputs: Any, feed: Feed) -> Any:
    """Return what a module makes of inputs. Raises ValueError for inputs that it cannot be called with."""
    try:
        return feed(model, inputs)
    except TypeError as error:
        raise ValueError(
            f"{type(model).__name__} cannot be called with these inputs: {error}; a tensor is given as model(x), a "
            "tuple as model(*inputs), a dict as model(**inputs); for another call give feed=lambda model, inputs: ..."
        ) from error
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError, LookupError) as error:
        silent = "an assertion of its own failed" if isinstance(error, AssertionError) else type(error).__name__
        reason = str(error).strip().partition("\n")[0] or silent
        raise ValueError(
            f"{type(model).__name__} cannot be called with these inputs: {reason}{_other_type(model, inputs)}"
        ) from error


def _other_type(model: nn.Module, inputs: Any) -> str:
    """Return the remedy where floats of a batch are of another type than the weights, as NumPy's float64 are."""
    wanted = next((parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()), None)
    given = {tensor.dtype for tensor in tensors_in(inputs) if tensor.is_floating_point()} - {wanted}
    return f"; inputs are {given.pop()} and weights {wanted}: give inputs.to({wanted})" if wanted and given else ""


def hookable(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the modules, by name, whose calls can be watched; those inside scripted modules cannot."""
    return [(name, module) for name, module in model.named_modules() if not isinstance(module, torch.jit.ScriptModule)]


def _address(tensor: Tensor) -> int:
    """Return the address of a tensor's values; a sparse tensor has none."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


class Entrances(TorchFunctionMode):
    """Finds where whole numbers of a batch become floats without an embedding module: a lookup, a cast, one-hot.

    Masks are not followed: they are used everywhere, and nothing is computed from them alone.
    """

    def __init__(self, inputs: Any):
        super().__init__()
        named = inputs.items() if isinstance(inputs, Mapping) else [("", inputs)]
        tensors = [tensor for name, tree in named if "mask" not in str(name) for tensor in tensors_in(tree)]
        self.known = {id(tensor): tensor for tensor in tensors if tensor.dtype != torch.bool}
        self.nodes: set[Any] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(id(tensor) in self.known for tensor in tensors_in([args, kwargs])):
            return mapped(self._followed, result)
        return result

    def _followed(self, tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() or tensor.is_complex():
            if tensor.grad_fn is None and torch.is_grad_enabled():
                tensor = tensor.requires_grad_().clone()
            if tensor.grad_fn is not None:
                self.nodes.add(tensor.grad_fn)
        elif tensor.dtype != torch.bool:
            self.known[id(tensor)] = tensor
        return tensor


@contextmanager
def state_kept(model: nn.Module) -> Iterator[list[str]]:
    """Restore modes and buffers on leaving; yields a list, to which the names of buffers that had changed are added."""
    changed: list[str] = []
    buffers = [(module, name, buffer) for module in model.modules() for name, buffer in module._buffers.items()]
    values = [None if b is None or b.is_meta else (b._version, b.detach().clone()) for _, _, b in buffers]
    try:
        with modes_kept(model):
            yield changed
    finally:
        for (module, name, buffer), value in zip(buffers, values, strict=True):
            if buffer is not None and value is not None and not _unchanged(buffer, *value):
                changed.append(name)
                with torch.no_grad():
                    buffer = buffer.copy_(value[1]) if buffer.shape == value[1].shape else value[1]
            module._buffers[name] = buffer


def _unchanged(buffer: Tensor, version: int, value: Tensor) -> bool:
    """Whether a buffer is unchanged; values are compared too, as fused operators write without a new version."""
    same = buffer._version == version
    return same and (buffer.layout != torch.strided or torch.equal(buffer, value))


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Restore the mode of every module, training or evaluation, on leaving.

    The `train` of a module that overrides it is called, since it may discard results of older weights.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            if module.training != training and type(module).train is not nn.Module.train:
                module.train(training)
        for module, training in modes:
            module.training = training


def saved_tensor_hooks() -> Any:
    """Return the innermost active hooks on saved tensors, such as those of gradient checkpointing."""
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


def _as_sources(inputs: Any) -> tuple[Any, set[Any]]:
    """Return inputs whose float tensors begin a graph, and the nodes where they enter it."""
    nodes: set[Any] = set()

    def enter(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() or tensor.is_complex():
            tensor = tensor.detach().clone().requires_grad_().clone()  # not a leaf, as leaves must not be written to
            nodes.add(tensor.grad_fn)
        return tensor

    return mapped(enter, inputs), nodes
