"""A custom network, trained by three methods: its bodies in order, and the width of each output.

python examples/own_network.py
"""

from dataclasses import dataclass

from torch import nn

import onward
from onward.algorithms import Backprop, MonoForward, PredSim
from onward.nets import Architecture, Net
from onward.nets.net import Shape, plain


@onward.register
@dataclass(frozen=True)
class Narrowing(Architecture):
    """Convolutions whose maps shrink by half from body to body."""

    width: int = 16
    """Channels of the first body; twice as many in each further one."""
    depth: int = 3
    """Bodies."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [self.width * 2**k for k in range(self.depth)]
        bodies = [
            nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=1 + (k > 0), padding=1), nn.GELU())
            for k, (inputs, outputs) in enumerate(zip([shape[0], *widths], widths, strict=False))
        ]
        return plain(bodies, widths)


def main() -> dict[str, float]:
    """Train it on digits; return test accuracies."""
    data = onward.load_data("digits")
    settings = onward.TrainerSettings(learning_rate=0.003)
    accuracies = {}
    for algorithm in (MonoForward(features=128), PredSim(), Backprop()):
        learner = onward.fit(algorithm, Narrowing(), data, epochs=6, trainer=settings)
        name = type(algorithm).__name__
        accuracies[name] = learner.score(data.test.pixels, data.test.labels)
    return accuracies


if __name__ == "__main__":
    print(main())
