"""Activations and workspace of 8 to 128 equal convolutional layers: flat for greedy learning, growing for backprop."""

from dataclasses import dataclass

import torch

from onward.algorithms import Backprop, DeeperForward
from onward.core import LocalTrainer, TrainerSettings
from onward.measure import MemoryMeter
from onward.nets import Architecture, Net
from onward.nets.net import conv_body, plain
from report import begin, finish


@dataclass(frozen=True)
class EqualLayers(Architecture):
    """Equal 3x3 convolutions."""

    depth: int
    width: int = 40

    def __call__(self, shape: tuple[int, int, int], num_classes: int) -> Net:
        return plain(
            [conv_body(self.width, self.width, dropout=0.1) for _ in range(self.depth)], [self.width] * self.depth
        )


def main() -> None:
    order, rows = begin(__doc__ or ""), []
    size = 4 if order.quick else 32
    for depth in (8, 16, 32, 64, 128):
        moving = {}
        for algorithm in (DeeperForward(), Backprop()):
            learner = algorithm(EqualLayers(depth)((40, 16, 16), 10), 10)
            learner.to(order.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            trainer = LocalTrainer(learner, TrainerSettings())
            x = torch.rand(size, 40, 16, 16, device=order.device)
            y = torch.arange(size, device=order.device) % 10
            trainer.step(x[:2], y[:2], step=0)
            with MemoryMeter(trainer, (x, y)) as meter:
                trainer.step(x, y, step=1)
            by_category = meter.by_category
            moving[type(algorithm).__name__] = (by_category["activations"] + by_category["workspace"]) / 1e6
        rows.append({"layers": depth, "greedy_mb": moving["DeeperForward"], "backprop_mb": moving["Backprop"]})
    for row in rows:
        row["greedy_of_8_layers"] = row["greedy_mb"] / rows[0]["greedy_mb"]
        row["greedy_of_backprop"] = row["greedy_mb"] / row["backprop_mb"]
    finish("depth", order, "activations and workspace by depth (target: flat within 2 %)", rows)


if __name__ == "__main__":
    main()
