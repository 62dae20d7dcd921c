"""Online learning: a learner that takes what comes, one small batch after another."""
# B images at a time, S spans

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Learner, LocalTrainer, TrainerSettings


class OnlineLearning:
    """Trains a learner on a stream, from one image at a time upward; there are no epochs and there is no schedule.

    The learning rate stays `settings.learning_rate`. Between two calls the learner predicts, may be saved, and may be
    put on a chip or taken off it. `step` counts the calls; another that is given the same learner, seed, step and
    optimizer state (`trainer.optimizers`) goes on as this one would.

    Raises ValueError for settings that need to know the end or the whole of the data.
    """

    def __init__(self, learner: Learner, settings: TrainerSettings, *, seed: int = 0, step: int = 0):
        if settings.order != "joint":
            raise ValueError("a stream trains every block on every batch; order cascade needs epochs: use order joint")
        if settings.averaging is not None:
            raise ValueError("averaging ends with a training, a stream does not; leave averaging out")
        self.trainer = LocalTrainer(learner, settings, seed=seed)
        self.step = step

    @property
    def learner(self) -> Learner:
        return self.trainer.learner

    def partial_fit(self, images: Tensor, labels: Tensor | Sequence[int]) -> Float[Tensor, "S"]:
        """Learn from images [B, channels, H, W], uint8 or floats in [0, 1], and their classes; return each span's loss.

        Raises ValueError for an empty batch, for another number of labels than of images, or for labels that are not
        whole numbers.
        """
        device = self.learner.device
        x, y = torch.as_tensor(images).to(device), torch.as_tensor(labels)
        if y.is_floating_point() and y.numel():
            raise ValueError(f"labels must be whole numbers from 0, got {y.dtype}")
        y = y.to(device, torch.int64)
        if y.ndim != 1 or len(x) != len(y) or len(y) == 0:
            raise ValueError(f"partial_fit needs one label per image, got {len(x)} images and labels {tuple(y.shape)}")
        training = self.learner.training
        self.learner.train()
        try:
            losses = self.trainer.step(x, y, step=self.step)
        finally:
            self.learner.train(training)
        self.step += 1
        return losses
