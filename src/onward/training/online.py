"""Online learning: training on a stream, one small batch after another."""
# B images at a time, S spans

import copy
from typing import Any

from jaxtyping import Float
from torch import Tensor

from onward.core import (
    InferenceRule,
    Learner,
    LocalTrainer,
    Snapshot,
    TrainerSettings,
    check_labels,
    check_pairs,
    warn_uncaptured,
)


class OnlineLearning:
    """Trains a learner on a stream, from one image at a time upward; there are no epochs and there is no schedule.

    The learning rate stays `settings.learning_rate`. Between two calls the learner predicts, may be saved, and may be
    put on a chip or taken off it. `step` counts the calls; another object with the same learner, seed, step and
    optimizer state (`trainer.optimizers`) continues in the same way.

    Raises ValueError for settings that need the end or the whole of the data.
    """

    def __init__(self, learner: Learner, settings: TrainerSettings, *, seed: int = 0, step: int = 0):
        if settings.order != "joint":
            raise ValueError("a stream trains every block on every batch; order cascade needs epochs: use order joint")
        if settings.compile:
            raise ValueError(
                "compile makes a program for batches of one size, and those of a stream have any; leave compile out"
            )
        if settings.ema_decay is not None:
            raise ValueError("weight averaging ends with a training, a stream does not; leave ema_decay out")
        warn_uncaptured(
            settings, "a recording is of batches of one size, and those of a stream have any; leave capture out"
        )
        self.trainer = LocalTrainer(learner, settings, seed=seed)
        self.step = step
        self._num_classes: int | None = None

    @property
    def learner(self) -> Learner:
        return self.trainer.learner

    def partial_fit(self, images: Any, labels: Any) -> Float[Tensor, "S"]:
        """Learn from inputs and their labels, both as `from_arrays` takes them; return each span's loss.

        Labels are class indices or names of classes [B], a number being an index, or the learner's other targets. After
        an error the learner, its optimizers and `step` are unchanged, bit for bit. Raises ValueError for inputs or
        labels of another form, for an empty batch, for another number of labels than of inputs, and where losses or
        weights would become infinite or NaN.
        """
        x, y = self._checked(images, labels)
        before = Snapshot(self.learner, self.trainer.optimizers)
        training = self.learner.training
        self.learner.train()
        try:
            losses = self.trainer.step(x, y, step=self.step)
            if not (losses.isfinite().all() and before.still_finite()):
                raise ValueError(self._not_finite(losses))
        except BaseException:
            before.restore()
            raise
        finally:
            self.learner.train(training)
        self.step += 1
        return losses

    def _checked(self, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
        x, y = self.learner.check_inputs(images), self.learner.check_targets(labels)
        check_pairs(x, y)
        if len(x) == 0:
            raise ValueError("images is empty: partial_fit learns from one image or more")
        x = self.learner.place(x)
        if self.learner.task == "classes":
            if self._num_classes is None:
                self._num_classes = _classes(self.learner, x[:1])
            y = check_labels(y, num_classes=self._num_classes)
        return x, y.to(x.device)

    def _not_finite(self, losses: Tensor) -> str:
        spans = self.learner.turns[self.step % len(self.learner.turns)]
        bad = [span.last for span, fine in zip(spans, losses.isfinite().tolist(), strict=True) if not fine]
        what = f"the loss of block {bad[0]}" if bad else "what this batch would teach"
        return (
            f"{what} is not finite in step {self.step}, so nothing was learned from this batch; lower the learning "
            "rate (TrainerSettings.learning_rate) or clip gradients (clip_norm=1)"
        )


def _classes(learner: Learner, x: Tensor) -> int | None:
    """Return the number of a learner's classes; None if it is trained without labels."""
    known = [rule.num_classes for rule in learner.rules.values() if isinstance(rule, InferenceRule)]
    if any(known):
        return next(count for count in known if count)
    # Asked of a copy: on a chip, every reading draws noise.
    return copy.deepcopy(learner).score_blocks(x).shape[-1] or None
