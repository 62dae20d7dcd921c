"""What a recorded step takes for granted: the modules, weights and settings that it was recorded with."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as of_modules
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from onward.core.optimizer import BlockOptimizer

_OF_TORCH = vars(nn.Module()).keys() - {"training"}  # what torch keeps in every module, and is looked at by itself
_INNER = attrgetter("_modules", "_parameters", "_buffers")
_HOOKS = attrgetter("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_ALL = (
    of_modules._global_forward_hooks,
    of_modules._global_forward_pre_hooks,
    of_modules._global_backward_hooks,
    of_modules._global_backward_pre_hooks,
    _global_optimizer_pre_hooks,
    _global_optimizer_post_hooks,
)
_TRAINED, _WEIGHT_HOOKS = attrgetter("requires_grad"), attrgetter("_backward_hooks", "_post_accumulate_grad_hooks")


class RecordedState:
    """Which objects modules, optimizers and trainer hold, and where their tensors are, when a step is recorded.

    Work that is repeated does not look at them again, so that each must still be the one that it was: modes, hooks and
    values of modules, memory and `requires_grad` of weights, numbers and state of optimizers. What tensors contain may
    change, and is not compared.
    """

    def __init__(
        self, modules: Iterable[nn.Module], optimizers: Sequence[BlockOptimizer], tables: Iterable[dict[str, Any]]
    ):
        """`tables`: further values by name."""
        self.optimizers = [*optimizers]
        inner = list(dict.fromkeys(inner for module in modules for inner in module.modules()))
        held = [*tables, *map(vars, optimizers), *chain.from_iterable(map(_INNER, inner))]
        for own in (part.optimizer for optimizer in optimizers for part in optimizer.parts):
            held += [vars(own), *own.param_groups, own.state, *own.state.values()]
            held += [own._optimizer_step_pre_hooks, own._optimizer_step_post_hooks]
        plain = [vars(module) for module in inner]
        self.tables = [table for table in held if table]
        self.sized = [*_OF_ALL, *held, *plain, *chain.from_iterable(map(_HOOKS, inner))]
        self.plain = [(itemgetter(*(values.keys() - _OF_TORCH), "_modules"), values) for values in plain]
        self.weights = [weight for module in inner for weight in module._parameters.values() if weight is not None]
        self.tensors = self.weights + [b for module in inner for b in module._buffers.values() if b is not None]
        self.size, self.entries, self.of_tensors = self._size(), [*self._entries()], self._of_tensors()

    def is_current(self, optimizers: Sequence[BlockOptimizer]) -> bool:
        """Whether everything is as it was. It compares identities and walks through no module: part of every step."""
        return (
            self.optimizers == [*optimizers]
            and self._size() == self.size
            and all(map(is_, self._entries(), self.entries))
            and self._of_tensors() == self.of_tensors
        )

    def has_gradients(self) -> bool:
        """Whether a weight has a gradient, which a step would add to its own."""
        return any(weight.grad is not None for weight in self.weights)

    def _size(self) -> int:
        return sum(map(len, self.sized))

    def _entries(self) -> Iterator[Any]:
        plain = [chosen(values) for chosen, values in self.plain]
        return chain.from_iterable([*map(dict.values, self.tables), *plain])

    def _of_tensors(self) -> list[Any]:
        return [*map(Tensor.data_ptr, self.tensors), *map(_TRAINED, self.weights), *map(_WEIGHT_HOOKS, self.weights)]
