"""What every algorithm must do, on every kind of network that it accepts; a new entry of ALGORITHMS is tested as is.

Beside the defaults stand settings that change what is trained, or how, on one network each, and methods on the network
that is their own: with batch norm, groups of channels or no weight sharing.
"""

import copy
import dataclasses
from functools import cache

import pytest
import torch
from torch import Tensor

from onward.algorithms import (
    ALGORITHMS,
    FFGAFSNN,
    HCLFF,
    Algorithm,
    CaFo,
    CwComp,
    EarlyExits,
    MonoForward,
    RandomFeatures,
    RecurrentForwardForward,
    Trifecta,
    UnsupervisedForwardForward,
)
from onward.core import Evidence, InferenceRule, Learner, LocalTrainer, TrainerSettings
from onward.measure import reached_blocks
from onward.nets import CFSE, MLP, Airbench, Architecture, LocalFields, TinyCNN, Trifecta6

SHAPE, CLASSES, EPOCHS, BATCH = (1, 8, 8), 4, 12, 32
TRAIN, VALIDATION, TEST = slice(0, 384), slice(384, 512), slice(512, 1024)
NETS = (MLP(width=64, depth=3), TinyCNN(width=8))
SETTINGS = TrainerSettings(learning_rate=0.005)
VARIANTS = {
    "CaFo-sparsemax": CaFo(predictor="sparsemax"),
    "CaFo-least_squares": CaFo(predictor="least_squares"),
    "CaFo-feedback": CaFo(feedback=True),
    "CwComp-windows": CwComp(first_end=0.5, last_end=0.8),
    "EarlyExits-of_MonoForward": EarlyExits(of=MonoForward(features=64)),
    "EarlyExits-heads": EarlyExits(of=MonoForward(features=64), heads="trained"),
    "FFGAFSNN-latency": FFGAFSNN(coding="latency"),
    "FFGAFSNN-current": FFGAFSNN(coding="current"),
    "HCLFF-tree": HCLFF(tree="[[0, 1], [2, 3]]"),
    "RecurrentForwardForward-peers": RecurrentForwardForward(peer_weight=10.0, wrong_labels=3),
    "Trifecta-wrong_labels": Trifecta(wrong_labels=3),
}
OWN_NETWORKS: dict[str, tuple[Algorithm, Architecture]] = {
    "CwComp-CFSE": (CwComp(), CFSE(width=1)),
    "CwComp-threshold": (CwComp(objective="threshold"), CFSE(width=1)),
    "CwComp-mixture": (CwComp(objective="mixture"), CFSE(width=1)),
    "CwComp-superclasses": (CwComp(superclasses=2, superclass_layers=2), CFSE(width=1)),
    "RandomFeatures-Airbench": (RandomFeatures(), Airbench(width=8)),
    "Trifecta-Trifecta6": (Trifecta(side=8), Trifecta6(width=8, dropout=0.1)),
    "UnsupervisedForwardForward-LocalFields": (
        UnsupervisedForwardForward(),
        LocalFields(width=32, field=4, stride=2),
    ),
}
METHODS: dict[str, Algorithm] = {**{kind.__name__: kind() for kind in ALGORITHMS}, **VARIANTS}


def _build(algorithm: Algorithm, net: Architecture) -> Learner:
    torch.manual_seed(0)
    return algorithm(net(SHAPE, CLASSES), CLASSES)


def _accepts(algorithm: Algorithm, net: Architecture) -> bool:
    try:
        _build(algorithm, net)
    except ValueError:
        return False
    return True


