"""Locality: which blocks an objective really trains."""
# B batch

import copy

from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Learner, LocalTrainer, TrainerSettings


def reached_blocks(learner: Learner, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"]) -> list[list[int]]:
    """Return, for each span, the indices of the blocks whose parameters its objective gives a gradient.

    Trains a copy on one batch, span by span, through the trainer; the learner itself is left as it is.
    """
    trainer = LocalTrainer(copy.deepcopy(learner), TrainerSettings(channels_last=False))
    reached: set[int] = set()
    for index, block in enumerate(trainer.learner.blocks):
        for parameter in block.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(lambda _, index=index: reached.add(index))
    found = []
    stream, target = trainer.enter(x, y, step=0)
    for span in learner.spans:
        reached.clear()
        trainer.update(stream, target, [span], step=0)
        found.append(sorted(reached))
    return found
