"""The plan: where a model is cut, which weights each block trains, and what its activities are."""
# B batch

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from onward.core.graph import below
from onward.modules.batch import Task
from onward.modules.output import check_checkpointing, check_others, read_output
from onward.modules.rows import check_rows, time_is_first, twice
from onward.nets.cuts import cuts, default_cuts
from onward.nets.layout import Layout, channels_first, check_layout, infer_layout
from onward.nets.recorded_pass import Call, Feed, Pass, check_initialized, feed_module, modes_kept, watch

CutAt = Any
"""Where to cut: "auto", a number of blocks, or the names of modules."""


@dataclass(frozen=True)
class Part:
    """A block of the plan: it ends at a cut, the last one at the model's output."""

    cut: str
    shape: tuple[int, ...]
    """Of its activity, for the example."""
    layout: Layout
    weights: tuple[str, ...]
    """Names of the parameters that it trains, as in `named_parameters`."""
    tied: tuple[str, ...] = ()
    """Of those that it uses and another block uses as well."""


@dataclass(frozen=True)
class Plan:
    """How a model is trained in blocks."""

    task: Task
    outputs: int
    """Classes, labels or values that the model gives scores for."""
    parts: tuple[Part, ...]
    unreached: tuple[str, ...] = ()
    """Trained parameters that the example does not reach, and that belong to no block: they stay as they are."""

    @property
    def tied(self) -> tuple[str, ...]:
        """Parameters that several blocks use: their gradients add up, and they move at the end of a step."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.tied))


def make_plan(
    model: nn.Module,
    inputs: Any,
    *,
    cut: CutAt = "auto",
    num_classes: int | None = None,
    task: str | None = None,
    layouts: Mapping[str, str] | None = None,
    feed: Feed = feed_module,
) -> Plan:
    """Cut a model. Raises ValueError, with the name and the remedy, for what cannot be trained in blocks."""
    check_model(model)
    names = _cut_names(model, inputs, cut, feed)
    layouts = dict(layouts or {})
    unknown = [name for name in layouts if name not in names]
    if unknown:
        raise ValueError(f"layouts names {unknown[0]!r}, which is no cut of this model; cuts are {', '.join(names)}")
    seen = watch(model, inputs, feed)
    check_checkpointing(seen)
    at = _positions(model, seen, names)
    of_task, outputs, shape, layout = read_output(seen, num_classes, task)
    check_rows(model, inputs, feed, seen, of_task, outputs)
    last = Part("", shape, layout, ())
    parts = []
    for before, index in pairwise([-1, *at]):
        _check_cut(seen.calls[index])
        _check_weights_between(seen, before, index)
        parts.append(_part(seen, index, layouts, lambda index=index: time_is_first(model, inputs, feed, seen, index)))
    _check_weights_between(seen, at[-1] if at else -1, len(seen.calls) - 1, last=True)
    misfits = {part.cut: reason for part in parts if (reason := _misfit(part, last, of_task))}
    if misfits and cut == "auto":
        fitting = [name for name in names if name not in misfits]
        layouts = {name: layout for name, layout in layouts.items() if name in fitting}
        return make_plan(model, inputs, cut=fitting, num_classes=num_classes, task=task, layouts=layouts, feed=feed)
    if misfits:
        raise ValueError(next(iter(misfits.values())))
    owned, tied = _owners(model, seen, at)
    if model.training:
        _add_trained_only(model, twice(inputs) if seen.rows == 1 else inputs, names, feed, owned, tied)
    owned, unreached = _with_siblings(model, owned, {name for names in tied for name in names})
    parts = [
        replace(part, weights=tuple(weights), tied=tuple(names))
        for part, weights, names in zip([*parts, last], owned, tied, strict=True)
    ]
    return Plan(of_task, outputs, tuple(parts), unreached)


def _part(seen: Pass, index: int, layouts: Mapping[str, str], time_first: Callable[[], bool]) -> Part:
    """Return the part that ends with a call; its weights are filled in later."""
    call, shape = seen.calls[index], tuple(seen.calls[index].activity.shape)
    what = f"the cut {call.name}"
    if call.name in layouts:
        layout = check_layout(layouts[call.name], shape, what)
    elif len(shape) == 3 and shape[0] == shape[1] == seen.rows and time_first():
        layout = "time_first"
    else:
        layout = infer_layout(shape, seen.rows, seen.calls[: index + 1], what)
    return Part(call.name, shape, layout, ())


def check_model(model: Any) -> None:
    """Raise ValueError for what is no plain module: wrappers, compiled ones, weights that cannot be trained."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"a model is a torch.nn.Module, got {type(model).__name__}")
    kind = type(model).__name__
    if kind in ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"):
        raise ValueError(f"{kind} wraps the model, and copies of it see no block: give model.module")
    if hasattr(model, "_orig_mod"):
        raise ValueError("a compiled model hides its modules: give model._orig_mod, the one that was compiled")
    if getattr(model, "_compiled_call_impl", None) is not None:
        raise ValueError(
            "the model was compiled in place, model.compile(), and its graph ends at every cut: leave that out, or "
            "compile the modules between the cuts"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("a scripted model cannot be cut: give the module that it was made from")
    try:
        with modes_kept(model):  # norms that the user put into evaluation mode stay there
            model.train(model.training)
    except NotImplementedError:
        raise ValueError("an exported program has no modes: give the module that it was exported from") from None
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse and module.weight.requires_grad:
            raise ValueError(
                f"{name} is an embedding with sparse gradients, which no optimizer here takes: set its attribute "
                "sparse to False"
            )
    check_initialized(model)
    _check_quantized(model)
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise ValueError(f"{name} is on the meta device, without values: load the weights first")
        if parameter.dtype == torch.float16 and parameter.requires_grad:
            raise ValueError(
                f"{name} is float16, whose gradients vanish without loss scaling: take model.bfloat16(), or "
                "model.float() with TrainerSettings(precision='bf16')"
            )


def _check_quantized(model: nn.Module) -> None:
    trained = ""
    for name, module in model.named_modules():
        if trained and type(module).__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
            raise ValueError(
                f"{name} is quantized, and no gradient passes it to {trained}: train the model before it is quantized, "
                "or freeze what comes before (requires_grad_(False))"
            )
        own = [key for key, parameter in module.named_parameters(name, recurse=False) if parameter.requires_grad]
        trained = trained or next(iter(own), "")


def _cut_names(model: nn.Module, inputs: Any, cut: CutAt, feed: Feed) -> list[str]:
    if isinstance(cut, bool) or not isinstance(cut, str | int | Sequence):
        raise ValueError(f"cut is 'auto', a number of blocks, or a list of module names; got {cut!r}")
    if cut == 1:
        return []
    if cut == "auto":
        return [spot.name for spot in default_cuts(model, inputs, feed=feed)]
    if isinstance(cut, int):
        return [spot.name for spot in cuts(model, inputs, cut, feed=feed)]
    names = [cut] if isinstance(cut, str) else list(cut)
    known = dict(model.named_modules())
    for name in names:
        if not isinstance(name, str) or not name or name not in known:
            near = difflib.get_close_matches(str(name), [*known], 3, 0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else "see onward.cuts(model, example)"
            raise ValueError(f"the model has no module {name!r} to cut behind; {hint}")
        if names.count(name) > 1:
            raise ValueError(f"the cut {name} is named twice")
    return names


def _positions(model: nn.Module, seen: Pass, names: list[str]) -> list[int]:
    positions = []
    for name in names:
        at = [index for index, call in enumerate(seen.calls) if call.name == name]
        if name in seen.silent:
            raise ValueError(
                f"the cut {name} gives {seen.silent[name]}, in which no tensor is found: cut behind a module inside it "
                "that gives one, or let it give a tensor, tuple, list, dict or dataclass"
            )
        if not at and isinstance(model.get_submodule(name), torch.jit.ScriptModule):
            raise ValueError(f"the cut {name} is scripted, and hides its calls: cut behind another module")
        if not at:
            raise ValueError(f"the cut {name} is not reached by the example: the model does not call that module")
        if len(at) > 1:
            raise ValueError(
                f"the cut {name} is called {len(at)} times in one pass, so it is not a single position: cut behind a "
                "module that is called once, and keep this one inside a block; without such a module, cut=1 is left"
            )
        positions.append(at[0])
    return sorted(positions)


def _check_cut(call: Call) -> None:
    if not call.watched:
        raise ValueError(
            f"the cut {call.name} lies inside a checkpointed part, or where gradients are off: switch gradient "
            "checkpointing off (local learning keeps the activations of one block alone), or cut behind that part"
        )
    if not call.activity.is_floating_point():
        raise ValueError(
            f"the cut {call.name} gives {call.activity.dtype}, and blocks learn from real numbers: cut where the "
            "activity is float (behind abs() or view_as_real() in a module of their own), or take cut=1"
        )
    if not call.nodes and any(p.requires_grad for p in call.module.parameters()):
        raise ValueError(
            f"the cut {call.name} gives an output without a gradient to its own weights: it is detached or computed "
            "under no_grad there; cut elsewhere, or freeze these weights"
        )


def _check_weights_between(seen: Pass, before: int, index: int, *, last: bool = False) -> None:
    if before < 0 or _weights_between(seen, before, index):
        return
    if last:
        raise ValueError(
            f"there are no weights behind the cut {seen.calls[before].name}: the model's output trains the last block, "
            "so leave that cut out"
        )
    raise ValueError(
        f"there are no weights between the cuts {seen.calls[before].name} and {seen.calls[index].name}: leave one out"
    )


def _weights_between(seen: Pass, before: int, index: int) -> bool:
    """Whether a weight is used between two calls; those of a module around the first may have been used before it."""
    around = [call for call in seen.calls[before + 1 : index + 1] if [*call.module.parameters(recurse=False)]]
    cut = seen.calls[before].name
    if any(call.name and not cut.startswith(f"{call.name}.") for call in around):
        return True
    if any(not p.requires_grad for call in around for p in call.module.parameters(recurse=False)):
        return True  # frozen ones are not in the graph
    start = set(seen.calls[before].nodes[:1])
    nodes = below(next(iter(seen.calls[index].nodes), None), start)
    used = {id(leaf) for node in nodes for leaf in _leaves_of(node) if isinstance(leaf, nn.Parameter)}
    if not around:  # of modules that hold weights and are never called, such as a ParameterList
        used -= {id(leaf) for node in below(next(iter(start), None), set()) for leaf in _leaves_of(node)}
    return bool(used)


def _misfit(part: Part, last: Part, task: Task) -> str | None:
    """Return why a block cannot learn the labels of the output's positions, such as an encoder's of other tokens."""
    if task == "classes" or len(last.shape) < 3:
        return None
    positions, own = _positions_of(last), _positions_of(part)
    if own == positions or (len(own) == len(positions) and part.layout not in ("tokens", "time_first")):
        return None
    return (
        f"the cut {part.cut} gives {list(part.shape)}, and the {' x '.join(map(str, positions))} positions of the "
        "output have the labels, so this cut has no labels of its own (an encoder of another sequence, a pooled one): "
        "cut where the positions are those of the output, or take cut=1"
    )


def _positions_of(part: Part) -> tuple[int, ...]:
    return tuple(channels_first(torch.empty(part.shape, device="meta"), part.layout).shape[2:])


def _owners(model: nn.Module, seen: Pass, at: list[int]) -> tuple[list[list[str]], list[list[str]]]:
    """Return, for each block, the names of the trained weights that it alone uses, and of those that others use too.

    A block's graph is what leads to its activity and to no earlier one: of what passes a cut beside the activity, a
    skip connection, the part that was computed for an earlier activity is that block's.
    """
    name_of = {id(p): name for name, p in model.named_parameters()}
    order = {id(p): position for position, p in enumerate(model.parameters())}
    claimed: set[Any] = set()
    cut: set[Any] = set()
    used: list[set[int]] = []
    beside: list[set[int]] = []
    for root in [*(next(iter(seen.calls[index].nodes), None) for index in at), seen.output.grad_fn]:
        old = {id(leaf) for leaf in _leaves(root, cut, claimed)}
        nodes = list(below(root, claimed | cut))
        used.append({id(leaf) for node in nodes for leaf in _leaves_of(node)} & name_of.keys())
        beside.append(old & name_of.keys())
        claimed.update(node for node in nodes if not hasattr(node, "variable"))
        cut.add(root)
    counts = Counter(key for keys in used for key in keys)
    for keys, others, index in zip(used, beside, [*at, -1], strict=True):
        both = [key for key in keys & others if counts[key] > 1]
        if both:
            raise ValueError(
                f"{name_of[both[0]]} is tied across blocks and also reaches {seen.calls[index].name or 'the output'} "
                f"past a "
                "cut, so its gradient cannot be told apart: untie it (a parameter of its own), or cut elsewhere"
            )

    def named(keys: set[int], tied: bool) -> list[str]:
        return [name_of[key] for key in sorted(keys, key=order.__getitem__) if (counts[key] > 1) == tied]

    return [named(keys, False) for keys in used], [named(keys, True) for keys in used]


def _add_trained_only(
    model: nn.Module, inputs: Any, names: list[str], feed: Feed, owned: list[list[str]], tied: list[list[str]]
) -> None:
    """Add to the blocks the weights that are used in training mode alone.

    Raises ValueError for outputs of training mode that need a loss of their own, such as heads beside the last one.
    """
    try:
        seen = watch(model, inputs, feed, own_modes=True)
        at = _positions(model, seen, names)
        more, _ = _owners(model, seen, at)
    except (ValueError, RuntimeError):  # a layer that is left out at random
        return
    check_checkpointing(seen)
    check_others(seen)
    known = {name for names in (*owned, *tied) for name in names}
    for mine, names_of_block in zip(owned, more, strict=True):
        mine += [name for name in names_of_block if name not in known]


def _leaves_of(node: Any) -> Iterator[Tensor]:
    """Yield the weights that enter a graph at a node."""
    for before, _ in node.next_functions:
        if isinstance(getattr(before, "variable", None), Tensor):
            yield before.variable


def _leaves(root: Any, cut: set[Any], claimed: set[Any]) -> Iterator[Tensor]:
    """Yield the weights that reach a node through what an earlier block computed, but not through its activity."""
    for node in below(root, cut):
        if node in claimed:
            yield from _leaves_of(node)


def _with_siblings(model: nn.Module, owned: list[list[str]], tied: set[str]) -> tuple[list[list[str]], tuple[str, ...]]:
    """Give trained weights that the example did not reach to the block that has all others of their module.

    Experts that no row was sent to, branches that are left out in evaluation.
    """
    block_of = {name: k for k, names in enumerate(owned) for name in names}
    unreached, more = [], {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or name in block_of or name in tied:
            continue
        parts = name.split(".")
        for depth in range(len(parts) - 1, 0, -1):
            prefix = ".".join(parts[:depth]) + "."
            blocks = {k for other, k in block_of.items() if other.startswith(prefix)}
            if blocks:
                break
        else:
            blocks = set()
        if len(blocks) == 1:
            more[name] = blocks.pop()
        else:
            unreached.append(name)
    for name, k in more.items():
        owned[k].append(name)
    return owned, tuple(unreached)
