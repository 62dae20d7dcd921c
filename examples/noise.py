"""A network on a noisy chip: its accuracy on five chips, before and after it has learned on each of them.

python examples/noise.py
"""

import copy

import onward
from onward.algorithms import MonoForward
from onward.core import TrainerSettings
from onward.hardware import Mismatch, ReadNoise, noisy
from onward.nets import MLP
from onward.training import OnlineLearning

NOISES = (Mismatch(0.5), ReadNoise(0.05))


def accuracy(learner: onward.Learner, data: onward.data.Splits) -> float:
    """Return the share of test images that are read right."""
    return learner.score(data.test.pixels, data.test.labels)


def main() -> list[tuple[float, float]]:
    """Train on digits without noise; return for each chip the accuracy on arrival and after learning there."""
    data = onward.load_data("digits")
    settings = TrainerSettings(learning_rate=0.002)
    learner = onward.fit(MonoForward(features=128), MLP(width=100, depth=2), data, epochs=10)
    print(f"without noise {accuracy(learner, data):.2%}")
    points = []
    for chip in range(5):
        there = copy.deepcopy(learner)
        with noisy(there, NOISES, seed=chip):
            arrived = accuracy(there, data)
            online = OnlineLearning(there, settings)
            for images, labels in zip(data.train.pixels.split(50), data.train.labels.split(50), strict=True):
                online.partial_fit(images, labels)
            points.append((arrived, accuracy(there, data)))
    return points


if __name__ == "__main__":
    for chip, (before, after) in enumerate(main()):
        print(f"chip {chip}: {before:.2%} on arrival, {after:.2%} after learning there")
