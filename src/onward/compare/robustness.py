"""Accuracy of a finished run under noise, chip by chip, and after training on each chip."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import torch

from onward.compare.answer_cache import AnswerCache
from onward.compare.recovery import ChipTraining, Recovery, recover
from onward.core import Learner
from onward.core.metrics import format_metric
from onward.data import Samples, Splits
from onward.hardware import Condition, noisy
from onward.runs.finished import Run, check_measured
from onward.runs.model import check_recipe, load_model
from onward.storage.forms import check_object
from onward.storage.typed import from_json, to_json
from onward.training.evaluation import Accuracy, Evaluator

Print = Callable[[str], None]


@dataclass(frozen=True)
class CleanAccuracy:
    """Accuracies on the test images as fractions, and how many images of each class were taken for which.

    Of numbers they are R2, of several labels exact matches; these have further metrics instead of a confusion.
    """

    accuracy: float
    by_rule: dict[str, float]
    by_block: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)


class RunEvaluator:
    """Evaluates a finished run, clean and under noise, on the first `images` of the test split (None: all).

    Results are cached in the run folder, by noise models with their strengths, chip, images and data.
    """

    def __init__(self, run: Run, data: Splits, device: torch.device, *, images: int | None = None):
        self.run, self.data, self.device = run, data, device
        self.test = data.test if images is None else first(data.test, images)
        path, weights = run.folder.path, run.folder.weights()
        self.evaluations = AnswerCache(path / "evaluations.jsonl", _check_evaluation, weights=weights)
        self.recoveries = AnswerCache(path / "recoveries.jsonl", _check_recovery, weights=weights)
        self._learner: Learner | None = None

    @property
    def learner(self) -> Learner:
        """The run's learner, loaded when it is first needed."""
        if self._learner is None:
            self._learner = load_learner(self.run, self.device)
        return self._learner

    def _evaluator(self) -> Evaluator:
        recipe = self.run.recipe
        return Evaluator(self.learner, recipe.trainer, batch_size=recipe.batch_size)

    def clean(self, say: Print) -> CleanAccuracy:
        """Return accuracy, accuracy by rule and by block, and the confusion matrix, on no chip."""
        asked = self._question([], 0)
        result = self.evaluations.get(asked)
        if result is None:
            measured = self._evaluator().accuracy(self.test)
            classes = self.data.task == "classes"
            further = {"confusion": measured.confusion} if classes else {"metrics": dict(measured.metrics)}
            result = _by_reading(measured) | to_json(further)
            self.evaluations.add(asked, result)
            say(f"{self.run.folder.path}  clean: {format_metric(self.data.task, result['accuracy'])}")
        if self.run.result.seals is None:
            whole = len(self.test) == len(self.data.test)
            by_test: dict[str, Any] = result if whole else _accuracies(self._evaluator(), self.data.test)
            measured = Accuracy(by_test["by_rule"], tuple(by_test["by_block"]))
            check_measured(self.run.folder, measured, len(self.data.test))
        return from_json(result, CleanAccuracy, str(self.evaluations.path))

    def under(self, condition: Condition, *, chips: int, say: Print) -> list[float]:
        """Return the accuracy on chips 0, 1, ...; on a single one where chips do not differ.

        Raises ValueError if a noise acts on nothing in the learner.
        """
        accuracies, new = [], False
        for chip in range(chips if condition.random else 1):
            asked = self._question(condition.noises, chip)
            result = self.evaluations.get(asked)
            if result is None:
                with noisy(self.learner, condition.noises, seed=chip):
                    result = _accuracies(self._evaluator(), self.test)
                result |= {"sweep": condition.sweep, "level": condition.json_level}
                self.evaluations.add(asked, result)
                new = True
            accuracies.append(result["accuracy"])
        if new:
            mean = format_metric(self.data.task, sum(accuracies) / len(accuracies))
            say(f"{self.run.folder.path}  {condition}: {mean}")
        return accuracies

    def cached_conditions(self) -> Iterator[tuple[str, float | None, int]]:
        """Yield sweep, level and chip of every cached noisy evaluation of these images."""
        for asked, result in self.evaluations:
            if asked["noises"] and asked == self._question(asked["noises"], asked["chip"]):
                level = result["level"]
                yield result["sweep"], None if level is None else float(level), asked["chip"]

    def recovered(self, condition: Condition, stream: ChipTraining, *, chips: int, say: Print) -> list[Recovery]:
        """Return the recovery of the learner on chips 0, 1, ..., each from the weights of the finished run."""
        recoveries = []
        for chip in range(chips):
            asked = self._question(condition.noises, chip) | {"stream": asdict(stream)}
            row = self.recoveries.get(asked)
            if row is None:
                row = asdict(
                    recover(
                        self.learner,
                        self.run.recipe.trainer,
                        self.data,
                        condition.noises,
                        chip=chip,
                        stream=stream,
                        test=self.test,
                        batch_size=self.run.recipe.batch_size,
                    )
                )
                self.recoveries.add(asked, row)
                met, recovered = (format_metric(self.data.task, row[name]) for name in ("met", "recovered"))
                say(f"{self.run.folder.path}  {condition}, chip {chip}: {met} -> {recovered}")
            recoveries.append(Recovery(**row))
        return recoveries

    def _question(self, noises: Sequence[object], chip: int) -> dict[str, Any]:
        kept = [str(noise) for noise in noises]
        return {"noises": kept, "chip": chip, "images": len(self.test), "checksum": self.data.checksum}


def _check_evaluation(asked: dict[str, Any], result: dict[str, Any], where: str) -> None:
    check_object(asked, {"noises": list[str], "chip": int}, f"asked in {where}")
    of_chip: dict[str, Any] = {"sweep": str, "level": float | Literal["inf"] | None}
    classes = {"metrics": dict[str, float]} if "metrics" in result else {"confusion": list[list[int]]}
    more = of_chip if asked["noises"] else classes
    check_object(result, {"accuracy": float, "by_rule": dict[str, float], "by_block": list[float]} | more, where)


def _check_recovery(asked: dict[str, Any], result: dict[str, Any], where: str) -> None:
    check_object(result, {field.name: field.type for field in fields(Recovery)}, where)
    if len(result) > len(fields(Recovery)):
        raise ValueError(
            f"{where} has more keys than a recovery, {', '.join(result)}: it was edited, or is from another version"
        )


def load_learner(run: Run, device: torch.device) -> Learner:
    """Read a run's learner onto a device, in the memory layout of its training."""
    learner, spec = load_model(run.folder.path)
    check_recipe(run.recipe, spec, run.folder.path)
    return learner.laid_out(run.recipe.trainer, device)


def first(images: Samples, count: int) -> Samples:
    """Return the first images of a split; all of them if it has no more."""
    return images if count >= len(images) else images.subset(torch.arange(count))


def _accuracies(evaluator: Evaluator, test: Samples) -> dict[str, Any]:
    return _by_reading(evaluator.accuracy(test))


def _by_reading(accuracy: Accuracy) -> dict[str, Any]:
    return {"accuracy": accuracy.of_default_rule, "by_rule": accuracy.by_rule, "by_block": list(accuracy.by_block)}
