"""Metrics are those of scikit-learn, batch by batch, wherever the library computes them."""

import math
from collections.abc import Callable

import pytest
import torch
from sklearn import metrics
from torch import Tensor

from onward.core.metrics import ClassMetrics, RunningError, RunningLabels, confusion_of, predicted_correctly
from onward.modules import Metrics

ROWS, CUT = 40, 13


def numbers(constant: float | None = None, *, right: bool = False) -> tuple[Tensor, Tensor]:
    """Targets [40, 2] far from 0, and predictions; the second column may be constant, and predicted exactly."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(ROWS, 2, generator=generator) * 3 + 1000
    predicted = targets + torch.randn(ROWS, 2, generator=generator)
    if constant is not None:
        targets[:, 1] = constant
        predicted[:, 1] = constant if right else predicted[:, 1]
    return targets, predicted


def running(targets: Tensor, predicted: Tensor) -> dict[str, float]:
    errors = RunningError(targets.shape[1])
    for part in (slice(0, CUT), slice(0, 0), slice(CUT, None)):
        errors.add(targets[part], predicted[part])
    return {"mse": errors.mse, "mae": errors.mae, "r2": errors.r2}


def of_a_model(targets: Tensor, predicted: Tensor) -> dict[str, float]:
    """The metrics of a LocalModel, between rows without a number that do not count."""
    found = Metrics("values", targets.shape[1])
    for part in (slice(0, CUT), slice(CUT, None)):
        found.add(predicted[part], targets[part])
        found.add(predicted[:2], torch.full((2, targets.shape[1]), math.nan))
    return found.result()


@pytest.mark.parametrize("measure", [running, of_a_model])
@pytest.mark.parametrize(("constant", "right"), [(None, False), (0.1, False), (0.1, True)])
def test_errors_of_numbers_are_those_of_scikit_learn(measure: Callable, constant: float | None, right: bool):
    targets, predicted = numbers(constant, right=right)
    found, wide = measure(targets, predicted), (targets.double(), predicted.double())
    assert found["r2"] == pytest.approx(metrics.r2_score(*wide), abs=1e-9)
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(*wide))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(*wide))


def test_metrics_of_classes_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    labels, scores = torch.randint(4, (ROWS,), generator=generator), torch.randn(ROWS, 6, generator=generator)
    scores[:, 4] = -9  # class 4 is neither there nor predicted, class 5 is predicted alone
    taken = scores.argmax(dim=1)
    found = ClassMetrics(confusion_of(labels, taken, 6))
    told = {"labels": list(range(6)), "average": None, "zero_division": math.nan}
    assert torch.equal(found.confusion, torch.tensor(metrics.confusion_matrix(labels, taken, labels=range(6))))
    assert found.accuracy == metrics.accuracy_score(labels, taken)
    assert found.recall == pytest.approx(metrics.recall_score(labels, taken, **told), nan_ok=True)
    assert found.precision == pytest.approx(metrics.precision_score(labels, taken, **told), nan_ok=True)
    assert found.balanced_accuracy == pytest.approx(
        metrics.recall_score(labels, taken, labels=range(4), average="macro")
    )
    model = Metrics("classes", 6)
    model.add(scores[:CUT], labels[:CUT])
    model.add(scores[CUT:], labels[CUT:])
    result = model.result()
    assert result["confusion"] == found.confusion.tolist() and result["accuracy"] == found.accuracy
    assert result["balanced_accuracy"] == found.balanced_accuracy
    assert result["class_recall"] == [None if recall != recall else recall for recall in found.recall]
    assert result["loss"] == pytest.approx(metrics.log_loss(labels, scores.double().softmax(1), labels=range(6)))
    assert predicted_correctly("classes", scores, labels).double().mean() == pytest.approx(found.accuracy)


@pytest.mark.parametrize("none_at_all", [False, True])
def test_metrics_of_several_labels_are_those_of_scikit_learn(none_at_all: bool):
    generator = torch.Generator().manual_seed(0)
    targets, scores = torch.rand(ROWS, 3, generator=generator) > 0.5, torch.randn(ROWS, 3, generator=generator)
    if none_at_all:
        targets, scores = torch.zeros_like(targets), -scores.abs()
    found, model = RunningLabels(), Metrics("labels", 3)
    for part in (slice(0, CUT), slice(CUT, None)):
        found.add(targets[part], scores[part] > 0)
        model.add(scores[part], targets[part].long())
    exact = metrics.accuracy_score(targets, scores > 0)
    assert found.accuracy == pytest.approx(1 - metrics.hamming_loss(targets, scores > 0))
    assert found.exact_match == pytest.approx(exact)
    f1 = metrics.f1_score(targets, scores > 0, average="micro", zero_division=0.0)  # pyright: ignore
    assert found.f1 == pytest.approx(f1)
    result = model.result()
    assert (result["accuracy"], result["exact"], result["f1"]) == (found.accuracy, found.exact_match, found.f1)
    assert predicted_correctly("labels", scores, targets.long()).double().mean() == pytest.approx(exact)
