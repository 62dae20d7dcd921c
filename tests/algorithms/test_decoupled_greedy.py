"""Decoupled greedy learning: its loss by hand, its classifiers, how far their gradient reaches, and its control."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onward.algorithms import Backprop, DecoupledGreedy
from onward.core import Learner, LocalTrainer, Target, TrainerSettings
from onward.core.optimizer import BlockOptimizer
from onward.core.slots import WrappedGoodness
from onward.measure.locality import locality_of
from onward.nets import MLP, Airbench, Architecture, TinyCNN
from onward.parts.goodness.auxiliary_classifier import AuxiliaryClassifier
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.views import Mirrored

SHAPE, CLASSES = (1, 8, 8), 4


class _Wrapped(WrappedGoodness):
    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        return self.goodness(activity)


def _hidden(classifier: AuxiliaryClassifier) -> nn.Conv2d | nn.Linear:
    assert isinstance(classifier.hidden, nn.Sequential)
    first = classifier.hidden[0]
    assert isinstance(first, nn.Conv2d | nn.Linear)
    return first


def _classifier(learner: Learner, k: int) -> AuxiliaryClassifier:
    classifier = learner.blocks[k].goodness
    assert isinstance(classifier, AuxiliaryClassifier)
    return classifier


def test_a_block_loses_the_cross_entropy_behind_its_convolution():
    torch.manual_seed(0)
    learner = DecoupledGreedy(hidden=6, label_smoothing=0.2)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES).double()
    classifier = _classifier(learner, 0)
    nn.init.normal_(classifier.read_out.linear.weight)
    activity, labels = torch.rand(6, 8, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1, 0])
    kernel, weight = _hidden(classifier).weight, classifier.read_out.linear.weight
    maps = torch.stack(  # the convolution as nine shifted products
        [
            torch.einsum("bdhw,od->bohw", F.pad(activity, (1, 1, 1, 1))[:, :, i : i + 8, j : j + 8], kernel[:, :, i, j])
            for i in range(3)
            for j in range(3)
        ]
    ).sum(dim=0)
    mean, variance = maps.mean(dim=(0, 2, 3), keepdim=True), maps.var(dim=(0, 2, 3), keepdim=True, correction=0)
    standard = (maps - mean) / (variance + 1e-5).sqrt()
    hidden = standard * (1 + torch.erf(standard / 2**0.5)) / 2
    scores = hidden.flatten(1) @ weight.T + classifier.read_out.linear.bias
    targets = 0.8 * F.one_hot(labels, CLASSES) + 0.2 / CLASSES
    expected = -(targets * scores.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(learner.blocks[0].loss(activity, Target(labels)), expected)


def test_larger_maps_are_averaged_in_cells_first():
    torch.manual_seed(0)
    classifier = AuxiliaryClassifier(CLASSES, 3, hidden=5, maps=True, side=4, features=20).eval()
    nn.init.normal_(classifier.read_out.linear.weight)
    activity = torch.rand(2, 3, 8, 16)
    coarse = activity.unflatten(3, (4, 4)).unflatten(2, (4, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(classifier(activity), classifier(coarse))
    assert classifier.read_out.cells == (2, 2)  # 5 channels in 4 cells are 20 values


@pytest.mark.parametrize(("shape", "windows"), [((7, 9), [(2, 2), (1, 2)]), ((20, 6), [(2, 2), (2, 1)])])
def test_further_convolutions_read_maxima_of_sides_of_four_pixels_and_more(shape, windows):
    torch.manual_seed(0)
    classifier = AuxiliaryClassifier(CLASSES, 3, hidden=5, layers=3, maps=True, features=20).eval()
    nn.init.normal_(classifier.read_out.linear.weight)
    activity = torch.rand(2, 3, *shape)
    maps = F.adaptive_avg_pool2d(activity, (min(8, shape[0]), min(8, shape[1])))
    kernels = [part.weight for part in classifier.hidden if isinstance(part, nn.Conv2d)]
    for kernel, window in zip(kernels, [*windows, (1, 1)], strict=True):
        maps = F.max_pool2d(F.conv2d(maps, kernel, padding=1), window)
        maps = F.gelu(maps / (1 + 1e-5) ** 0.5)  # what batch normalization does before it has seen a batch
    torch.testing.assert_close(classifier(activity), classifier.read_out(maps))


def test_a_network_without_maps_has_as_many_hidden_linear_layers():
    learner = DecoupledGreedy(hidden=6, layers=2)(MLP(width=8, depth=2)(SHAPE, CLASSES), CLASSES)
    layers = [part for part in _classifier(learner, 0).hidden if isinstance(part, nn.Linear)]
    assert [tuple(part.weight.shape) for part in layers] == [(6, 8), (6, 6)]


def test_only_the_last_block_has_a_linear_read_out():
    learner = DecoupledGreedy(hidden=16, decoder_features=64)(Airbench(width=8)((3, 32, 32), CLASSES), CLASSES)
    kinds = [type(block.goodness) for block in learner.blocks]
    assert kinds == [AuxiliaryClassifier] * 5 + [LinearHead]
    assert [_hidden(_classifier(learner, k)).weight.shape[0] for k in range(5)] == [16] * 5


def test_a_network_without_maps_has_a_hidden_linear_layer():
    learner = DecoupledGreedy(hidden=6)(MLP(width=8, depth=2)(SHAPE, CLASSES), CLASSES)
    hidden = _hidden(_classifier(learner, 0))
    assert isinstance(hidden, nn.Linear) and hidden.out_features == 6
    assert learner(torch.rand(3, *SHAPE)).shape == (3, CLASSES)


def test_its_gradient_reaches_one_layer_through_an_auxiliary_network():
    learner = DecoupledGreedy(hidden=6)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    images, labels = torch.rand(8, *SHAPE), torch.arange(8) % CLASSES
    assert str(locality_of(learner, images, labels)) == "one layer, auxiliary network"


def test_classifiers_learn_beside_their_blocks():
    torch.manual_seed(0)
    learner = DecoupledGreedy(hidden=6)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01))
    before = [_hidden(_classifier(learner, 0)).weight.clone(), learner.blocks[0].body.state_dict()["0.weight"].clone()]
    images, labels = torch.rand(8, *SHAPE), torch.arange(8) % CLASSES
    losses = [trainer.step(images, labels, step=step) for step in range(3)]
    after = [_hidden(_classifier(learner, 0)).weight, learner.blocks[0].body.state_dict()["0.weight"]]
    assert losses and all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("net", [TinyCNN(width=8), MLP(width=8, depth=2)], ids=lambda net: type(net).__name__)
def test_muon_moves_the_hidden_layers_and_adamw_the_read_out(net: Architecture):
    settings = TrainerSettings(optimizer="muon", learning_rate=0.1)
    first, last = (DecoupledGreedy(hidden=6)(net(SHAPE, CLASSES), CLASSES).blocks[k] for k in (0, -1))
    muon, adamw = BlockOptimizer(first, settings).parts
    classifier = first.goodness
    assert isinstance(classifier, AuxiliaryClassifier)
    hidden, read_out = _hidden(classifier).weight, classifier.read_out.linear.weight
    assert any(hidden is weight for weight in muon.parameters) and len(muon.parameters) == 2
    assert any(read_out is weight for weight in adamw.parameters)
    assert not any(hidden is weight for weight in adamw.parameters)
    assert len(BlockOptimizer(last, settings).parts[0].parameters) == 1
    first.goodness = _Wrapped(classifier)
    assert len(BlockOptimizer(first, settings).parts[0].parameters) == 2


def test_the_control_has_the_read_out_of_the_last_block_its_smoothing_and_its_mirrored_reading():
    local = DecoupledGreedy(label_smoothing=0.2, mirrored=True)
    control = Backprop(of=local)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    assert isinstance(control.blocks[-1].goodness, LinearHead)
    assert all(isinstance(rule, Mirrored) for rule in control.rules.values())
    assert "label_smoothing=0.2" in repr(control.blocks[-1].objective)


@pytest.mark.parametrize("rule", ["last_block", "all_blocks", "best_range"])
def test_the_rule_that_predicts_is_a_setting(rule):
    torch.manual_seed(0)
    last, own = (
        DecoupledGreedy(hidden=6, mirrored=True, predict=name)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES).eval()
        for name in ("last_block", rule)
    )
    for head in last.modules():
        if isinstance(head, LinearHead):  # which begins at zero
            nn.init.normal_(head.linear.weight)
    own.load_state_dict(last.state_dict())
    images = torch.rand(4, *SHAPE)
    assert own.default_rule == rule and own.rules.keys() == last.rules.keys()
    assert torch.equal(own.predict_scores(images), last.predict_scores(images, rule=rule))
    assert rule == "last_block" or not torch.equal(own.predict_scores(images), last.predict_scores(images))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"hidden.*0"):
        DecoupledGreedy(hidden=0)
    with pytest.raises(ValueError, match=r"layers.*0"):
        DecoupledGreedy(layers=0)
    with pytest.raises(ValueError, match=r"side.*0"):
        DecoupledGreedy(side=0)
    with pytest.raises(ValueError, match=r"decoder_features.*0"):
        DecoupledGreedy(decoder_features=0)
