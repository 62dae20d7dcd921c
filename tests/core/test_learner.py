"""The learner: slots that do not fit are refused with both names, and predictions leave it as it was."""

import re
from typing import Any

import pytest
import torch
from core_toys import CLASSES, FEATURES, WIDTH, batch, head, make_learner
from torch import nn

from onward.core import Goodness, Learner, LocalBlock, Objective, detach, each, whole
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean, MeanSquare
from onward.parts.inference.scores import LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy, Threshold
from onward.parts.prepare import Standardize
from onward.parts.supervision.labels import LabelInInput, LabelInLoss


@pytest.mark.parametrize(
    ("goodness", "objective", "wanted"),
    [
        (MeanSquare(), CrossEntropy(), "CrossEntropy needs one score per class, but MeanSquare gives one per sample"),
        (ClassMean(4, 12), Threshold(), "Threshold needs one score per sample, but ClassMean gives one per class"),
        (MeanSquare(), None, "needs both a goodness and an objective, or neither; got only MeanSquare"),
        (None, CrossEntropy(), "needs both a goodness and an objective, or neither; got only CrossEntropy"),
    ],
)
def test_a_block_refuses_slots_that_do_not_fit(goodness: Goodness | None, objective: Objective | None, wanted: str):
    with pytest.raises(ValueError, match=wanted):
        LocalBlock(nn.Linear(3, 12), goodness=goodness, objective=objective)


def test_a_block_refuses_a_goodness_that_does_not_say_what_it_gives():
    class Silent(Goodness):
        def forward(self, activity: torch.Tensor) -> torch.Tensor:
            return activity

    with pytest.raises(ValueError, match="Silent lacks per_class: set it to whether there is a score for each class"):
        LocalBlock(nn.Linear(3, 12), goodness=Silent(), objective=CrossEntropy())


def test_a_block_reads_goodness_before_the_handoff_and_passes_skips_on():
    block = LocalBlock(nn.Linear(3, 5))
    x, skip = torch.rand(2, 3), torch.rand(2, 7)
    activity, stream = block(x, skip)
    assert torch.equal(activity, block.body(x))
    assert stream[0] is activity
    assert stream[1] is skip


def test_a_span_must_end_at_an_objective():
    blocks = [LocalBlock(nn.Linear(FEATURES, WIDTH))]
    with pytest.raises(ValueError, match=r"block 0 ends .* no objective"):
        Learner(blocks, supervision=LabelInLoss(), spans=whole(1), rules={"last": LastGoodness()})


@pytest.mark.parametrize(
    ("goodness", "objective", "supervision", "wanted"),
    [
        (MeanSquare(), Threshold(), LabelInLoss(), "Threshold needs real and contrastive views, which LabelInLoss"),
        (ClassMean(4, 12), CrossEntropy(), LabelInInput(4), "CrossEntropy needs one view per sample, which LabelInInp"),
    ],
)
def test_supervision_must_suit_the_objective(goodness, objective, supervision, wanted):
    block = LocalBlock(nn.Linear(FEATURES, WIDTH), goodness=goodness, objective=objective)
    with pytest.raises(ValueError, match=wanted):
        Learner([block], supervision=supervision, spans=each(1), rules={"last": LastGoodness()})


@pytest.mark.parametrize("rule", ["best", "", ["last"], 0])
def test_an_unknown_rule_is_refused_with_the_known_ones(rule: Any, types_unchecked):
    learner = make_learner()
    for use in (learner.predict, learner):
        with pytest.raises(ValueError, match=re.escape(f"unknown inference rule {rule!r}; this learner has last")):
            use(batch()[0], rule=rule)


def _image_learner() -> Learner:
    block = LocalBlock(nn.Flatten(), goodness=LinearHead(CLASSES, 32), objective=CrossEntropy())
    prepare = Standardize((2, 4, 4), (0.5, 0.5), (0.25, 0.25))
    rules = {"last": LastGoodness()}
    return Learner([block], supervision=LabelInLoss(), spans=each(1), rules=rules, prepare=prepare)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 4, 5), (2, 4)])
