"""A user's own model, trained layer by layer in place."""
# B batch, C classes, S spans

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.algorithms.algorithm import Algorithm
from onward.algorithms.backprop import Backprop
from onward.core import BlockOptimizer, Learner, LocalBlock, TrainerSettings, check_value, gradients_on, warn_uncaptured
from onward.core.gradients import common_defaults
from onward.core.ranges import Count, Seed
from onward.modules.advice import advise
from onward.modules.batch import batch_for, batches_in, check_not_copied, check_target, mask_of, to_device
from onward.modules.chain import make_learner
from onward.modules.forward import LocalStep
from onward.modules.heads import (
    Weights,
    check_read_out,
    make_heads,
    numbers_per_position,
    per_position,
    weights_of_classes,
)
from onward.modules.metrics import Metrics
from onward.modules.plan import CutAt, Plan, check_model, make_plan
from onward.modules.planned_model import PlannedModel
from onward.modules.state import copy_heads, restore, state_of
from onward.nets.cuts import NoPathError
from onward.nets.layout import channels_first
from onward.nets.outputs import leading_tensor
from onward.nets.recorded_pass import Feed, called, feed_module, modes_kept, state_kept

_TRAINING = "onward.training.Training"  # a LocalTrainer takes plain steps, whatever these settings are


@gradients_on()
def local(
    model: nn.Module,
    example: Any,
    algorithm: Algorithm,
    num_classes: int | None = None,
    cut: CutAt = "auto",
    heads: str = "own",
    *,
    task: str | None = None,
    settings: TrainerSettings | None = None,
    seed: int = 0,
    layouts: Mapping[str, str] | None = None,
    class_weights: Sequence[float] | Mapping[int, float] | None = None,
    ignore_index: int = -100,
    feed: Feed = feed_module,
) -> "LocalModel":
    """Return a model prepared for layer-local training: no gradient crosses a cut, and it is trained in place.

    `example` is a batch of the loader, read for its shapes; targets may be missing. `cut`: "auto", a number of blocks,
    or the names of modules behind whose output a block ends; see `onward.cuts`. The last block is trained on the
    model's own output, every other one on a head of the algorithm, which `module()` leaves out. For large vocabularies:
    with `heads` "shared" all are read by the model's output head, which learns in the last block, with "sampled" by it
    for the classes of the batch and 256 drawn ones alone.
    `task` (see `onward.modules.Task`) is inferred from the output's axes by default. `layouts` declares by cut what
    cannot be inferred. `class_weights`: a number for each class, also by its index. `feed(model, inputs)` calls the
    model where `model(inputs)`, `model(*inputs)` or `model(**inputs)` does not fit.

    Raises ValueError, with the remedy, for what cannot be trained in blocks.
    """
    check_model(model)
    parameter = next(model.parameters(), None)
    if parameter is None:
        raise ValueError(
            f"{type(model).__name__} has no weights (those of a quantized one are fixed): there is nothing to train"
        )
    batch = batch_for(model, example)
    inputs = to_device(batch.inputs, parameter.device)
    asked: dict[str, Any] = {"num_classes": num_classes, "task": task, "feed": feed}
    try:
        plan = make_plan(model, inputs, cut=cut, layouts=layouts, **asked)
    except NoPathError as error:
        raise ValueError(f"{error}; {advise(model, inputs, **asked)}") from None
    check_not_copied(batch, plan.task if task is None else None, ignore_index)
    if cut == "auto" and len(plan.parts) == 1 and not isinstance(algorithm, Backprop):
        raise ValueError(
            f"no module was found at which {type(model).__name__} may be cut, and a single block is trained by "
            f"backprop: {advise(model, inputs, **asked)}"
        )
    if heads in ("shared", "sampled") and isinstance(algorithm, Algorithm):
        check_read_out(algorithm, heads)
    return LocalModel(
        model,
        plan,
        algorithm,
        heads=heads,
        settings=settings,
        seed=seed,
        class_weights=class_weights,
        ignore_index=ignore_index,
        feed=feed,
    )


