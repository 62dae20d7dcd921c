"""Checks that every algorithm must pass: call `check_algorithm(MyMethod())` in your own test.

Each check takes a `Case`, an algorithm on a network, and fails with an AssertionError. Images are made up: every class
lights four cells of its own on a grid of sixteen, seen through noise.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cache, cached_property

import torch
from torch import Tensor

from onward.algorithms import Algorithm
from onward.core import InferenceRule, Learner, LocalTrainer, ObservedEvidence, TrainerSettings
from onward.measure import reached_blocks
from onward.nets import MLP, Architecture, TinyCNN
from onward.parts.inference import LinearReadout

SHAPE, CLASSES, EPOCHS, BATCH = (1, 8, 8), 4, 8, 32
TRAIN, VALIDATION, TEST = slice(0, 384), slice(384, 512), slice(512, 1024)
READOUT_STEPS = 200  # the few images here need no more
NETS: tuple[Architecture, ...] = (MLP(width=64, depth=3), TinyCNN(width=8))
SETTINGS = TrainerSettings(learning_rate=0.008)


class Case:
    """An algorithm on a network, trained once for all checks that need it."""

    def __init__(self, algorithm: Algorithm, net: Architecture, settings: TrainerSettings = SETTINGS):
        self.algorithm = algorithm
        self.net = net
        self.settings = settings

    def build(self) -> Learner:
        """Return the learner with fresh weights. Raises ValueError if the method cannot train the network."""
        torch.manual_seed(0)
        return self.algorithm(self.net(SHAPE, CLASSES), CLASSES)

    def accepted(self) -> bool:
        """Whether the method can train the network."""
        try:
            self.build()
        except ValueError:
            return False
        return True

    @cached_property
    def trained(self) -> Learner:
        """A learner trained on learnable labels; copy it before it is changed."""
        return self.train(images()[1])

    def train(self, labels: Tensor, *, epochs: int = EPOCHS, global_seed: int = 0, device: str = "cpu") -> Learner:
        """Train on the first images and fit the inference rules, as a run does."""
        learner, pixels, labels = self.build().to(device), images()[0].to(device), labels.to(device)
        torch.manual_seed(global_seed)  # nothing below may depend on it
        trainer = LocalTrainer(learner, self.settings, seed=5)
        generator = torch.Generator().manual_seed(2)
        steps, order = TRAIN.stop // BATCH, torch.arange(TRAIN.stop)
        for step in range(steps * epochs):
            if step % steps == 0:
                order = torch.randperm(TRAIN.stop, generator=generator)
            chosen = order[step % steps * BATCH :][:BATCH]
            trainer.set_learning_rate(self.settings.learning_rate_at(step, steps, epochs))
            trainer.step(pixels[chosen], labels[chosen], step=step)
        learner.eval()
        for rule in learner.rules.values():
            assert isinstance(rule, InferenceRule)
            for readout in [part for part in rule.modules() if isinstance(part, LinearReadout)]:
                readout.steps = min(readout.steps, READOUT_STEPS)
            parts = (TRAIN, VALIDATION)
            rule.fit(*[lambda part=part: [(ObservedEvidence(learner, pixels[part]), labels[part])] for part in parts])
        return learner.train()

    def __repr__(self) -> str:
        return f"{self.algorithm} on {self.net}"


@cache
def images() -> tuple[Tensor, Tensor]:
    """Return images with values in [0, 1] and their labels."""
    generator = torch.Generator().manual_seed(11)
    cells = torch.randperm(16, generator=generator).view(CLASSES, 4)
    patterns = torch.zeros(CLASSES, 16).scatter(1, cells, 1.0).view(CLASSES, 1, 4, 4)
    patterns = patterns.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    labels = torch.randint(0, CLASSES, (TEST.stop,), generator=generator)
    noise = torch.rand(TEST.stop, *SHAPE, generator=generator)
    return 0.7 * patterns[labels] + 0.3 * noise, labels


def accuracy(learner: Learner, labels: Tensor, rule: str) -> float:
    """Return the share of the test images that a rule gives these labels."""
    predicted = learner.predict(images()[0][TEST], rule=rule).cpu()
    return float((predicted == labels[TEST]).float().mean())


def check_spans(case: Case) -> None:
    """Each objective trains exactly the blocks of its span."""
    learner, (pixels, labels) = case.build(), images()
    learned = {k for k, block in enumerate(learner.blocks) if any(p.requires_grad for p in block.parameters())}
    expected = [[k for k in range(span.first, span.last + 1) if k in learned] for span in learner.spans]
    reached = reached_blocks(learner, pixels[:8], labels[:8])
    assert reached == expected, f"gradients reach the blocks {reached}, but the spans are {expected}"


def check_learning(case: Case) -> None:
    """It learns what can be learned, and every other rule is above chance."""
    learner = case.trained
    accuracies = {rule: accuracy(learner, images()[1], rule) for rule in learner.rules}
    assert accuracies[learner.default_rule] > 0.8, accuracies
    assert min(accuracies.values()) > 0.35, accuracies  # chance is 0.25


def check_chance(case: Case) -> None:
    """It stays at chance on labels that mean nothing."""
    labels = torch.randint(0, CLASSES, (TEST.stop,), generator=torch.Generator().manual_seed(8))
    learner = case.train(labels, epochs=2)
    chance, count = 1 / CLASSES, TEST.stop - TEST.start
    sigma = (chance * (1 - chance) / count) ** 0.5
    accuracies = {rule: accuracy(learner, labels, rule) for rule in learner.rules}
    assert all(abs(value - chance) < 3.5 * sigma for value in accuracies.values()), accuracies


def check_scores(case: Case) -> None:
    """A score for each class, or one of each label that is tried."""
    scores = case.trained.predict_scores(images()[0][TEST])
    assert scores.shape[-1] == CLASSES, f"{scores.shape[-1]} scores for {CLASSES} classes"


def check_seed(case: Case) -> None:
    """The same seed gives the same weights bit for bit, whatever the process drew before."""
    first = case.train(images()[1], epochs=1).state_dict()
    second = case.train(images()[1], epochs=1, global_seed=99).state_dict()
    assert first.keys() == second.keys()
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert not differing, f"these differ between two trainings with one seed: {differing}"


def check_state(case: Case) -> None:
    """A learner that is given another's state gives the same scores."""
    learner, pixels = case.trained, images()[0][TEST]
    torch.manual_seed(1)
    other = case.algorithm(case.net(SHAPE, CLASSES), CLASSES)
    other.load_state_dict({name: value.clone() for name, value in learner.state_dict().items()})
    for rule in learner.rules:
        same = torch.equal(learner.predict_scores(pixels, rule=rule), other.predict_scores(pixels, rule=rule))
        assert same, f"{rule} gives other scores: something it reads is in no parameter and no buffer"