def test_images_of_another_shape_are_refused_with_both_shapes(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"given, but this network takes \(2, 4, 4\)"):
        _image_learner().predict(torch.rand(3, *shape))


def test_uint8_images_and_their_fractions_predict_the_same():
    images = torch.randint(0, 256, (5, 2, 4, 4), dtype=torch.uint8)
    learner = _image_learner()
    assert torch.equal(learner.predict_scores(images), learner.predict_scores(images.float() / 255))


def test_the_first_rule_is_the_default():
    learner = make_learner()
    both = Learner(
        list(learner.blocks),
        supervision=LabelInLoss(),
        spans=each(3),
        rules={"sum": SumGoodness(), "last": LastGoodness()},
    )
    x = batch()[0]
    assert both.default_rule == "sum"
    assert torch.equal(both.predict_scores(x), both.predict_scores(x, rule="sum"))
    assert not torch.equal(both.predict_scores(x), both.predict_scores(x, rule="last"))


def test_predictions_are_the_best_scores_however_they_are_batched():
    learner, (x, _) = make_learner(), batch(17)
    scores = learner.predict_scores(x)
    assert scores.shape == (17, CLASSES)
    assert not scores.requires_grad
    torch.testing.assert_close(learner.predict_scores(x, batch_size=4), scores)
    assert torch.equal(learner.predict(x, batch_size=5), scores.argmax(dim=1))


@pytest.mark.parametrize("training", [True, False])
def test_predicting_keeps_the_mode_even_after_an_error(training: bool):
    learner = make_learner(depth=1, body=lambda _: nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Dropout(0.5)))
    learner.train(training)
    x = batch()[0]
    assert torch.equal(learner.predict_scores(x), learner.predict_scores(x))
    assert all(module.training == training for module in learner.modules())
    with pytest.raises(RuntimeError):
        learner.predict(torch.rand(3, FEATURES + 1))
    assert all(module.training == training for module in learner.modules())


def test_predicting_keeps_the_mode_while_an_error_is_looked_at():
    # A traceback is kept alive by a debugger, a notebook, and every `except ... as error`.
    learner = make_learner()
    with pytest.raises(RuntimeError) as caught:
        learner.predict(torch.rand(3, FEATURES + 1))
    assert caught.tb is not None
    assert learner.training


def test_the_scores_of_blocks_are_their_own_readings():
    learner, (x, _) = make_learner(), batch(17)
    expected, activity = [], x
    with torch.no_grad():
        for block in learner.blocks:
            activity = block.body(activity)
            expected.append(head(block)(activity))
    torch.testing.assert_close(learner.score_blocks(x), torch.stack(expected))
    torch.testing.assert_close(learner.score_blocks(x, batch_size=4), torch.stack(expected))


def test_blocks_without_goodness_are_left_out_of_the_scores():
    seen = LocalBlock(nn.Linear(WIDTH, WIDTH), goodness=LinearHead(CLASSES, WIDTH), objective=CrossEntropy())
    blocks = [LocalBlock(nn.Linear(FEATURES, WIDTH)), seen]
    learner = Learner(blocks, supervision=LabelInLoss(), spans=whole(2), rules={"sum": SumGoodness()})
    x = batch()[0]
    with torch.no_grad():
        assert torch.equal(learner.predict_scores(x), head(seen)(seen.body(blocks[0].body(x))))


def test_a_handoff_that_returns_a_tensor_is_refused():
    with pytest.raises(ValueError, match=r"Handoff\(normalize, Carry\(\)\)"):
        detach(torch.zeros(2, 3))


def test_a_learner_without_an_inference_rule_is_refused():
    with pytest.raises(ValueError, match="at least one inference rule"):
        Learner([], supervision=LabelInLoss(), spans=(), rules={})


def test_nested_tensors_are_refused():
    nested = torch.nested.nested_tensor(list(batch()[0]), layout=torch.jagged)
    with pytest.raises(ValueError, match=r"^images is a nested tensor: stack rows of one shape instead"):
        make_learner().predict(nested)
