"""Online learning: a stream, a chip that learns on itself, and values that are refused."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from torch import Tensor

from onward.algorithms import MonoForward
from onward.core import Learner, LocalBlock, LocalTrainer, TrainerSettings, each
from onward.data import from_arrays
from onward.hardware import Mismatch, Offset, noisy
from onward.nets import MLP, Dense
from onward.parts.goodness.linear import LinearHead
from onward.parts.handoff.norms import Handoff, SampleNorm
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss
from onward.runs import fit
from onward.training import OnlineLearning

SETTINGS = TrainerSettings(learning_rate=0.005)


def _digits() -> tuple[Tensor, Tensor]:
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)  # pyright: ignore
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order], torch.tensor(digits.target)[order]  # pyright: ignore


def _learner(seed: int = 0) -> Learner:
    """Two layers, each with a linear head."""
    torch.manual_seed(seed)
    bodies, joins, widths, _ = MLP(width=60, depth=2)((1, 8, 8), 10)
    blocks = [
        LocalBlock(body, goodness=LinearHead(10, width), objective=CrossEntropy(), handoff=Handoff(SampleNorm(), join))
        for body, join, width in zip(bodies, joins, widths, strict=True)
    ]
    return Learner(blocks, supervision=LabelInLoss(), spans=each(2), rules={"last": LastGoodness()})


def _same(left: Learner, right: Learner) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left.parameters(), right.parameters(), strict=True))


@pytest.mark.parametrize("size", [1, 5])
def test_a_stream_is_learned_as_the_trainer_would(size: int):
    images, labels = _digits()
    online, trained = OnlineLearning(_learner(), SETTINGS, seed=3), LocalTrainer(_learner(), SETTINGS, seed=3)
    for step in range(4):
        part = slice(step * size, (step + 1) * size)
        losses = online.partial_fit(images[part], labels[part])
        assert torch.equal(losses, trained.step(images[part], labels[part], step=step))
    assert _same(online.learner, trained.learner)
    assert online.step == 4


def test_labels_may_be_a_list():
    online = OnlineLearning(_learner(), SETTINGS)
    assert online.partial_fit(_digits()[0][:2], [3, 4]).isfinite().all()


def test_labels_may_be_names_of_classes():
    names, draw = np.array(["no", "yes"]), np.random.default_rng(0)
    rows, labels = draw.normal(size=(40, 4)), names[np.arange(40) % 2]
    learner = fit(MonoForward(), Dense(hidden=(5,)), from_arrays(rows, labels), epochs=1, device="cpu")
    one, other = (OnlineLearning(copy.deepcopy(learner), SETTINGS) for _ in range(2))
    assert torch.equal(one.partial_fit(rows[:4], labels[:4]), other.partial_fit(rows[:4], np.arange(4) % 2))
    with pytest.raises(ValueError, match=r"labels\[0\] is 'maybe', which is none of the classes no, yes"):
        one.partial_fit(rows[:1], ["maybe"])


@pytest.mark.parametrize("task", ["values", "labels"])
def test_a_stream_teaches_numbers_and_several_labels_too(task):
    rows = np.random.default_rng(0).normal(size=(40, 4))
    targets = rows[:, :2] * 3 + 7 if task == "values" else (rows[:, :2] > 0).astype(int)
    data = from_arrays(rows, targets, task=task)
    learner = fit(MonoForward(), Dense(hidden=(8,)), data, epochs=1, device="cpu")
    online, before = OnlineLearning(learner, TrainerSettings(learning_rate=0.01)), learner.score(rows, targets)
    for _ in range(30):
        online.partial_fit(rows, targets)
    assert learner.score(rows, targets) > before + 0.1
    if task == "values":
        assert learner.score(rows, targets) == pytest.approx(r2_score(targets, learner.predict(rows)), abs=1e-6)
        assert learner.score(rows, np.full((40, 2), 0.1)) == 0.0


def test_the_mode_of_the_learner_is_left_as_it_was_found():
    images, labels = _digits()
    online = OnlineLearning(_learner().eval(), SETTINGS)
    online.partial_fit(images[:2], labels[:2])
    assert not online.learner.training
    with pytest.raises(RuntimeError):
        online.partial_fit(images[:2, :, :3], labels[:2])
    assert not online.learner.training
    assert online.step == 1


def test_a_stream_goes_on_where_it_stopped():
    images, labels = _digits()
    through, resumed = OnlineLearning(_learner(), SETTINGS), OnlineLearning(_learner(), SETTINGS)
    for start in (0, 3, 6):
        through.partial_fit(images[start : start + 3], labels[start : start + 3])
        if start == 6:
            old = resumed
            resumed = OnlineLearning(old.learner, SETTINGS, step=old.step)
            for mine, theirs in zip(resumed.trainer.optimizers, old.trainer.optimizers, strict=True):
                mine.load_state(theirs.state())
        resumed.partial_fit(images[start : start + 3], labels[start : start + 3])
    assert _same(through.learner, resumed.learner)


@pytest.mark.parametrize(
    ("count", "labels", "message"),
    [
        (2, [1], "images has 2 entries but there are 1 labels"),
        (0, [], "one image or more"),
        (1, [[0, 1]], "one-hot rows"),
    ],
)
def test_labels_that_do_not_fit_are_refused(count: int, labels: list, message: str):
    with pytest.raises(ValueError, match=message):
        OnlineLearning(_learner(), SETTINGS).partial_fit(_digits()[0][:count], labels)


@pytest.mark.parametrize(("settings", "word"), [({"order": "cascade"}, "cascade"), ({"ema_decay": 0.9}, "averaging")])
def test_settings_that_a_stream_cannot_keep_are_refused(settings: dict, word: str):
    with pytest.raises(ValueError, match=word):
        OnlineLearning(_learner(), TrainerSettings(**settings))


def test_a_chip_learns_on_itself_and_recovers():
    """A network meets a chip it was not trained for, loses accuracy, and gains it back from a stream of images.

    The same stream, learned off the chip, does not help on it: what is learned is the chip.
    """
    images, labels = _digits()
    stream, test = slice(700, 1300), slice(1300, 1797)
    learner, chip = _learner(), [Mismatch(0.5), Offset(0.3)]
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01))
    for step in range(5 * 14):
        part = torch.arange(700)[step % 14 * 50 :][:50]
        trainer.step(images[part], labels[part], step=step)

    def accuracy(learner: Learner) -> float:
        return (learner.predict(images[test]) == labels[test]).double().mean().item()

    def learn(learner: Learner) -> None:
        online = OnlineLearning(learner, SETTINGS)
        for x, y in zip(images[stream].split(6), labels[stream].split(6), strict=True):
            online.partial_fit(x, y)

    elsewhere, clean = copy.deepcopy(learner), accuracy(learner)
    with noisy(learner, chip, seed=7):
        met = accuracy(learner)
        learn(learner)
        recovered = accuracy(learner)
    learn(elsewhere)
    with noisy(elsewhere, chip, seed=7):
        unhelped = accuracy(elsewhere)
    assert clean > 0.9
    assert met < clean - 0.2
    assert recovered > met + 0.8 * (clean - met)
    assert unhelped < recovered - 0.15


def test_labels_that_are_not_whole_numbers_are_refused():
    learning = OnlineLearning(_learner(), SETTINGS)
    with pytest.raises(ValueError, match="class indices must be integers"):
        learning.partial_fit(torch.rand(1, 1, 8, 8), torch.tensor([1.5]))
    assert learning.step == 0