def check_parameters(case: Case) -> None:
    """Every parameter is trained, or fitted by a rule; what stays as it was drawn needs no gradient."""
    learner, (pixels, labels) = case.build(), images()
    reached: set[str] = set()
    trained = {name: parameter for name, parameter in learner.named_parameters() if parameter.requires_grad}
    for name, parameter in trained.items():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: reached.add(name))
    trainer = LocalTrainer(learner, case.settings)
    for step in range(len(learner.turns)):  # where spans alternate, a block may wait for its turn
        trainer.step(pixels[:BATCH], labels[:BATCH], step=step)
    missing = set(trained) - reached
    assert all(name.startswith("rules.") for name in missing), f"no gradient reaches {sorted(missing)}"


def check_prediction(case: Case) -> None:
    """Predicting is repeatable, in training mode too: nothing is dropped."""
    pixels = images()[0][TEST]
    learner = copy.deepcopy(case.trained).train()
    assert torch.equal(learner.predict_scores(pixels), learner.predict_scores(pixels))


def check_side_effects(case: Case) -> None:
    """Predicting changes neither mode nor state."""
    for training in (True, False):
        learner = copy.deepcopy(case.trained).train(training)
        before = copy.deepcopy(learner.state_dict())
        learner.predict(images()[0][TEST])
        assert all(module.training == training for module in learner.modules()), "a prediction changed the mode"
        changed = [name for name, value in learner.state_dict().items() if not torch.equal(value, before[name])]
        assert not changed, f"a prediction changed {changed}"


def check_independence(case: Case) -> None:
    """Scores of an image do not depend on the others of its batch, but for rounding."""
    learner, pixels = case.trained, images()[0][TEST][:20]
    for rule in learner.rules:
        together = learner.predict_scores(pixels, rule=rule)
        in_parts = learner.predict_scores(pixels, rule=rule, batch_size=3)
        torch.testing.assert_close(in_parts, together, rtol=1e-3, atol=1e-3)


CHECKS: tuple[Callable[[Case], None], ...] = (
    check_spans,
    check_parameters,
    check_scores,
    check_learning,
    check_chance,
    check_seed,
    check_state,
    check_prediction,
    check_side_effects,
    check_independence,
)
"""All of them, the quick ones first."""


def check_algorithm(
    algorithm: Algorithm, nets: Sequence[Architecture] = NETS, settings: TrainerSettings = SETTINGS
) -> None:
    """Run all checks on an algorithm, on each of the networks that it can train; seconds for each network.

    `settings` are those of the trainer, with which eight epochs have to be enough to learn.

    Raises AssertionError naming the check, the network and what was found, and ValueError if it can train none of them
    or if Python leaves out assertions.
    """
    if not __debug__:
        raise ValueError("python -O leaves out all checks: run this without -O, and without PYTHONOPTIMIZE")
    cases = [case for case in (Case(algorithm, net, settings) for net in nets) if case.accepted()]
    if not cases:
        raise ValueError(f"{algorithm} can train none of {', '.join(map(str, nets))}: name a network that it can train")
    for case in cases:
        for check in CHECKS:
            try:
                check(case)
            except (AssertionError, RuntimeError, IndexError, TypeError, AttributeError) as error:
                what = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                raise AssertionError(f"{check.__name__}, {case}: {check.__doc__} {what}{error}") from error
