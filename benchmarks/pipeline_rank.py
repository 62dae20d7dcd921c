"""One process of `pipeline.py` and `simulated.py`: trains its stage on random images, writes what was reached."""

import json
import sys
from pathlib import Path
from statistics import median

import torch

from onward.core import EpochDone, LocalTrainer
from onward.costs.blocks import block_costs
from onward.data import Splits, TrainLoader, from_arrays
from onward.pipeline import LinkSpeed, Message, Ranks, carve, join, place, possible_cuts, simulate
from onward.pipeline.neighbors import StageNeighbors
from onward.pipeline.run import leave
from onward.recipes import Recipe
from onward.runs.model import ModelSpec, spec_for
from onward.training import Training
from onward.training.process import keep_freed_memory
from subjects import subject

_EPOCHS, _BATCH = 4, 64  # the first epoch fills the pipeline and is not counted
_LOOPBACK = LinkSpeed(bandwidth=2e9, latency=1e-4)


def main(name: str, steps: int, quick: bool, out: Path, device: torch.device) -> None:
    keep_freed_memory()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    ranks = join(leave)
    recipe = subject(name, batch_size=_BATCH, quick=quick)
    assert recipe is not None
    data = _random(recipe.batch_size, steps)
    spec = spec_for(recipe.algorithm, recipe.net, data)
    if ranks.rank == 0:
        ranks.publish("plan", _plan(recipe, data, spec, ranks.world, device))
    plan = ranks.wait_for("plan")
    ranks.link(ranks.world, 1, device, "exact")
    owned = range(*plan["stages"][ranks.rank])
    training = Training(
        carve(spec.build(), owned).to(device),
        data,
        recipe.trainer,
        epochs=_EPOCHS,
        batch_size=recipe.batch_size,
        augmentation=recipe.data.augmentation,
        neighbors=StageNeighbors(ranks, owned, requested=lambda: (False, None)),
    )
    rates = [event.images_per_second for event in training if isinstance(event, EpochDone)]
    if ranks.outbox is not None:
        ranks.outbox.put(Message("end"))
        ranks.outbox.close()
    ranks.publish(f"sent/{ranks.rank}", ranks.outbox.sent_bytes // training.step if ranks.outbox is not None else 0)
    sent = sum(ranks.wait_for(f"sent/{rank}") for rank in range(ranks.world))
    if ranks.writes:
        sizes = [stop - first for first, stop in plan["stages"]]
        rate = median(rates[1:])
        result = {"rate": rate, "step": recipe.batch_size / rate, "sent": sent, "stages": sizes}
        result |= {"predicted": plan["work"] / plan["step"], "predicted_step": plan["step"], "work": plan["work"]}
        out.write_text(json.dumps(result))
    _leave_together(ranks)


def _plan(recipe: Recipe, data: Splits, spec: ModelSpec, stages: int, device: torch.device) -> dict:
    """Measure every block, balance the stages, and predict how much faster they are than one process."""
    learner = spec.build().to(device)
    learner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    batch = next(TrainLoader(data.train, batch_size=recipe.batch_size, device=device).epoch(0))
    costs = block_costs(LocalTrainer(learner, recipe.trainer), *batch)
    placed = place(costs.step, costs.entering, possible_cuts(learner.turns, len(learner.blocks)), stages)
    seconds = [sum(costs.step[k] for k in stage) for stage in placed]
    simulation = simulate(seconds, [costs.entering[stage.start] for stage in placed[1:]], _LOOPBACK, 1)
    return {"stages": [[stage.start, stage.stop] for stage in placed], "step": simulation.step, "work": sum(seconds)}


def _random(batch_size: int, steps: int) -> Splits:
    """Return random color images for so many steps, and a few to validate and test on."""
    count, few = batch_size * steps, 20
    pixels = torch.randint(256, (count + 2 * few, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(len(pixels)) % 10
    return from_arrays(
        pixels[few:],
        labels[few:],
        test_images=pixels[:few],
        test_labels=labels[:few],
        validation_fraction=few / (count + few),
        name="random",
    )


def _leave_together(ranks: Ranks) -> None:
    ranks.publish(f"done/{ranks.rank}", True)
    for rank in range(ranks.world):
        ranks.wait_for(f"done/{rank}")
    ranks.end()


if __name__ == "__main__":
    name, steps, quick, out, device = sys.argv[1:]
    main(name, int(steps), quick == "True", Path(out), torch.device(device))
