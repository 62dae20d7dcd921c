"""A stage: some consecutive blocks of a learner on one rank, trained and evaluated on the messages that it receives."""
# B batch, C classes, L scored blocks so far

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, Piece, Stream, Target, split
from onward.pipeline.message import Message


class Elsewhere(nn.Module):
    """Placeholder of a block of another rank; it has no weights and computes nothing."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("this block belongs to another rank")


def carve(learner: Learner, owned: range) -> Learner:
    """Take all blocks but `owned` out of a learner, in place; names of weights and numbers of blocks stay."""
    for k in range(len(learner.blocks)):
        if k not in owned:
            learner.blocks[k] = LocalBlock(Elsewhere())  # pyright: ignore[reportIndexIssue] (a module list)
    return learner


def step_message(pieces: Sequence[Piece], target: Target, notes: dict) -> Message:
    """Return the message of a stage after a step: the stream of every piece, and the target of the batch."""
    stream = [tensor for piece in pieces for tensor in piece.stream]
    exact = [target.label] if target.sign is None else [target.label, target.sign]
    widths = [len(piece.stream) for piece in pieces]
    return Message("step", stream, exact, {**notes, "widths": widths, "views": target.views})


def step_content(message: Message, count: int, own: slice) -> tuple[list[Piece], Target]:
    """Return the target that `step_message` packed, and those of its `count` pieces whose streams it packed."""
    target = Target(message.exact[0], *(message.exact[1:] or [None]), views=message.notes["views"])
    pieces, begin = split((), target, count)[own], 0
    for number, width in enumerate(message.notes["widths"]):
        pieces[number] = pieces[number]._replace(stream=tuple(message.stream[begin : begin + width]))
        begin += width
    return pieces, target


class StageForward:
    """Runs the blocks of a stage on evaluation batches and adds their scores."""

    def __init__(self, learner: Learner, owned: range):
        self.learner, self.owned = learner, owned

    def scores(self, stream: Stream) -> tuple[Stream, list[Float[Tensor, "B *C"]]]:
        """Return the stage's output, and the goodness of every block that has one."""
        scores = []
        for k in self.owned:
            block = self.learner.blocks[k]
            activity, stream = block(*stream)
            if block.goodness is not None:
                scores.append(block.goodness(activity).float())
        return stream, scores

    def handed_on(self, stream: Stream) -> tuple[Stream, list[Float[Tensor, "B D"]]]:
        """Return the stage's output, and each block's handed-on tensor, averaged over its map."""
        activities = []
        for k in self.owned:
            _, stream = self.learner.blocks[k](*stream)
            x = stream[0]
            activities.append(x.mean(dim=tuple(range(2, x.ndim))) if x.ndim > 2 else x)
        return stream, activities