CASES = [
    pytest.param(algorithm, net, id=f"{name}-{type(net).__name__}")
    for name, algorithm in METHODS.items()
    for net in [net for net in NETS if _accepts(algorithm, net)][-1 if name in VARIANTS else 0 :]
] + [pytest.param(*own, id=name) for name, own in OWN_NETWORKS.items()]
every_algorithm = pytest.mark.parametrize(("algorithm", "net"), CASES)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@cache
def _images() -> tuple[Tensor, Tensor]:
    """Each class lights four cells of its own on a grid of sixteen, seen through noise; values in [0, 1]."""
    generator = torch.Generator().manual_seed(11)
    cells = torch.randperm(16, generator=generator).view(CLASSES, 4)
    patterns = torch.zeros(CLASSES, 16).scatter(1, cells, 1.0).view(CLASSES, 1, 4, 4)
    patterns = patterns.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    labels = torch.randint(0, CLASSES, (TEST.stop,), generator=generator)
    noise = torch.rand(TEST.stop, *SHAPE, generator=generator)
    return 0.7 * patterns[labels] + 0.3 * noise, labels


def _train(
    algorithm: Algorithm,
    net: Architecture,
    labels: Tensor,
    *,
    epochs: int = EPOCHS,
    global_seed: int = 0,
    device: str = "cpu",
) -> Learner:
    """Train on the first images and fit the inference rules, as a run does."""
    learner, images, labels = _build(algorithm, net).to(device), _images()[0].to(device), labels.to(device)
    torch.manual_seed(global_seed)  # nothing below may depend on it
    trainer = LocalTrainer(learner, SETTINGS, seed=5)
    generator = torch.Generator().manual_seed(2)
    steps, order = TRAIN.stop // BATCH, torch.arange(TRAIN.stop)
    for step in range(steps * epochs):
        if step % steps == 0:
            order = torch.randperm(TRAIN.stop, generator=generator)
        chosen = order[step % steps * BATCH :][:BATCH]
        trainer.set_learning_rate(SETTINGS.learning_rate_at(step, steps, epochs))
        trainer.step(images[chosen], labels[chosen], step=step)
    learner.eval()
    for rule in learner.rules.values():
        assert isinstance(rule, InferenceRule)
        rule.fit(*[lambda part=part: [(Evidence(learner, images[part]), labels[part])] for part in (TRAIN, VALIDATION)])
    return learner.train()


@cache
def _trained(algorithm: Algorithm, net: Architecture) -> Learner:
    return _train(algorithm, net, _images()[1])


def _accuracy(learner: Learner, labels: Tensor, rule: str) -> float:
    predicted = learner.predict(_images()[0][TEST], rule=rule).cpu()
    return float((predicted == labels[TEST]).float().mean())


@pytest.mark.parametrize("algorithm", METHODS.values(), ids=METHODS)
def test_every_algorithm_accepts_a_network_of_this_test(algorithm: Algorithm):
    assert any(_accepts(algorithm, net) for net in NETS), "add a network to NETS that this algorithm can train"


@every_algorithm
def test_each_objective_trains_exactly_the_blocks_of_its_span(algorithm, net):
    learner = _build(algorithm, net)
    images, labels = _images()
    learned = {k for k, block in enumerate(learner.blocks) if any(p.requires_grad for p in block.parameters())}
    expected = [[k for k in range(span.first, span.last + 1) if k in learned] for span in learner.spans]
    assert reached_blocks(learner, images[:8], labels[:8]) == expected


@every_algorithm
def test_it_learns_what_can_be_learned(algorithm, net):
    learner = _trained(algorithm, net)
    accuracy = {rule: _accuracy(learner, _images()[1], rule) for rule in learner.rules}
    assert accuracy[learner.headline] > 0.8, accuracy
    assert min(accuracy.values()) > 0.35, accuracy  # every other rule knows more than chance, 0.25


@every_algorithm
def test_it_stays_at_chance_on_labels_that_mean_nothing(algorithm, net):
    labels = torch.randint(0, CLASSES, (TEST.stop,), generator=torch.Generator().manual_seed(8))
    learner = _train(algorithm, net, labels, epochs=2)
    chance, count = 1 / CLASSES, TEST.stop - TEST.start
    sigma = (chance * (1 - chance) / count) ** 0.5
    accuracy = {rule: _accuracy(learner, labels, rule) for rule in learner.rules}
    assert all(abs(value - chance) < 3.5 * sigma for value in accuracy.values()), accuracy


