"""A custom training loop: `LocalTrainer.step` takes a batch, and every block trains on its own loss.

python examples/plain_loop.py
"""

import torch

import onward
from onward.algorithms import MonoForward
from onward.core import LocalTrainer, TrainerSettings
from onward.nets import MLP

EPOCHS, BATCH = 5, 64


def main() -> float:
    """Train on scikit-learn's digits; return the test accuracy."""
    data = onward.load_data("digits")
    torch.manual_seed(0)
    learner = MonoForward(features=64)(MLP(width=200, depth=3)(data.shape, data.num_classes), data.num_classes)
    settings = TrainerSettings(learning_rate=0.003)
    trainer = LocalTrainer(learner, settings, seed=0)
    images, labels = data.train.pixels.float() / 255, data.train.labels
    steps = len(images) // BATCH
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images))
        for step in range(steps):
            chosen = order[step * BATCH :][:BATCH]
            number = epoch * steps + step
            trainer.set_learning_rate(settings.learning_rate_at(number, steps, EPOCHS))
            losses = trainer.step(images[chosen], labels[chosen], step=number)  # one for each block
        print(f"epoch {epoch + 1}  losses {[round(float(loss), 3) for loss in losses]}")
    return learner.score(data.test.pixels, data.test.labels)


if __name__ == "__main__":
    print(f"test accuracy {main():.2%}")
