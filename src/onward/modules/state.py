"""The state of a model in training, in flat dicts of tensors: it is restored as a whole, or not at all."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from onward.core import BlockOptimizer
from onward.modules.heads import Head


def state_of(model: nn.Module, heads: Sequence[Head], optimizers: Sequence[BlockOptimizer]) -> dict[str, Tensor]:
    """Return the model's weights, those of the heads, and the optimizers' state."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= _of_heads(heads)
    for k, optimizer in enumerate(optimizers):
        tensors |= {f"optimizers.{k}.{name}": tensor for name, tensor in optimizer.state().items()}
    return tensors


def restore(
    tensors: Mapping[str, Tensor], model: nn.Module, heads: Sequence[Head], optimizers: Sequence[BlockOptimizer]
) -> None:
    """Restore what `state_of` returned. Raises ValueError, and changes nothing, where it belongs to another model."""
    _check_alike(tensors, state_of(model, heads, []))
    before = [optimizer.state() for optimizer in optimizers]
    try:
        for k, optimizer in enumerate(optimizers):
            optimizer.load_state(_below(tensors, f"optimizers.{k}."))
    except ValueError:
        for optimizer, state in zip(optimizers, before, strict=True):
            optimizer.load_state(state)
        raise
    model.load_state_dict(_below(tensors, "model."))
    _load_heads(heads, tensors)


def copy_heads(source: Sequence[Head], heads: Sequence[Head]) -> None:
    """Copy the weights of heads into others. Raises ValueError, and changes nothing, where these are not alike."""
    tensors = _of_heads(source)
    _check_alike(tensors, _of_heads(heads))
    _load_heads(heads, tensors)


def _of_heads(heads: Sequence[Head]) -> dict[str, Tensor]:
    """Return the weights of heads; the body of each is part of the model."""
    states = ((k, head.block.state_dict().items()) for k, head in enumerate(heads))
    return {f"heads.{k}.{name}": tensor for k, own in states for name, tensor in own if not name.startswith("body.")}


def _load_heads(heads: Sequence[Head], tensors: Mapping[str, Tensor]) -> None:
    for k, head in enumerate(heads):
        body = {name: tensor for name, tensor in head.block.state_dict().items() if name.startswith("body.")}
        head.block.load_state_dict({**body, **_below(tensors, f"heads.{k}.")})


def _check_alike(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless weights of the model and of its heads have the same names and shapes."""
    given = {name: tensor for name, tensor in tensors.items() if name.startswith(("model.", "heads."))}
    for name in sorted(given.keys() ^ own.keys()):
        raise ValueError(f"{name} is in {'the given state' if name in given else 'this training'} alone")
    for name, tensor in own.items():
        if isinstance(tensor, Tensor) and given[name].shape != tensor.shape:
            raise ValueError(f"{name} is {list(given[name].shape)} and should be {list(tensor.shape)}")


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
