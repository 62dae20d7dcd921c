"""What fit returns: a history of its epochs, class names, and a description to be saved with."""

from pathlib import Path
from typing import Any

import pytest
import torch

from onward.algorithms import CaFo, DeeperForward, MonoForward
from onward.core import EpochDone, Learner
from onward.data import Splits
from onward.nets import MLP, TinyCNN
from onward.parts.inference.scores import LastGoodness
from onward.parts.inference.views import Mirrored
from onward.parts.inference.votes import SumVotes
from onward.runs import fit, load_model


@pytest.fixture
def learner(toy_data: Splits) -> Learner:
    return fit(MonoForward(features=16), MLP(width=16), toy_data, epochs=2, device="cpu")


def test_history_has_a_record_of_every_epoch(learner: Learner):
    assert [done.epoch for done in learner.history] == [0, 1]
    assert all(isinstance(done, EpochDone) and 0 <= done.validation_accuracy <= 1 for done in learner.history)
    assert learner.history[1].losses.keys() == {0, 1, 2}


def test_verbose_shows_epochs_and_changes_nothing(learner: Learner, toy_data: Splits, capsys):
    assert capsys.readouterr().err == ""
    again = fit(MonoForward(features=16), MLP(width=16), toy_data, epochs=2, device="cpu", verbose=True)
    shown = capsys.readouterr()
    assert "epoch 1/2" in shown.err and "epoch 2/2" in shown.err and shown.out == ""
    assert len(again.history) == 2
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in learner.state_dict().items())


def test_what_fit_returns_is_saved_and_read_back_with_its_class_names(
    learner: Learner, toy_data: Splits, tmp_path: Path
):
    learner.save(tmp_path / "model")
    read, spec = load_model(tmp_path / "model")
    images = toy_data.test.pixels
    assert torch.equal(read.predict_scores(images), learner.predict_scores(images))
    assert read.class_names == learner.class_names == ("0", "1", "2") == spec.class_names
    read.save(tmp_path / "again")  # what was read can be saved
    assert load_model(tmp_path / "again")[1] == spec


def test_a_shortened_learner_is_saved_as_what_it_is(toy_data: Splits, tmp_path: Path):
    learner = fit(DeeperForward(), TinyCNN(width=6), toy_data, epochs=1, device="cpu")
    shorter = learner.truncated()
    shorter.save(tmp_path)
    read, spec = load_model(tmp_path)
    assert (spec.blocks, spec.rule) == (len(shorter.blocks), shorter.default_rule)
    ours, theirs = (each.predict_scores(toy_data.test.pixels) for each in (learner, read))
    assert torch.allclose(ours, theirs, atol=1e-5)  # maps lie in memory as they were trained, or as they were read


def test_a_learner_built_by_hand_is_not_saved_and_has_no_names(toy_data: Splits, tmp_path: Path):
    learner = MonoForward(features=16)(MLP(width=16)((1, 8, 8), 3), 3)
    with pytest.raises(ValueError, match=r"save its state_dict, or .* learner\.description = onward\.runs\.spec_for"):
        learner.save(tmp_path / "model")
    assert not (tmp_path / "model").exists() and learner.class_names == ()
    with pytest.raises(ValueError, match="names of the classes are not known"):
        learner.predict_names(toy_data.test.pixels)


def test_a_model_is_saved_into_a_folder_alone(learner: Learner, tmp_path: Path, types_unchecked):
    (tmp_path / "file").write_text("mine")
    places: list[Any] = [tmp_path / "file", tmp_path / "file" / "below", "", 3, None]
    for place in places:
        with pytest.raises(
            ValueError, match=r"is a file: a model is saved into a folder|folder is (a \w+|empty): give the path"
        ):
            learner.save(place)
    assert (tmp_path / "file").read_text() == "mine"


def test_score_is_the_share_of_right_predictions(learner: Learner, toy_data: Splits):
    images, labels = toy_data.test.pixels, toy_data.test.labels
    predicted = learner.predict(images)
    assert learner.score(images, labels) == float((predicted == labels).double().mean())
    assert learner.score(images.numpy(), predicted.tolist()) == 1.0
    assert learner.predict_names(images) == [str(k) for k in predicted.tolist()]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 8, 8), [0], "images has 2 entries but there are 1 labels"),
        (torch.zeros(1, 8, 8), [3], r"labels\[0\] is 3: classes are numbered 0..2"),
        (torch.zeros(1, 8, 8), ["cat"], r"labels\[0\] is 'cat', which is none of the classes"),
        (torch.zeros(1, 8, 9), [0], r"but this network takes \(1, 8, 8\)"),
        (torch.zeros(0, 8, 8), [], "images is empty"),
        (torch.zeros(1, 8, 8), [0.5], "class indices must be integers"),
    ],
)
def test_score_refuses_what_cannot_be_scored(learner: Learner, images, labels, message: str):
    with pytest.raises(ValueError, match=message):
        learner.score(images, labels)


def test_probabilities_are_the_softmax_of_scores_or_the_shares_of_votes(learner: Learner, toy_data: Splits):
    images = toy_data.test.pixels
    scores = learner.predict_scores(images)
    assert torch.equal(learner.predict_proba(images), scores.softmax(dim=1))
    votes = fit(CaFo(), TinyCNN(width=6), toy_data, epochs=1, device="cpu")
    shares = votes.predict_proba(images)
    assert torch.allclose(shares.sum(dim=1), torch.ones(len(images)))
    assert torch.allclose(shares * len(votes.score_blocks(images)), votes.predict_scores(images), atol=1e-5)
    plain = torch.tensor([[0.25, 0.75]])
    assert Mirrored(LastGoodness()).probabilities(plain) is plain  # an average of probabilities
    assert torch.equal(SumVotes().probabilities(4 * plain), plain)


def test_a_module_gives_the_scores_and_shares_nothing(learner: Learner, toy_data: Splits):
    images = toy_data.test.pixels
    for rule in learner.rules:
        module, scores = learner.module(rule=rule), learner.predict_scores(images, rule=rule)
        assert torch.equal(module(images), scores)
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    with torch.no_grad():
        next(module.parameters()).zero_()
    assert torch.equal(learner.predict_scores(images, rule=rule), scores)
    with pytest.raises(ValueError, match="unknown inference rule 'nothing'"):
        learner.module(rule="nothing")


def test_a_module_can_be_exported(learner: Learner, toy_data: Splits):
    images = toy_data.test.pixels.float() / 255
    program = torch.export.export(learner.module(), (images,))
    assert torch.allclose(program.module()(images), learner.predict_scores(images), atol=1e-5)
