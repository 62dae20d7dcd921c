"""A custom method: classify by the nearest learned class center. python examples/own_method.py"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import onward
from onward.algorithms import Algorithm, Backprop
from onward.core import Goodness, Learner, LocalBlock, each
from onward.nets import Net, TinyCNN
from onward.parts.handoff.norms import Handoff, SampleNorm
from onward.parts.inference.scores import SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.activity import map_mean, widen
from onward.parts.supervision.labels import LabelInLoss


class Nearness(Goodness):
    """One score per class: minus the squared distance to a learned center."""

    per_class = True

    def __init__(self, num_classes: int, channels: int):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(num_classes, channels))

    def forward(self, activity: Tensor) -> Tensor:
        return -(widen(map_mean(activity))[:, None] - self.centers).square().mean(dim=2)


@onward.register
@dataclass(frozen=True)
class Centers(Algorithm):
    """A learned center per class in every block."""

    temperature: float = 0.1

    def __call__(self, net: Net, num_classes: int) -> Learner:
        loss, blocks = CrossEntropy(temperature=self.temperature), []
        for body, join, width, pool in zip(*net, strict=True):
            handoff = Handoff(SampleNorm(), join, pool)
            blocks.append(LocalBlock(body, goodness=Nearness(num_classes, width), objective=loss, handoff=handoff))
        return Learner(blocks, supervision=LabelInLoss(), spans=each(len(blocks)), rules={"all": SumGoodness()})


def main() -> dict[str, float]:
    """Train the method and backprop on the same network; return both test accuracies."""
    data, accuracies = onward.load_data("digits"), {}
    settings = onward.TrainerSettings(learning_rate=0.01)
    for name, algorithm in (("centers", Centers()), ("backprop", Backprop(of=Centers()))):
        learner = onward.fit(algorithm, TinyCNN(width=16), data, epochs=6, trainer=settings)
        accuracies[name] = learner.score(data.test.pixels, data.test.labels)
    return accuracies


if __name__ == "__main__":
    print(main())
