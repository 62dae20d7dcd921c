"""Distance-Forward: gradients stay inside the collaboration, statistics are counted once, settings reach the slots."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from onward.algorithms import Algorithm, Backprop, DistanceForward, DistanceForwardPairs
from onward.core import Learner, LocalTrainer, ObservedEvidence, Target, TrainerSettings
from onward.measure import reached_blocks
from onward.nets import MLP, Architecture, TinyCNN, Trifecta6
from onward.parts.body.feedback import RandomFeedback
from onward.parts.goodness.anchors import LearnedAnchors, RunningAnchors
from onward.parts.inference.scores import LinearReadout
from onward.parts.supervision.label_pattern import LabelPattern

SHAPE, CLASSES = (1, 8, 8), 4
NET = Trifecta6(width=4)
READINGS = [DistanceForward(), DistanceForwardPairs()]
both = pytest.mark.parametrize("algorithm", READINGS, ids=["anchors", "pairs"])


def _learner(algorithm: Algorithm, net: Architecture = NET) -> Learner:
    torch.manual_seed(0)
    return algorithm(net(SHAPE, CLASSES), CLASSES)


def _batch(size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(size, *SHAPE), torch.arange(size) % CLASSES


def _with(algorithm: Any, **settings: Any) -> Algorithm:
    return replace(algorithm, **settings)


@both
@pytest.mark.parametrize("random_feedback", [False, True])
@pytest.mark.parametrize(
    ("collaboration", "reached"),
    [
        ("none", [[0], [1], [2], [3], [4], [5]]),
        ("alternating", [[0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]),
        ("sliding", [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]),
        ("disjoint", [[0, 1], [2, 3], [4, 5]]),
    ],
)
def test_gradients_reach_the_blocks_of_the_collaboration_and_no_other(
    algorithm, random_feedback, collaboration, reached
):
    changed = _with(algorithm, collaboration=collaboration, random_feedback=random_feedback)
    if random_feedback and collaboration == "none":
        with pytest.raises(ValueError, match="other than none"):
            _learner(changed)
    else:
        assert reached_blocks(_learner(changed), *_batch()) == reached


@both
def test_running_statistics_count_a_batch_once_in_overlapping_pairs(algorithm):
    """With no learning, every batch norm has seen exactly what one pass over the network shows it."""
    learner, plain = _learner(_with(algorithm, unit_length=False)), _learner(_with(algorithm, unit_length=False))
    x, y = _batch()
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.0))
    trainer.step(x, y, step=0)
    with torch.no_grad():
        stream, _ = trainer.enter(x, y, step=0)
        for _ in plain.train().run_blocks(stream):
            pass
    found, expected = learner.state_dict(), plain.state_dict()
    counted = [name for name in found if "running" in name or "batches" in name]
    assert len(counted) == 6 * 3
    for name in counted:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)
        assert "batches" not in name or int(found[name]) == 1


@both
def test_only_blocks_that_end_a_span_are_scored(algorithm):
    scored = {
        how: [k for k, b in enumerate(_learner(_with(algorithm, collaboration=how)).blocks) if b.goodness is not None]
        for how in ("none", "alternating", "sliding", "disjoint")
    }
    assert scored["none"] == scored["alternating"] == [0, 1, 2, 3, 4, 5]
    assert scored["sliding"] == [1, 2, 3, 4, 5]
    assert scored["disjoint"] == [1, 3, 5]


@both
def test_backprop_beside_random_feedback_is_exact(algorithm):
    """The control of DF-R trains the same network with the network's own weights in both directions."""
    x, y = _batch()
    weights = []
    for of in (_with(algorithm, random_feedback=False), _with(algorithm, random_feedback=True)):
        torch.manual_seed(0)
        learner = Backprop(of=of)(NET(SHAPE, CLASSES), CLASSES)
        assert not any(isinstance(module, RandomFeedback) for module in learner.modules())
        goodness = learner.blocks[-1].goodness
        assert goodness is not None
        for parameter in goodness.parameters():
            nn.init.constant_(parameter, 0.1)  # it is drawn after the feedback
        with torch.no_grad():
            goodness.parameters().__next__()[0].neg_()
        LocalTrainer(learner, TrainerSettings(learning_rate=0.01)).step(x, y, step=0)
        weights.append([p.detach() for block in learner.blocks for p in block.body.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@both
def test_random_feedback_changes_the_lower_block_of_a_pair_alone(algorithm):
    """Same weights and anchors, one step on the first pair: the upper block learns the same, the lower one not."""
    x, y = _batch()
    ends = []
    for random_feedback in (False, True):
        learner = _learner(_with(algorithm, random_feedback=random_feedback, collaboration="disjoint"))
        goodness = learner.blocks[1].goodness
        if isinstance(goodness, RunningAnchors):  # they were drawn after the feedback
            goodness.centroids.copy_(torch.linspace(-1, 1, goodness.centroids.numel()).view_as(goodness.centroids))
        trainer = LocalTrainer(learner, TrainerSettings(optimizer="sgd", learning_rate=0.5))
        stream, target = trainer.enter(x, y, step=0)
        trainer.update(stream, target, [learner.spans[0]], step=0)
        ends.append([[p.detach() for p in block.body.parameters()] for block in learner.blocks[:2]])
    (lower, upper), (other_lower, other_upper) = ends
    assert not torch.allclose(lower[-1], other_lower[-1])
    for mine, other in zip(upper, other_upper, strict=True):
        if mine.ndim == 4:  # the batch norm before the convolution gets its gradient through it
            torch.testing.assert_close(mine, other)


def test_anchors_are_learned_or_run_and_a_map_has_a_grid():
    learned, running = (_learner(DistanceForward(anchors=kind, grid=3)) for kind in ("learned", "running"))
    for learner, kind in ((learned, LearnedAnchors), (running, RunningAnchors)):
        for block, width in zip(learner.blocks[1:], NET(SHAPE, CLASSES).widths[1:], strict=True):
            goodness = block.goodness
            assert isinstance(goodness, kind)
            anchors = goodness.anchors if isinstance(goodness, LearnedAnchors) else goodness.centroids
            assert anchors.shape == (CLASSES, 9 * width)
    flat = _learner(DistanceForward(grid=3), MLP(width=7, depth=2)).blocks[1].goodness
    assert isinstance(flat, RunningAnchors)
    assert flat.centroids.shape == (CLASSES, 7)


_SOFT = float((1 + 3 * torch.tensor(3 * 0.75).exp()).log()) / 3


@pytest.mark.parametrize(("form", "hinge"), [("mean", 0.75), ("hardest", 0.75), ("soft", _SOFT)])
def test_settings_reach_the_objective(form, hinge: float):
    """One image, score 0.25 for its label and 0.5 for the three others."""
    objective = _learner(DistanceForward(margin=0.5, penalty=0.2, form=form, sharpness=3.0)).blocks[1].objective
    assert objective is not None
    loss = objective(torch.tensor([[0.25, 0.5, 0.5, 0.5]]), Target(torch.tensor([0])))
    assert float(loss) == pytest.approx(hinge + 0.2 * 0.5)


def test_wrong_labels_and_patterns_reach_the_supervision():
    learner = _learner(DistanceForwardPairs(wrong_labels=3, label="pattern"))
    assert learner.supervision == LabelPattern(CLASSES, 3)
    x, y = _batch()
    _, target = LocalTrainer(learner, TrainerSettings()).enter(x, y, step=0)
    assert target.views == 4
    with pytest.raises(ValueError, match=r"between 1 and 3 .*, got 4"):
        _learner(DistanceForwardPairs(wrong_labels=4))


@both
def test_blocks_hand_on_unit_length_unless_told_otherwise(algorithm):
    x, _ = _batch()
    for _, _, (handed_on, *_) in _learner(algorithm, TinyCNN(width=4)).run_blocks((x,)):
        torch.testing.assert_close(handed_on.square().mean(dim=(1, 2, 3)), torch.ones(8), rtol=1e-3, atol=0.0)
    for _, activity, stream in _learner(_with(algorithm, unit_length=False), TinyCNN(width=4)).eval().run_blocks((x,)):
        assert torch.equal(activity, stream[0])


@both
def test_one_block_learns_alone_but_has_no_neighbor(algorithm):
    net = MLP(width=8, depth=1)
    learner = _learner(_with(algorithm, collaboration="none"), net)
    x, y = _batch()
    readout = learner.rules["linear_readout"]
    assert isinstance(readout, LinearReadout)
    readout.fit(lambda: [(ObservedEvidence(learner, x), y)], lambda: [])
    for rule in ("all_but_first", "linear_readout"):
        assert learner.predict_scores(x, rule=rule).shape == (8, CLASSES)
    with pytest.raises(ValueError, match="at least 2 blocks, got 1"):
        _learner(algorithm, net)


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        DistanceForward()(MLP(width=8, depth=2)(SHAPE, 1), 1)
    with pytest.raises(ValueError, match=r"between 1 and 0 .*, got 1"):
        DistanceForwardPairs()(MLP(width=8, depth=2)(SHAPE, 1), 1)
