"""Images per second beside a plain, careful PyTorch loop of the same method: DeeperForward on four layers.

On a CPU times are the process's own on one thread, so that neighbors do not count.
"""

from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onward.costs.step_benchmark import StepBenchmark, interleave, random_like, variants
from onward.nets import TinyCNN
from report import begin, finish, on_one_thread
from subjects import subject


class PlainLoop:
    """One module and one AdamW per layer, in fp32, as one would write the method from its paper."""

    def __init__(self, width: int, classes: int, device: torch.device, dropout: float = 0.2):
        sizes = [(3, width, 5), (width, 2 * width, 5), (2 * width, 4 * width, 3), (4 * width, 4 * width, 3)]
        self.classes = classes
        self.layers = []
        for index, (inputs, outputs, kernel) in enumerate(sizes):
            conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
            pool = [nn.AvgPool2d(2, ceil_mode=True)] if index in (1, 2) else []
            layer = nn.Sequential(*pool, conv, nn.ReLU(inplace=True), nn.Dropout(dropout)).to(device)
            self.layers.append((layer, torch.optim.AdamW(layer.parameters(), lr=1e-3)))

    def step(self, x: Tensor, y: Tensor) -> None:
        x = F.group_norm(x, 1)
        for layer, optimizer in self.layers:
            activity = layer(x)
            scores = activity.unflatten(1, (self.classes, -1)).mean(dim=(2, 3, 4))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(scores, y).backward()
            optimizer.step()
            with torch.no_grad():
                x = F.group_norm(activity, self.classes)


def main() -> None:
    order, rows = begin(__doc__ or ""), []
    for batch_size in (128, 512) if order.device.type == "cuda" else (128,):
        recipes = [subject("tiny_cnn", batch_size=batch_size, precision=p, quick=order.quick) for p in ("fp32", "bf16")]
        assert recipes[0] is not None and isinstance(recipes[0].net, TinyCNN)
        data = random_like(recipes[0])
        benchmarks = [
            StepBenchmark(variants(recipe)[0], recipe, data, order.device) for recipe in recipes if recipe is not None
        ]
        on_one_thread(benchmarks, order)
        loop, last = PlainLoop(recipes[0].net.width, 10, order.device), benchmarks[-1]

        def plain_seconds(loop: PlainLoop = loop, last: StepBenchmark = last) -> float:
            before = last.read()
            loop.step(*next(last.batches))
            return last.read() - before

        timed = interleave([plain_seconds, *(benchmark.seconds for benchmark in benchmarks)], order.steps)
        plain, *ours = (recipes[0].batch_size / median(times) for times in timed)
        rows.append({"contender": "plain loop, fp32", "batch": batch_size, "images_per_s": plain, "of_plain": 1.0})
        for name, rate in zip(("onward, fp32", "onward, bf16"), ours, strict=True):
            rows.append({"contender": name, "batch": batch_size, "images_per_s": rate, "of_plain": rate / plain})
    finish("plain_loop", order, "images per second / those of a plain PyTorch loop (target >= 3)", rows)


if __name__ == "__main__":
    main()
