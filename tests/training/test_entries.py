"""Every entry for images has the same rule and the same words; prediction takes what training took."""

import re

import numpy as np
import pandas
import pytest
import torch

from onward.algorithms import ALGORITHMS, MonoForward
from onward.core import Learner, TrainerSettings
from onward.data import from_arrays
from onward.hardware import Offset, noisy
from onward.nets import MLP, TinyCNN
from onward.runs import spec_for
from onward.training import OnlineLearning

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), dtype=np.uint8)
LABELS = np.arange(30) % 3


def _learner(algorithm=None, *, net=None, channels: int = 1) -> Learner:
    data = from_arrays(PIXELS[:, :channels], LABELS)
    return spec_for(algorithm or MonoForward(features=48), net or MLP(width=48, depth=2), data).build(seed=0)


def _refusals(images) -> dict[str, str]:
    """Return what every entry says to these images, "" where it takes them."""
    learner = _learner()
    entries = {
        "from_arrays": lambda: from_arrays(images, LABELS),
        "predict": lambda: learner.predict(images),
        "predict_scores": lambda: learner.predict_scores(images),
        "score_blocks": lambda: learner.score_blocks(images),
        "partial_fit": lambda: OnlineLearning(learner, TrainerSettings()).partial_fit(images, LABELS),
    }
    said = {}
    for name, entry in entries.items():
        try:
            entry()
            said[name] = ""
        except ValueError as error:
            said[name] = str(error)
    return said


FLOATS = PIXELS[:, 0] / 255


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.where(np.arange(30)[:, None, None] == 4, np.nan, FLOATS), r"images\[4\] holds NaN"),
        (np.where(np.arange(30)[:, None, None] == 4, -np.inf, FLOATS), r"images\[4\] holds an infinite value"),
        (np.full((30, 8, 8), "x"), "give numbers"),
        ([np.zeros((8, 8)), np.zeros((8, 9))], "different shapes"),
        ("images.npy", "images is a str: give a NumPy array"),
    ],
)
def test_every_entry_refuses_the_same_in_the_same_words(images, message: str, types_unchecked):
    said = _refusals(images)
    assert len(set(said.values())) == 1, said
    assert re.search(message, said["predict"]), said


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (PIXELS[:, 0].astype(float), r"images must lie in \[0, 1\] but reach from 0 to 255, .* images / 255"),
        (FLOATS * 2 - 1, r"shift and scale them, for example \(images \+ 1\) / 2"),
        (PIXELS[:, 0].astype(np.int64), "images has dtype torch.int64: convert it to uint8"),
        (FLOATS > 0.5, "images has dtype torch.bool: convert it to uint8"),
    ],
)
def test_other_units_are_trained_on_as_they_are_and_refused_by_who_learned_levels(images, message: str):
    said = _refusals(images)
    assert said.pop("from_arrays") == ""
    assert len(set(said.values())) == 1, said
    assert re.search(message, said["predict"]), said


FORMS = {
    "uint8": lambda x: x,
    "float64": lambda x: x / 255,
    "float16": lambda x: (x / 255).astype("f2"),
    "big endian": lambda x: (x / 255).astype(">f4"),
    "long double": lambda x: (x / 255).astype("g"),
    "negative stride": lambda x: x[::-1].copy()[::-1],
    "list of images": list,
    "list of tensors": lambda x: list(torch.from_numpy(x)),
    "float64 tensor": lambda x: torch.from_numpy(x / 255),
    "inference tensor": lambda x: _inference(x),
    "needs a gradient": lambda x: torch.from_numpy(x / 255).requires_grad_(),
    "channels last": lambda x: x.transpose(0, 2, 3, 1),
}


@torch.inference_mode()
def _inference(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x) / 255


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_prediction_takes_what_training_took(form, channels: int):
    learner, x = _learner(channels=channels), PIXELS[:, :channels]
    assert (learner.predict_scores(form(x)) - learner.predict_scores(torch.from_numpy(x))).abs().max() < 0.02
    if channels == 1 and form is not FORMS["channels last"]:
        assert torch.equal(learner.predict_scores(form(x[:, 0])), learner.predict_scores(form(x)))


def test_images_that_do_not_fit_the_network_are_refused_with_the_remedy():
    learner = _learner(channels=3)
    for images, remedy in (
        (PIXELS[0], r"a single image is images\[None\]"),
        (PIXELS.reshape(30, -1), r"images.reshape\(-1, 3, 8, 8\)"),
        (PIXELS[:, :1], "resize or convert"),
        (PIXELS[:, :, :7], "resize or convert"),
        (pandas.DataFrame(PIXELS.reshape(30, -1)), "reshape"),
    ):
        with pytest.raises(ValueError, match=r"given, but this network takes \(3, 8, 8\).*" + remedy):
            learner.predict(images)


@pytest.mark.parametrize("algorithm", [kind() for kind in ALGORITHMS], ids=lambda each: type(each).__name__)
def test_no_images_have_no_answers(algorithm):
    learner = None
    for net in (TinyCNN(width=12), MLP(width=48, depth=3)):
        try:
            learner = _learner(algorithm, net=net)
        except ValueError:
            continue
    assert learner is not None
    for nothing in (np.zeros((0, 8, 8)), PIXELS[:0, :1], [], torch.zeros(0, 1, 8, 8)):
        assert learner.score_blocks(nothing).shape[1:] in {(0, 3), (0, 0)}
        if all(rule.num_classes is None for rule in learner.rules.values()):  # a read-out is not fitted yet
            assert learner.predict_scores(nothing).shape == (0, 3)
            assert learner.predict(nothing).shape == (0,) and learner.predict(nothing).dtype == torch.int64


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", None, True])
def test_a_batch_size_that_is_none_is_refused(size, types_unchecked):
    for read in (_learner().predict, _learner().predict_scores, _learner().score_blocks):
        with pytest.raises(ValueError, match="batch_size must be a whole number in"):
            read(PIXELS[:, :1], batch_size=size)


def test_scores_are_never_silently_nan():
    learner = _learner()
    with torch.no_grad():
        next(learner.blocks[0].parameters())[0] = float("nan")
    for read in (learner.predict, learner.predict_scores, learner.score_blocks):
        with pytest.raises(ValueError, match=r"scores of images\[0\] are not finite"):
            read(PIXELS[:, :1])
    with pytest.raises(ValueError, match="not finite"):
        OnlineLearning(learner, TrainerSettings()).partial_fit(PIXELS[:, :1], LABELS)


def test_a_refused_sample_draws_nothing_on_a_chip():
    learner = _learner()
    with noisy(learner, [Offset(0.1)], seed=1):
        first = learner.predict_scores(PIXELS[:, 0])
        with pytest.raises(ValueError, match="labels"):
            OnlineLearning(learner, TrainerSettings()).partial_fit(PIXELS[:, 0], LABELS + 1)
        assert torch.equal(learner.predict_scores(PIXELS[:, 0]), first)


@pytest.mark.parametrize("form", [list, pandas.Series, lambda y: y.astype("u1"), lambda y: torch.from_numpy(y).int()])
def test_labels_of_a_stream_may_be_of_any_container(form):
    one, other = (OnlineLearning(_learner(), TrainerSettings()) for _ in range(2))
    assert torch.equal(one.partial_fit(PIXELS[:, 0], form(LABELS)), other.partial_fit(PIXELS[:, :1], LABELS))
