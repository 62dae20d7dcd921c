"""What every algorithm must do, on every kind of network that it accepts; a new entry of ALGORITHMS is tested as is.

Beside the defaults stand settings that change what is trained, or how, on the smallest network that they accept, and
methods on a network that they are made for: with maps, batch norm, groups of channels or no weight sharing.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any

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
from onward.core import Learner, LocalTrainer, TrainerSettings
from onward.core.obstacles import obstacles
from onward.nets import CFSE, MLP, Airbench, Architecture, LocalFields, Net, TinyCNN, Trifecta6
from onward.testing import (
    CHECKS,
    CLASSES,
    NETS,
    SETTINGS,
    TEST,
    Case,
    accuracy,
    check_algorithm,
    check_chance,
    check_learning,
    check_seed,
    images,
)
from onward.training import OnlineLearning

VARIANTS = {
    "CaFo-sparsemax": CaFo(predictor="sparsemax"),
    "CwComp-windows": CwComp(first_end=0.5, last_end=0.8),
    "EarlyExits-of_MonoForward": EarlyExits(of=MonoForward(features=64)),
    "FFGAFSNN-latency": FFGAFSNN(coding="latency"),
    "FFGAFSNN-current": FFGAFSNN(coding="current"),
    "HCLFF-tree": HCLFF(tree="[[0, 1], [2, 3]]"),
    "RecurrentForwardForward-peers": RecurrentForwardForward(peer_weight=10.0, wrong_labels=3),
    "Trifecta-wrong_labels": Trifecta(wrong_labels=3),
}
OWN_NETWORKS: dict[str, tuple[Algorithm, Architecture]] = {
    "CaFo-least_squares": (CaFo(predictor="least_squares"), TinyCNN(width=4)),  # time grows with the width's cube
    "CaFo-feedback-TinyCNN": (CaFo(feedback=True), NETS[1]),
    "CwComp-CFSE": (CwComp(), CFSE(width=1)),
    "CwComp-threshold": (CwComp(objective="threshold"), CFSE(width=1)),
    "CwComp-mixture": (CwComp(objective="mixture"), CFSE(width=1)),
    "CwComp-superclasses": (CwComp(superclasses=2, superclass_layers=2), CFSE(width=1)),
    "EarlyExits-heads-TinyCNN": (EarlyExits(of=MonoForward(features=64), heads="trained"), NETS[1]),
    "RandomFeatures-Airbench": (RandomFeatures(), Airbench(width=8)),
    "Trifecta-Trifecta6": (Trifecta(side=8), Trifecta6(width=8, dropout=0.1)),
    "UnsupervisedForwardForward-LocalFields": (
        UnsupervisedForwardForward(),
        LocalFields(width=32, field=4, stride=2),
    ),
}
METHODS: dict[str, Algorithm] = {**{kind.__name__: kind() for kind in ALGORITHMS}, **VARIANTS}


_case = cache(Case)  # trained once for all checks of a pair


CASES = [
    pytest.param(algorithm, net, id=f"{name}-{type(net).__name__}")
    for name, algorithm in METHODS.items()
    for net in [net for net in NETS if _case(algorithm, net).accepted()][: 1 if name in VARIANTS else None]
] + [pytest.param(*own, id=name) for name, own in OWN_NETWORKS.items()]
NOT_CAPTURED = {  # a batch norm that keeps the mean over all batches divides by their number, which torch reads
    "RandomFeatures-Airbench": [
        f"reads a value on the host ({place}: batchnorm)"
        for place in ("forward in onward/nets/pooled_convolution.py", "run_body in onward/core/block.py")
    ],
}
every_algorithm = pytest.mark.parametrize(("algorithm", "net"), CASES)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("algorithm", METHODS.values(), ids=METHODS)
def test_every_algorithm_accepts_a_network_of_this_test(algorithm: Algorithm):
    assert any(_case(algorithm, net).accepted() for net in NETS), "add a network to NETS that this algorithm can train"


def _checked() -> list[Any]:
    """Every check of every case; those with trainings of their own by default on one network of a method."""
    small = {repr(case.values[0]) for case in CASES if isinstance(case.values[1], MLP)}
    found = []
    for check, case in product(CHECKS, CASES):
        algorithm, net = case.values
        slow = check in (check_chance, check_seed) and not isinstance(net, MLP) and repr(algorithm) in small
        marks = [pytest.mark.slow] if slow else []
        found.append(pytest.param(check, algorithm, net, id=f"{check.__name__}-{case.id}", marks=marks))
    return found


@pytest.mark.parametrize(("check", "algorithm", "net"), _checked())
def test_every_algorithm(
    check: Callable[[Case], None], algorithm: Algorithm, net: Architecture, request: pytest.FixtureRequest
):
    if check in (check_chance, check_learning, check_seed):  # many steps, whose shapes the other checks have checked
        request.getfixturevalue("types_unchecked")
    check(_case(algorithm, net))


def test_a_method_with_a_score_too_many_fails_the_check_of_scores():
    class TooMany(MonoForward):
        def __call__(self, net: Net, num_classes: int) -> Learner:
            return super().__call__(net, num_classes + 1)

    with pytest.raises(AssertionError, match=r"check_scores, .* 5 scores for 4 classes"):
        check_algorithm(TooMany(), nets=[MLP(width=20)])


@every_algorithm
def test_dropout_is_off_in_a_prediction_and_on_in_training(algorithm: Algorithm, net: Architecture):
    if not hasattr(net, "dropout"):
        pytest.skip("a network without dropout")
    learner, pixels = _case(algorithm, net).trained, images()[0][TEST]
    settings: Any = net
    without = Case(algorithm, dataclasses.replace(settings, dropout=0.0)).build()
    without.load_state_dict(learner.state_dict())
    assert torch.equal(without.predict_scores(pixels), learner.predict_scores(pixels))
    assert learner.training and not torch.equal(learner(pixels), learner(pixels))


def _everything(online: OnlineLearning) -> dict[str, Tensor]:
    """Weights, buffers of any kind, optimizer state, the counter and the global random state."""
    found = {
        name: t.detach().clone() for name, t in (*online.learner.named_parameters(), *online.learner.named_buffers())
    }
    for k, optimizer in enumerate(online.trainer.optimizers):
        found |= {f"optimizer.{k}.{name}": value.clone() for name, value in optimizer.state().items()}
    return found | {"step": torch.tensor(online.step), "random": torch.get_rng_state()}


def _same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


def _without_gradients() -> Iterator[Any]:
    """Yield every case with both modes; one of them is slow, in turn."""
    for number, case in enumerate(CASES):
        for mode in (torch.no_grad, torch.inference_mode):
            marks = [pytest.mark.slow] if (mode is torch.no_grad) == bool(number % 2) else []
            yield pytest.param(*case.values, mode, marks=marks, id=f"{case.id}-{mode.__name__}")


@pytest.mark.parametrize(("algorithm", "net", "off"), [*_without_gradients()])
def test_a_step_learns_where_gradients_are_switched_off(algorithm: Algorithm, net: Architecture, off: Callable):
    plain, other = (LocalTrainer(Case(algorithm, net).build(), SETTINGS, seed=5) for _ in range(2))
    for step in range(2):
        plain.step(images()[0][:12], images()[1][:12], step=step)
        with off():  # what is made inside, no graph may hold
            other.step(images()[0][:12].clone(), images()[1][:12].clone(), step=step)
    assert _same(dict(other.learner.state_dict()), dict(plain.learner.state_dict()))


@every_algorithm
def test_nothing_in_a_step_stands_against_a_graph_of_it(
    algorithm: Algorithm, net: Architecture, request: pytest.FixtureRequest
):
    learner = Case(algorithm, net).build()
    trainer, batch = LocalTrainer(learner, SETTINGS, seed=5), (images()[0][:12], images()[1][:12])
    turns = range(len(learner.turns))
    for step in turns:  # optimizer state and constants are there
        trainer.step(*batch, step=step)
    learner.eval().score_blocks(batch[0])  # a step must not count on what it did in Python before a validation
    learner.train()
    for step in turns:
        assert obstacles(partial(trainer.step, *batch, step=step), learner) == NOT_CAPTURED.get(
            request.node.callspec.id, []
        )


@every_algorithm
def test_a_refused_sample_leaves_an_online_learner_untouched(algorithm, net):
    pixels, labels = images()[0][:12], images()[1][:12]
    online, other = (OnlineLearning(Case(algorithm, net).build(), SETTINGS, seed=5) for _ in range(2))
    for learning in (online, other):
        learning.partial_fit(pixels, labels)
    before = _everything(online)
    broken, wrong = pixels.clone(), labels.clone()
    broken[3, 0, 1, 2], wrong[4] = float("nan"), CLASSES
    for x, y, message in (
        (broken, labels, r"images\[3\] holds NaN"),
        (pixels, -labels - 1, r"labels\[\d+\] is -\d: classes are numbered from 0"),
        (pixels, wrong, r"labels\[4\] is 4: classes are numbered 0..3"),
        (pixels, labels + 0.5, "must be integers"),
        (pixels, labels[1:], "give one label each"),
    ):
        with pytest.raises(ValueError, match=message):
            online.partial_fit(x, y)
        assert _same(_everything(online), before)
    for learning in (online, other):
        learning.partial_fit(pixels, labels)
    assert _same(_everything(online), _everything(other))


@every_algorithm
def test_a_step_that_overflows_is_taken_back(algorithm, net):
    if not any(p.requires_grad for block in Case(algorithm, net).build().blocks for p in block.parameters()):
        pytest.skip("nothing is trained by gradients")
    pixels, labels = images()[0][:12], images()[1][:12]
    online = OnlineLearning(Case(algorithm, net).build(), TrainerSettings(optimizer="sgd"), seed=5)
    online.partial_fit(pixels, labels)
    before = _everything(online)
    for part in (part for optimizer in online.trainer.optimizers for part in optimizer.parts):
        for group in part.optimizer.param_groups:
            group["lr"] = float("inf")  # set_learning_rate refuses it
    with pytest.raises(
        ValueError, match="not finite in step 1, so nothing was learned from this batch; lower the lear"
    ):
        online.partial_fit(pixels, labels)
    assert _same(_everything(online), before)


@pytest.mark.gpu
@on_a_gpu
@every_algorithm
def test_a_gpu_learns_what_can_be_learned_and_a_cpu_reads_it_the_same(algorithm: Algorithm, net: Architecture):
    learner, pixels = _case(algorithm, net).train(images()[1], device="cuda"), images()[0][TEST]
    assert accuracy(learner, images()[1], learner.default_rule) > 0.8
    there = {rule: learner.predict(pixels, rule=rule).cpu() for rule in learner.rules}
    learner.cpu()
    for rule, predicted in there.items():
        agreeing = learner.predict(pixels, rule=rule) == predicted
        assert agreeing.float().mean() > 0.98, rule  # but for rounding, where two classes are equally likely