class LocalModel:
    """A model, the heads of its blocks and their optimizers; see `onward.local`.

    Modes are not changed: call `model.train()` and `model.eval()` as usual; modules in evaluation mode, such as frozen
    batch norm, stay so in a step. Nor is the layout of batches and weights in memory, whatever the settings'
    `channels_last`: a model's `view` may depend on it.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        algorithm: Algorithm,
        *,
        heads: str = "own",
        settings: TrainerSettings | None = None,
        seed: int = 0,
        class_weights: Sequence[float] | Mapping[int, float] | None = None,
        ignore_index: int = -100,
        feed: Feed = feed_module,
    ):
        if not isinstance(algorithm, Algorithm):
            raise ValueError(f"algorithm is one of onward.algorithms, such as onward.PredSim(), got {algorithm!r}")
        if heads not in ("own", "shared", "sampled"):
            raise ValueError(f"heads is 'own', 'shared' or 'sampled', got {heads!r}")
        if heads == "sampled" and (plan.task in ("labels", "values") or class_weights is not None):
            reason = "class_weights need all of them" if class_weights is not None else f"task {plan.task} has none"
            raise ValueError(f"heads='sampled' draws classes, and {reason}: take heads='shared' or heads='own'")
        self.model, self.plan, self.algorithm, self.feed = model, plan, algorithm, feed
        self.settings = _check_settings(TrainerSettings() if settings is None else settings)
        self.seed = check_value("seed", seed, Seed)
        self.head_kind, self.ignore_index = heads, ignore_index
        self.class_weights = None if class_weights is None else weights_of_classes(class_weights, plan)
        shared = None if heads == "own" else _output_head(model, plan, heads)
        self.heads, self.spans = make_heads(
            model,
            plan,
            algorithm,
            seed=seed,
            shared=shared,
            sampled=heads == "sampled",
            class_weights=self.class_weights,
        )
        tied = dict(model.named_parameters())
        blocks = [head.block for head in self.heads]
        blocks += [LocalBlock(Weights([tied[name] for name in plan.tied]))] if plan.tied else []
        self.optimizers = [BlockOptimizer(block, self.settings) for block in blocks]
        self.steps, self.learning_rate = 0, self.settings.learning_rate
        self._observes = True  # whether a pass in evaluation mode changes buffers; found out by the first one
        self._planned = PlannedModel(model)
        self._step = LocalStep(model, plan, self.heads, self.spans, self.optimizers, self.settings)

    @property
    def cuts(self) -> list[str]:
        """The names of the modules behind which the model is cut."""
        return [part.cut for part in self.plan.parts[:-1]]

    def module(self) -> nn.Module:
        """Return the model itself, without the heads of its blocks and without hooks."""
        return self.model

    def as_learner(self, example: Any) -> Learner:
        """Return the model as a learner, whose blocks compute its stretches: for cascade, pipeline, micro-batches,
        noise.

        It shares all weights with the model; optimizers are those of its trainer. Its step gives the losses of `step`,
        bit for bit. `example` is a batch as in `onward.local`. Raises ValueError where the cuts form no chain.
        """
        inputs = to_device(batch_for(self.model, example).inputs, self._device)
        return make_learner(self.model, self.plan, self.heads, self.spans, self.feed, inputs)

    @gradients_on()
    def step(self, batch: Any) -> Float[Tensor, "S"]:
        """Train every block on one batch and return the loss of each, without a graph.

        Raises ValueError for targets that do not fit, and where a loss is not finite.
        """
        self._planned.check()
        inputs, target, mask = self._given(batch)
        for head in self.heads:
            if not head.block.training:
                head.block.train()
        losses = self._step.run(inputs, target, mask, self.feed, seed=self.seed, step=self.steps)
        self.steps += 1
        return losses

    def fit(self, loader: Iterable[Any], epochs: int = 1, *, validation: Iterable[Any] | None = None) -> list[dict]:
        """Train on a loader's batches `epochs` times; return a row of losses, and of validation metrics, for each.

        `loader` is anything that can be iterated over again: a DataLoader, a list of batches. The learning rate follows
        the settings' schedule over all steps, and is what it was when they end; without `len(loader)` it moves every
        epoch. Raises ValueError for a loader that gives nothing, such as a generator that was used up.
        """
        epochs, rate = check_value("epochs", epochs, Count), self.learning_rate
        length, history = batches_in(loader), []
        for epoch in range(epochs):
            total, count = torch.zeros(len(self.spans)), 0
            for batch in loader:
                at, each = (epoch, 1) if not length else (epoch * length + min(count, length - 1), length)
                self.set_learning_rate(self.settings.learning_rate_at(at, each, epochs))
                total, count = total + self.step(batch).cpu(), count + 1
            if not count:
                raise ValueError(
                    f"the loader gave no batch in epoch {epoch}: give what can be gone through again, such as a "
                    "DataLoader or a list, not a generator"
                )
            row: dict[str, Any] = {"epoch": epoch, "losses": (total / count).tolist()}
            history.append(row if validation is None else {**row, "validation": self.evaluate(validation)})
        self.set_learning_rate(rate)
        return history

    def set_learning_rate(self, value: float) -> None:
        """Set the learning rate of the next steps. Raises ValueError for a rate that is negative or not finite."""
        for optimizer in self.optimizers:
            optimizer.set_learning_rate(value)
        self.learning_rate = value

    @torch.no_grad()
    @common_defaults()
    def predict_scores(self, batch: Any) -> Float[Tensor, "..."]:
        """Return the scores of the model's own output, computed in evaluation mode; targets are ignored.

        The last entry of a tuple counts as targets: several inputs alone are ((a, b), None).
        """
        inputs = to_device(batch_for(self.model, batch).inputs, self._device)
        with self._evaluating():
            output = leading_tensor(called(self.model, inputs, self.feed))
        assert output is not None
        return output if output.ndim else output.unsqueeze(0)  # of a single row, squeezed

    def predict(self, batch: Any) -> Tensor:
        """Return the predictions of the model's own output: the class (of each token or pixel), labels 0 or 1, or
        values.

        They are those of `module()`; the heads of the blocks are not used.
        """
        scores = self.predict_scores(batch)
        if self.plan.task == "values":
            return scores
        if self.plan.task == "labels":
            return (scores > 0).long()
        return channels_first(scores, self.plan.parts[-1].layout).argmax(dim=1)

    def evaluate(self, loader: Iterable[Any]) -> dict[str, Any]:
        """Return the metrics of the model's own output over a loader's batches; see `Metrics` for each task's."""
        metrics = Metrics(self.plan.task, self.plan.outputs)
        batches_in(loader)
        for batch in loader:
            _, target, _ = self._given(batch)
            scores = self.predict_scores(batch)
            scores = scores.unsqueeze(1) if scores.ndim == 1 else scores
            if per_position(self.plan):
                numbers = numbers_per_position(self.plan)
                positions = target.shape[1:-1] if numbers else target.shape[1:]
                scores = self.heads[-1].reading(scores, None, tuple(positions))
                target = target.flatten(0, -2) if numbers else target
            metrics.add(scores, target)
        return metrics.result()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the model's weights, those of the heads, and the optimizers' state, as one flat dict of tensors."""
        return state_of(self.model, self.heads, self.optimizers) | {
            "steps": torch.tensor(self.steps),
            "learning_rate": torch.tensor(self.learning_rate, dtype=torch.float64),
        }

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned.

        Raises ValueError, and changes nothing, where it belongs to another model or algorithm.
        """
        try:
            steps, rate = int(tensors["steps"]), float(tensors.get("learning_rate", self.learning_rate))
            restore(tensors, self.model, self.heads, self.optimizers)
        except (ValueError, LookupError) as error:
            raise ValueError(f"this state belongs to another model, algorithm or cut: {error}") from None
        self.steps = steps
        self.set_learning_rate(rate)

    def copy_heads(self, other: "LocalModel") -> None:
        """Take over what the heads of another training have learned, such as one that trained heads alone.

        Raises ValueError where it is one of another algorithm, or cut elsewhere.
        """
        if other.cuts != self.cuts:
            raise ValueError(
                f"these heads belong to another algorithm or cut: they are behind {', '.join(other.cuts)}, not "
                f"{', '.join(self.cuts)}"
            )
        try:
            copy_heads(other.heads, self.heads)
        except ValueError as error:
            raise ValueError(f"these heads belong to another algorithm or cut: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write weights, heads, optimizer state and how the model was cut into a file; `load` reads it."""
        from onward.modules.files import save

        save(self, Path(path))

    def push_to_hub(self, repo: str, *, private: bool = False, token: str | None = None) -> str:
        """Put what `save` writes, and a model card, on the Hugging Face hub as "user/model"; return the page's address.

        `onward.load("user/model", model=...)` reads it back. A card that is there already stays. `token` is that of
        `hf auth login` unless given. Raises ValueError for a name that is none; OSError if the hub refuses.
        """
        from onward.modules.hub import push

        return push(self, repo, private=private, token=token)

    @classmethod
    def load(cls, path: str | Path, model: nn.Module, *, feed: Feed = feed_module) -> "LocalModel":
        """Read what `save` wrote into a model of the same kind; training continues as without a stop.

        Raises ValueError for a file that `save` did not write, or one of another model.
        """
        from onward.modules.files import load

        return load(Path(path), model, feed=feed)

    def _given(self, batch: Any) -> tuple[Any, Tensor, Tensor | None]:
        given = batch_for(self.model, batch)
        inputs = to_device(given.inputs, self._device)
        target = check_target(
            to_device(given.target, self._device),
            self.plan.task,
            self.plan.outputs,
            inputs,
            self.ignore_index,
            self.plan.parts[-1].layout,
        )
        return inputs, target, mask_of(inputs)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @contextmanager
    def _evaluating(self):
        """Evaluation mode, in which nothing changes: observers of a quantized model would go on observing in it."""
        with state_kept(self.model) if self._observes else modes_kept(self.model) as changed:
            self.model.eval()
            yield
        self._observes = bool(changed)

    def __repr__(self) -> str:
        parts = "\n".join(
            f"  {k}: up to {part.cut or 'the output'}, {part.layout} {list(part.shape)}, {len(part.weights)} weights"
            for k, part in enumerate(self.plan.parts)
        )
        rest = "".join(
            f"\n  {what}: {', '.join(names)}"
            for what, names in (("tied", self.plan.tied), ("not reached", self.plan.unreached))
            if names
        )
        return f"LocalModel({type(self.model).__name__}, {self.algorithm}, task={self.plan.task!r}\n{parts}{rest}\n)"


def _check_settings(settings: TrainerSettings) -> TrainerSettings:
    """Raise ValueError for settings that training in a model's own forward pass does not support."""
    if not isinstance(settings, TrainerSettings):
        raise ValueError(f"settings are onward.TrainerSettings(learning_rate=...), got {type(settings).__name__}")
    wrong = [
        ("order", settings.order != "joint", "joint", _TRAINING),
        ("micro_batches", settings.micro_batches > 1, 1, "LocalTrainer"),
        ("recompute", settings.recompute, False, "LocalTrainer"),
        ("compile", settings.compile, False, _TRAINING),
        ("ema_decay", settings.ema_decay is not None, None, _TRAINING),
    ]
    for name, given, wanted, trainer in wrong:
        if given:
            raise ValueError(
                f"{name} {getattr(settings, name)!r} does not fit the model's own forward pass: take {wanted!r}, or "
                f"train as_learner(example) with {trainer}"
            )
    reason = "they go through the model's own forward pass, which is not recorded"
    warn_uncaptured(
        settings, f"{reason}; leave capture out, or train as_learner(example) with {_TRAINING}", stacklevel=5
    )
    return settings


def _output_head(model: nn.Module, plan: Plan, heads: str) -> nn.Linear:
    last = {name.rpartition(".")[0] for name in (*plan.parts[-1].weights, *plan.parts[-1].tied)}
    fitting = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and m.out_features == plan.outputs]
    own = [m for m in fitting if any(m is model.get_submodule(name) for name in last)] or fitting
    if len(own) != 1:
        raise ValueError(
            f"heads={heads!r} reads every block by the model's output head, a linear layer of {plan.outputs} outputs; "
            f"found {len(own)}: take heads='own'"
        )
    return own[0]
