"""One training step inside the model's own forward pass: at every cut the block's loss and update, after which its
graph is dropped."""
# B batch, S spans

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import BlockOptimizer, Span, Target, TrainerSettings, batch_norm_remedies, derive_seed, seeded
from onward.core.group_norm import calls_group_norm, group_norms, trainable_norms
from onward.core.joint_step import HeldSteps
from onward.core.seeds import reseed
from onward.modules.heads import Head
from onward.modules.output import REENTRANT
from onward.modules.plan import Plan
from onward.nets.outputs import exchanged, leading_tensor, read, tensors_in
from onward.nets.recorded_pass import Feed, called, saved_tensor_hooks

_ROOM = 2.0**20
"""Bytes of gradients that small blocks hold until they step together."""


class LocalStep:
    """Trains the blocks of a model, one after the other, while the model computes its output.

    Hooks are on the cut modules during `run` only. Randomness depends on (seed, step, block), as in
    `LocalTrainer`.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        heads: Sequence[Head],
        spans: Sequence[Span],
        optimizers: Sequence[BlockOptimizer],
        settings: TrainerSettings,
    ):
        self.model = model
        self.plan = plan
        self.heads = heads
        self.optimizers = optimizers
        self.settings = settings
        self.span_of = {k: span for span in spans for k in range(span.first, span.last + 1)}
        weights = dict(model.named_parameters())
        self.tied = [[weights[name] for name in part.tied] for part in plan.parts]
        self.held = HeldSteps(math.inf if settings.step_together else _ROOM)
        self.trained = {span: self._trained(span) for span in spans}
        self.norms, self.norm_called = group_norms(model), calls_group_norm(model)

    def run(
        self, inputs: Any, target: Tensor, mask: Tensor | None, feed: Feed, *, seed: int, step: int
    ) -> Float[Tensor, "S"]:
        """Return the loss of every span, without a graph; blocks' outputs are computed with the old weights.

        Raises ValueError for inputs that the model cannot be called with, where a cut is not reached, or reached twice,
        where labels do not fit the output, and where a loss is not finite.
        """
        walk = _Pass(self, inputs, target, mask, seed, step)
        self._drop_gradients()
        self.held.begin()
        with ExitStack() as stack:
            stack.enter_context(_moves_told(self.held))
            stack.callback(self._drop_gradients)
            stack.callback(walk.close)
            for k, part in enumerate(self.plan.parts[:-1]):
                hook = self.model.get_submodule(part.cut).register_forward_hook(walk.hook(k))
                stack.callback(hook.remove)
            stack.enter_context(trainable_norms(self.norms, function=self.norm_called))
            walk.open(0)
            with batch_norm_remedies(), self.settings.arithmetic(target.device):
                output = walk.through(feed)
            walk.end(output)
            if len(self.optimizers) > len(self.plan.parts):
                self.held.add(self.optimizers[-1:])  # that of tied weights, for which all blocks have to be through
            self.held.flush()
        return torch.stack([loss.to(walk.losses[0].device) for loss in walk.losses])

    def learn(self, k: int, losses: list[Tensor], inputs: Any) -> Tensor:
        """Train the span that ends at block k on one batch, and return its loss."""
        span = self.span_of[k]
        loss = sum(losses[:-1], losses[-1])  # in the order of `local_update`, to the last bit
        if not math.isfinite(loss.item()):
            remedy = "lower the learning rate (TrainerSettings.learning_rate), or clip gradients (clip_norm=1)"
            dense = [tensor for tensor in tensors_in(inputs) if tensor.layout == torch.strided]
            if not all(bool(tensor.isfinite().all()) for tensor in dense):  # infinite ones may be those of a mask
                remedy = f"the inputs hold NaN or infinite numbers: fill them, or leave these rows out; else {remedy}"
            raise ValueError(f"the loss of block {k} ({self.plan.parts[k].cut or 'output'}) is not finite: {remedy}")
        trained = self.trained[span]
        with _plain_arithmetic(loss.device):
            if loss.requires_grad and trained:
                _backward(loss, trained)
            elif trained:
                raise ValueError(
                    f"the loss of block {k} ({self.plan.parts[k].cut or 'output'}) depends on no weight that is trained"
                )
            self.held.add(self.optimizers[span.blocks])
        return loss.detach()

    def _trained(self, span: Span) -> list[nn.Parameter]:
        """Return the weights that get a gradient of this span's loss."""
        blocks = range(span.first, span.last + 1)
        own = [p for j in blocks for p in self.optimizers[j].parameters]
        return own + [p for j in blocks for p in self.tied[j]]

    def _drop_gradients(self) -> None:
        for optimizer in self.optimizers:
            for parameter in optimizer.parameters:
                parameter.grad = None


