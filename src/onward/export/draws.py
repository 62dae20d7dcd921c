"""Draws of a traced step: the units that dropout keeps are an input, so that the step is a pure function."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from onward.core import Learner
from onward.nets.dropout import Dropout
from onward.nets.relu_dropout import ReluDropout

_DROPOUTS = (Dropout, ReluDropout, nn.Dropout, nn.Dropout2d)
_BITS = 24
"""Bits of a draw that are compared with the probability to drop a unit."""
_GOLDEN = 0x9E3779B9
WITHOUT_STEP = "export without --learning, and in place of a page, which always learns, take --format js"
"""The remedy where a step cannot be exported."""


@dataclass(frozen=True)
class Draw:
    """An input of a step: 1 for each unit that stays, with probability `keep`, and 0 for each that is dropped."""

    name: str
    shape: tuple[int, ...]
    keep: float

    @property
    def least(self) -> int:
        """The smallest draw of 24 bits at which a unit stays."""
        return round((1 - self.keep) * 2**_BITS)


def with_torch_dropout(learner: Learner) -> Learner:
    """Return a copy whose dropout is torch's own, which draws by one operator for each module."""
    return _replaced(learner, dropout=True)


def without_dropout(learner: Learner) -> Learner:
    """Return a copy without the modules of dropout."""
    return _replaced(learner, dropout=False)


def _replaced(learner: Learner, *, dropout: bool) -> Learner:
    learner = copy.deepcopy(learner)
    for part in list(learner.modules()):
        for name, child in part.named_children():
            if isinstance(child, _DROPOUTS):
                kind = nn.Dropout2d if isinstance(child, nn.Dropout2d) else nn.Dropout
                new = [nn.ReLU(inplace=True)] if isinstance(child, ReluDropout) else []
                new += [kind(child.p)] if dropout and child.p else []
                setattr(part, name, nn.Sequential(*new))
    return learner


def take_draws(graph: GraphModule, method: str) -> tuple[Draw, ...]:
    """Make every draw of dropout in a graph an input, after the existing ones.

    Raises ValueError naming an operator that draws other random numbers.
    """
    draws: list[Draw] = []
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.graph.nodes):
        if not _is_random(node):
            continue
        if node.target not in (torch.ops.aten.bernoulli_.float, torch.ops.aten.bernoulli.p):
            raise ValueError(
                f"{method} cannot learn outside of onward: its step draws at random by {node.target}, "
                f"and of such draws only dropout's can be exported: {WITHOUT_STEP}"
            )
        draw = Draw(f"kept.{len(draws)}", tuple(node.meta["val"].shape), float(node.args[1]))
        with graph.graph.inserting_after(last):
            last = graph.graph.placeholder(f"kept_{len(draws)}")
        with graph.graph.inserting_before(node):
            own = graph.graph.call_function(torch.ops.aten.clone.default, (last,))  # the copy is written to
        node.replace_all_uses_with(own)
        graph.graph.erase_node(node)
        draws.append(draw)
    graph.recompile()
    return tuple(draws)


def _is_random(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags


def mixed(number: int) -> int:
    """Return a 32-bit hash of a number: the last step of MurmurHash3 (Appleby)."""
    number ^= number >> 16
    number = number * 0x85EBCA6B & 0xFFFFFFFF
    number ^= number >> 13
    number = number * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ number >> 16


def kept_units(draws: tuple[Draw, ...], seed: int, step: int) -> list[Tensor]:
    """Return the draws of a step, counted from 1, as exported C and JavaScript compute them from a 32-bit seed."""
    key, first, kept = mixed(mixed(seed) ^ step), 0, []
    for draw in draws:
        count = torch.Size(draw.shape).numel()
        units = (mixed(key + unit * _GOLDEN & 0xFFFFFFFF) >> 32 - _BITS for unit in range(first, first + count))
        kept.append(torch.tensor([float(unit >= draw.least) for unit in units]).view(draw.shape))
        first += count
    return kept