@every_algorithm
def test_the_same_seed_gives_the_same_weights_bit_for_bit(algorithm, net):
    first = _train(algorithm, net, _images()[1], epochs=1).state_dict()
    second = _train(algorithm, net, _images()[1], epochs=1, global_seed=99).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_algorithm
def test_a_saved_learner_gives_the_same_scores(algorithm, net):
    learner, images = _trained(algorithm, net), _images()[0][TEST]
    torch.manual_seed(1)
    other = algorithm(net(SHAPE, CLASSES), CLASSES)
    other.load_state_dict({name: value.clone() for name, value in learner.state_dict().items()})
    for rule in learner.rules:
        assert torch.equal(learner.predict_scores(images, rule=rule), other.predict_scores(images, rule=rule))


@every_algorithm
def test_every_parameter_is_trained_or_fitted_by_a_rule(algorithm, net):
    learner, (images, labels) = _build(algorithm, net), _images()
    reached: set[str] = set()
    trained = {name: parameter for name, parameter in learner.named_parameters() if parameter.requires_grad}
    for name, parameter in trained.items():  # what an algorithm leaves as it was drawn is marked so
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: reached.add(name))
    trainer = LocalTrainer(learner, SETTINGS)
    for step in range(len(learner.turns)):  # where spans alternate, a block may wait for its turn
        trainer.step(images[:BATCH], labels[:BATCH], step=step)
    missing = set(trained) - reached
    assert all(name.startswith("rules.") for name in missing), missing


@every_algorithm
def test_nothing_is_dropped_in_a_prediction(algorithm, net):
    images = _images()[0][TEST]
    learner = copy.deepcopy(_trained(algorithm, net)).train()  # a fresh read-out may be zero, or not fitted
    scores = learner.predict_scores(images)
    assert torch.equal(learner.predict_scores(images), scores)
    if hasattr(net, "dropout"):
        without = _build(algorithm, dataclasses.replace(net, dropout=0.0))
        without.load_state_dict(learner.state_dict())
        assert torch.equal(without.predict_scores(images), scores)
        assert not torch.equal(learner(images), learner(images))  # in training mode it does drop


@every_algorithm
@pytest.mark.parametrize("training", [True, False])
def test_predicting_changes_neither_mode_nor_state(algorithm, net, training: bool):
    learner = copy.deepcopy(_trained(algorithm, net)).train(training)
    before = copy.deepcopy(learner.state_dict())
    learner.predict(_images()[0][TEST])
    assert all(module.training == training for module in learner.modules())
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())


@every_algorithm
def test_scores_of_an_image_do_not_depend_on_the_others(algorithm, net):
    learner, images = _trained(algorithm, net), _images()[0][TEST][:20]
    for rule in learner.rules:
        together = learner.predict_scores(images, rule=rule)
        in_parts = learner.predict_scores(images, rule=rule, batch_size=3)
        torch.testing.assert_close(in_parts, together, rtol=1e-3, atol=1e-3)  # rounding differs with the batch size


@on_a_gpu
@every_algorithm
def test_a_gpu_learns_what_can_be_learned_and_a_cpu_reads_it_the_same(algorithm, net):
    learner, images = _train(algorithm, net, _images()[1], device="cuda"), _images()[0][TEST]
    assert _accuracy(learner, _images()[1], learner.headline) > 0.8
    there = {rule: learner.predict(images, rule=rule).cpu() for rule in learner.rules}
    learner.cpu()
    for rule, predicted in there.items():
        agreeing = learner.predict(images, rule=rule) == predicted
        assert agreeing.float().mean() > 0.98, rule  # but for rounding, where two classes are equally likely