class _Pass:
    """One pass through the model: the current block, and the losses so far."""

    def __init__(self, step: LocalStep, inputs: Any, target: Tensor, mask: Tensor | None, seed: int, number: int):
        self.step, self.inputs, self.target, self.mask = step, inputs, target, mask
        self.seed, self.number = seed, number
        self.guard = saved_tensor_hooks()
        self.at = 0
        self.losses: list[Tensor] = []
        self.pending: list[Tensor] = []
        self.failed: Exception | None = None
        self.random = ExitStack()

    def open(self, k: int) -> None:
        """Set block k's own seed."""
        seed = derive_seed(self.seed, self.number, k)
        if k == 0:
            self.random.enter_context(seeded(seed, self.target.device))
        else:
            reseed(seed, self.target.device)
        self.at = k

    def close(self) -> None:
        self.random.close()

    def through(self, feed: Feed) -> Any:
        """Return the model's output. What fails at a cut is no fault of the call, and is raised as it is."""
        try:
            return called(self.step.model, self.inputs, feed)
        except ValueError:
            if self.failed is not None:
                raise self.failed from self.failed.__cause__
            raise

    def hook(self, k: int):
        def at_cut(module: nn.Module, args: Any, output: Any) -> Any:
            try:
                return self._cut(k, output)
            except Exception as error:
                self.failed = error
                raise

        return at_cut

    def _cut(self, k: int, output: Any) -> Any:
        if self.at != k:
            raise ValueError(self._out_of_order(k))
        if not torch.is_grad_enabled() or saved_tensor_hooks() != self.guard:
            raise ValueError(
                f"the cut {self.step.plan.parts[k].cut} lies inside a checkpointed part, or where gradients are off: "
                "switch gradient checkpointing off (local learning keeps the activations of one block alone)"
            )
        output = self._read(k, output)
        self.open(k + 1)
        return output

    def _out_of_order(self, k: int) -> str:
        name, due = (self.step.plan.parts[j].cut for j in (k, self.at))
        if k < self.at:
            return f"the cut {name} was called twice by this batch: cut where a pass comes by once"
        return (
            f"the cut {due} was not reached by this batch: a model that leaves out layers at random (layer drop) or by "
            "what it is given has to be cut elsewhere, or leave none out"
        )

    def end(self, output: Any) -> None:
        """Train the last block on the model's output."""
        last = len(self.step.plan.parts) - 1
        if self.at != last:
            raise ValueError(
                f"the cut {self.step.plan.parts[self.at].cut} was not reached by this batch: cut where every batch "
                "passes"
            )
        self._read(last, output)

    def _read(self, k: int, output: Any) -> Any:
        reading, block = self.step.heads[k]
        span, ends = self.step.span_of[k], self.step.span_of[k].last == k
        if block.objective is not None and (ends or span.deep):
            seen = read(output)
            assert seen is not None
            activity, mask = seen.tensor, self.mask if seen.mask is None else seen.mask
            activity = activity.reshape(-1, 1) if activity.ndim < 2 else activity
            if not ends:
                activity = (
                    activity.clone()
                )  # it is read again in the backward pass; the model may write over it until then
            target = self.target.to(activity.device)
            numbers = target.is_floating_point()  # their features are the last axis
            positions = tuple(target.shape[1:-1] if numbers else target.shape[1:]) if reading.per_token else None
            with self.step.settings.arithmetic(activity.device):
                self.pending.append(block.loss(reading(activity, mask, positions), Target(target)))
        if not ends:
            return output
        self.losses.append(self.step.learn(k, self.pending, self.inputs))
        self.pending = []
        leading = leading_tensor(output)
        assert leading is not None
        return exchanged(output, leading.detach())


def _backward(loss: Tensor, trained: Sequence[Tensor]) -> None:
    """Compute these gradients and no others: a skip connection leads into blocks that are already trained.

    Raises ValueError where the graph of an earlier step is part of this one's, and where one was not kept.
    """
    try:
        loss.backward(inputs=trained)
    except RuntimeError as error:
        if "use_reentrant" in str(error):
            raise ValueError(REENTRANT) from None
        if "graph a second time" not in str(error):
            raise
        raise ValueError(
            "the model keeps a tensor of an earlier pass together with its graph, such as a hidden state: let its "
            "forward keep a detached one (state.detach())"
        ) from None


@contextmanager
def _moves_told(held: HeldSteps) -> Iterator[None]:
    """Add to an error that blocks have been trained before it."""
    try:
        yield
    except ValueError as error:
        if not held.moved:
            raise
        raise ValueError(f"{error}; weights of the blocks before it have moved") from error


def _plain_arithmetic(device: torch.device) -> AbstractContextManager:
    """Switch autocast off, where it is on."""
    on = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if on else nullcontext()
