"""predsim: its loss by hand, its settings, and what its blocks have."""

import torch
import torch.nn.functional as F

from onward.algorithms import Backprop, PredSim
from onward.core import Target
from onward.nets import MLP, TinyCNN, VGG8b
from onward.parts.auxiliary.similarity import SimilarityMatching, map_deviation, similarities
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.views import Mirrored
from onward.parts.objective.class_scores import CrossEntropy

SHAPE, CLASSES = (1, 8, 8), 4


def test_a_block_loses_one_part_cross_entropy_and_ninety_nine_parts_similarity():
    torch.manual_seed(0)
    block = PredSim()(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES).blocks[1].double()
    assert isinstance(block.goodness, LinearHead) and isinstance(block.auxiliary, SimilarityMatching)
    torch.nn.init.normal_(block.goodness.linear.weight)
    activity, labels = torch.rand(6, 16, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1, 0])
    classify = F.cross_entropy(block.goodness(activity), labels)
    found = similarities(map_deviation(block.auxiliary.project(activity)))
    match = F.mse_loss(found, similarities(F.one_hot(labels, CLASSES).double()))
    torch.testing.assert_close(block.loss(activity, Target(labels)), 0.01 * classify + 0.99 * match)


def test_beta_zero_is_the_loss_pred():
    learner = PredSim(beta=0.0)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    assert all(block.auxiliary is None for block in learner.blocks)
    block, activity, labels = learner.blocks[0], torch.rand(4, 8, 8, 8), torch.arange(4)
    assert block.goodness is not None
    expected = F.cross_entropy(block.goodness(activity), labels)
    torch.testing.assert_close(block.loss(activity, Target(labels)), expected)


def test_read_outs_keep_to_their_size():
    learner = PredSim(decoder_features=2048)(VGG8b()((3, 32, 32), 10), 10)
    sizes = [block.goodness.linear.in_features for block in learner.blocks if isinstance(block.goodness, LinearHead)]
    assert sizes == [2048] * 6 + [1024]
    kinds = [
        type(block.auxiliary.project) for block in learner.blocks if isinstance(block.auxiliary, SimilarityMatching)
    ]
    assert kinds == [torch.nn.Conv2d] * 6 + [torch.nn.Linear]


def test_a_network_without_maps_is_projected_by_linear_layers():
    learner = PredSim()(MLP(width=8, depth=2)(SHAPE, CLASSES), CLASSES)
    for block in learner.blocks:
        assert isinstance(block.auxiliary, SimilarityMatching)
        assert isinstance(block.auxiliary.project, torch.nn.Linear)
    assert learner(torch.rand(3, *SHAPE)).shape == (3, CLASSES)


def test_mirrored_reading_and_smoothed_labels_reach_the_control_too():
    local = PredSim(beta=0.0, label_smoothing=0.2, mirrored=True)
    for algorithm in (local, Backprop(of=local)):
        learner = algorithm(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
        assert all(isinstance(rule, Mirrored) for rule in learner.rules.values())
        assert learner.blocks[-1].objective == CrossEntropy(label_smoothing=0.2)
    assert not isinstance(PredSim()(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES).rules["last_block"], Mirrored)


def test_smoothed_labels_reach_the_control_through_a_weight():
    learner = Backprop(of=PredSim(beta=0.5, label_smoothing=0.2))(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    assert learner.blocks[-1].objective == CrossEntropy(label_smoothing=0.2)
