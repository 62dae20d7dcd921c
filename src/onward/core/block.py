"""The block: a body, and what is read from its activity."""
# B batch

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core.group_norm import calls_group_norm, group_norms, trainable_norms
from onward.core.slots import Auxiliary, Goodness, Objective, Stream, Supervision, Target
from onward.core.span import Span


class LocalBlock(nn.Module):
    """A body computes an activity; goodness reads it; handoff turns it into the next block's input.

    A body whose class has `reads_stream = True` is given the skip connections too: `body(x, *skips)`.
    Goodness is read before the handoff, which may normalize it away (Hinton 2022; DeeperForward). A block without
    goodness and objective trains only inside a span that ends later. An auxiliary adds a loss on the activity itself.

    Raises ValueError if goodness and objective do not fit each other, or an auxiliary is given without them.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        goodness: Goodness | None = None,
        objective: Objective | None = None,
        auxiliary: Auxiliary | None = None,
        handoff: nn.Module | None = None,
        rate_share: float = 1.0,
        head: bool = False,
    ):
        """`rate_share`: the block's learning rate, as a share of the trainer's. `head`: whether it is a classifier
        behind the blocks of a network: `HeadGoodness` reads it, rules over blocks leave it out, and backprop keeps it
        in its control."""
        super().__init__()
        _check_slots(goodness, objective, auxiliary)
        if head and goodness is None:
            raise ValueError("a head is read as a score: give the block a goodness and an objective")
        _check_reader(body)
        self.body = body
        self._norms, self._norm_called = group_norms(body), calls_group_norm(body)
        self.goodness = goodness
        self.objective = objective
        self.auxiliary = auxiliary
        self.rate_share = rate_share
        self.head = head
        self.handoff = handoff if handoff is not None else PassOn()

    def forward(self, x: Float[Tensor, "B ..."], *skips: Tensor) -> tuple[Float[Tensor, "B ..."], Stream]:
        activity = self.run_body(x, *skips)
        return activity, self.handoff(activity, *skips)

    def run_body(self, x: Tensor, *skips: Tensor) -> Float[Tensor, "B ..."]:
        """Return the activity: of the input, and of the skip connections too where the body `reads_stream`."""
        if self._norms or self._norm_called:
            with trainable_norms(self._norms, function=self._norm_called):
                return self.body(x, *skips) if reads_stream(self.body) else self.body(x)
        return self.body(x, *skips) if reads_stream(self.body) else self.body(x)

    def hand_on(self, activity: Float[Tensor, "B ..."], *skips: Tensor) -> Stream:
        """Return the handoff of an activity that is not read again, so that the handoff may overwrite it."""
        if getattr(self.handoff, "overwrites", False):
            return self.handoff(activity, *skips, overwrite=True)
        return self.handoff(activity, *skips)

    def loss(self, activity: Float[Tensor, "B ..."], target: Target) -> Float[Tensor, ""]:
        """Return the block's loss: the mean of its objective's terms, plus the mean of its auxiliary's."""
        assert self.goodness is not None and self.objective is not None
        loss = self.objective(*self.goodness.training_scores(activity, target)).mean()
        self.goodness.update_statistics(activity.detach(), target)
        return loss if self.auxiliary is None else loss + self.auxiliary(activity, target).mean()


def reads_stream(body: nn.Module) -> bool:
    """Whether a body is called with the whole stream, `body(x, *skips)`: its class has `reads_stream = True`."""
    return getattr(type(body), "reads_stream", False)


def shared(activity: Tensor, *stream: Tensor) -> bool:
    """Whether an activity shares memory with the input or a skip connection: then it must not be overwritten."""
    if torch.compiler.is_exporting():  # traced tensors have no memory: nothing is overwritten
        return True
    address = activity.untyped_storage().data_ptr()
    return address in [tensor.untyped_storage().data_ptr() for tensor in stream]


class PassOn(nn.Module):
    """The handoff that changes nothing: the activity is the next block's input."""

    def forward(self, activity: Float[Tensor, "B ..."], *skips: Tensor) -> Stream:
        return (activity, *skips)


def detach(stream: Iterable[Tensor]) -> Stream:
    """Return the same tensors without their graph.

    Raises ValueError for a bare tensor: what a handoff returns is a stream.
    """
    if isinstance(stream, Tensor):
        raise ValueError("a handoff returned a tensor, not a stream; wrap it: Handoff(normalize, Carry())")
    return tuple(map(Tensor.detach, stream))


def _check_reader(body: nn.Module) -> None:
    """Raise ValueError for a body with an inner module that reads the stream, which it would not receive."""
    if reads_stream(body):
        return
    for name, module in body.named_modules():
        if reads_stream(module):
            raise ValueError(
                f"{type(module).__name__} reads the stream, but is inside {type(body).__name__} (as {name}), which "
                "receives the input alone: make it a body itself, but not the first one, in front of which an "
                "algorithm may put a norm"
            )


def _check_slots(goodness: Goodness | None, objective: Objective | None, auxiliary: Auxiliary | None) -> None:
    if (goodness is None) != (objective is None):
        present = type(goodness if objective is None else objective).__name__
        raise ValueError(f"a block needs both a goodness and an objective, or neither; got only {present}")
    if auxiliary is not None and objective is None:
        raise ValueError(f"{type(auxiliary).__name__} adds to an objective; give the block a goodness and an objective")
    for part in (goodness, objective):
        if part is not None and not hasattr(part, "per_class"):
            raise ValueError(
                f"{type(part).__name__} lacks per_class: set it to whether there is a score for each class"
            )
    if goodness is None or objective is None or goodness.per_class == objective.per_class:
        return
    wanted, given = ("class", "sample") if objective.per_class else ("sample", "class")
    raise ValueError(
        f"{type(objective).__name__} needs one score per {wanted}, but {type(goodness).__name__} gives one per {given}"
    )


def check_objectives(blocks: Sequence[LocalBlock], spans: Sequence[Span], supervision: Supervision) -> None:
    """Raise ValueError unless every span ends at a block with an objective, and all objectives fit the supervision."""
    for span in spans:
        if blocks[span.last].objective is None:
            raise ValueError(f"block {span.last} ends {span} but has no objective to train it on")
        for block in blocks[span.blocks] if span.deep else blocks[span.last : span.last + 1]:
            if block.objective is not None and block.objective.signed != supervision.signed:
                wanted = "real and contrastive views" if block.objective.signed else "one view per sample"
                raise ValueError(
                    f"{type(block.objective).__name__} needs {wanted}, which {type(supervision).__name__} does not give"
                )


def check_heads(blocks: Sequence[LocalBlock]) -> None:
    """Raise ValueError unless heads come after all other blocks."""
    heads = [k for k, block in enumerate(blocks) if block.head]
    if heads and heads != list(range(heads[0], len(blocks))):
        raise ValueError(f"block {heads[0]} is a head, but blocks follow it: put heads last")
