"""The share of a training step that reading and augmenting images take: CIFAR-10 with crop, flip and cutout."""

from dataclasses import replace

from onward.costs.step_benchmark import StepBenchmark, shapes_like, variants
from onward.data import Augmentation
from report import begin, finish
from subjects import subject


def main() -> None:
    order, rows = begin(__doc__ or ""), []
    for name in ("tiny_cnn", "resnet17", "vgg8"):
        recipe = subject(name, batch_size=128, precision="bf16", quick=order.quick)
        if recipe is None:
            continue
        augmentation = Augmentation(crop=4, flip=True, cutout=8)
        recipe = replace(recipe, data=replace(recipe.data, augmentation=augmentation))
        data = shapes_like(recipe, None)
        benchmark = StepBenchmark.of(variants(recipe)[0], recipe, data, order.device)
        benchmark.step()
        shares = benchmark.phases(order.steps)
        whole, reading = (
            sum(share.seconds for share in shares if phase in (None, share.phase)) for phase in (None, "data")
        )
        rows.append({"net": name, "batch": recipe.batch_size, "data": data.name, "step_s": whole, "data_s": reading})
        rows[-1]["share"] = reading / whole
    finish("data_share", order, "the data pipeline's share of a step (target <= 0.05)", rows)


if __name__ == "__main__":
    main()
