"""What each algorithm fills the slots with, and which networks it refuses."""

from dataclasses import dataclass, fields, is_dataclass
from inspect import getsource
from typing import Any, Literal, get_origin

import pytest
import torch
from torch import nn

from onward.algorithms import ALGORITHMS, Algorithm, Backprop, CwComp, DeeperForward, ForwardForward
from onward.core import Learner, Span, Target
from onward.nets import MLP, Architecture, TinyCNN
from onward.nets.net import Net

SHAPE = (1, 8, 8)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_are_frozen_settings_with_defaults_and_a_docstring(algorithm: type[Algorithm]):
    assert is_dataclass(algorithm)
    assert algorithm.__doc__ and not algorithm.__doc__.startswith(f"{algorithm.__name__}(")
    instance = algorithm()
    assert hash(instance) == hash(algorithm())
    for field in fields(algorithm):
        with pytest.raises(AttributeError):
            setattr(instance, field.name, None)


def test_70_channels_cannot_speak_for_100_classes():
    with pytest.raises(ValueError, match=r"70 channels .* 100 equal class groups; the nearest widths are 100$"):
        DeeperForward()(MLP(width=70, depth=2)(SHAPE, 100), 100)


@pytest.mark.parametrize(("num_classes", "depth"), [(1, 3), (4, 1)])
def test_forward_forward_needs_two_classes_and_two_layers(num_classes: int, depth: int):
    with pytest.raises(ValueError, match=f"at least 2 classes and 2 layers, got {num_classes} and {depth}"):
        ForwardForward()(MLP(width=8, depth=depth)(SHAPE, num_classes), num_classes)


@pytest.mark.parametrize("of", [DeeperForward(), ForwardForward()])
@pytest.mark.parametrize("net", [MLP(width=8, depth=3), TinyCNN(width=4)])
def test_backprop_trains_the_same_bodies_and_handoffs_from_the_same_weights(of: Algorithm, net: Architecture):
    torch.manual_seed(3)
    local = of(net(SHAPE, 4), 4)
    torch.manual_seed(3)
    control = Backprop(of=of)(net(SHAPE, 4), 4)
    x = torch.rand(2, *SHAPE)
    local.eval()
    control.eval()
    for (_, left, _), (_, right, _) in zip(local.run_blocks((x,)), control.run_blocks((x,)), strict=True):
        assert torch.equal(left, right)


def test_backprop_has_one_objective_at_the_end_of_one_span():
    learner = Backprop()(TinyCNN(width=4)(SHAPE, 4), 4)
    assert learner.spans == (Span(0, 3),)
    assert [block.objective is not None for block in learner.blocks] == [False, False, False, True]


@pytest.mark.parametrize("net", [MLP(width=8, depth=3), TinyCNN(width=4)])
def test_deeper_forward_hands_on_what_carries_no_goodness(net: Architecture):
    learner = DeeperForward()(net(SHAPE, 4), 4).eval()
    for block, activity, stream in learner.run_blocks((torch.rand(5, *SHAPE),)):
        assert block.goodness is not None
        assert block.goodness(activity).abs().max() > 1e-3
        assert block.goodness(stream[0]).abs().max() < 1e-5


@pytest.mark.parametrize("temperature", [1.0, 0.03])
def test_deeper_forward_divides_goodness_by_its_temperature_before_the_softmax(temperature: float):
    learner, x = DeeperForward(temperature=temperature)(MLP(width=8, depth=2)(SHAPE, 4), 4), torch.rand(5, *SHAPE)
    label = torch.tensor([0, 1, 2, 3, 0])
    for block, activity, _ in learner.run_blocks((learner.prepare(x),)):
        scores = activity.unflatten(1, (4, 2)).mean(dim=2) / temperature
        naive = torch.stack([(s.exp().sum() / s[k].exp()).log() for s, k in zip(scores, label, strict=True)]).mean()
        torch.testing.assert_close(block.loss(activity, Target(label)), naive)


def test_deeper_forward_does_not_see_the_brightness_or_contrast_of_an_image():
    learner = DeeperForward()(MLP(width=8, depth=2)(SHAPE, 4), 4)
    x = torch.rand(5, *SHAPE)
    torch.testing.assert_close(learner.predict_scores(3 * x + 2), learner.predict_scores(x), rtol=1e-3, atol=1e-4)


def test_forward_forward_hands_on_unit_length():
    learner = ForwardForward()(MLP(width=8, depth=3)(SHAPE, 4), 4)
    for _, _, stream in learner.run_blocks((torch.rand(5, *SHAPE),)):
        torch.testing.assert_close(stream[0].square().mean(dim=1), torch.ones(5), rtol=1e-3, atol=0.0)


def test_forward_forward_uses_its_threshold():
    blocks = ForwardForward(threshold=5.0)(MLP(width=8, depth=2)(SHAPE, 4), 4).blocks
    target = Target(torch.tensor([0]), torch.tensor([1]))
    for block in blocks:
        assert block.objective is not None
        at_threshold = block.objective(torch.tensor([5.0]), target)
        torch.testing.assert_close(at_threshold, torch.tensor([2.0]).log())


def test_forward_forward_starts_with_a_normalized_input():
    body = ForwardForward()(MLP(width=8, depth=2)(SHAPE, 4), 4).blocks[0].body
    assert isinstance(body, nn.Sequential)
    x = torch.rand(2, *SHAPE)
    torch.testing.assert_close(body(5 * x), body(x))


@dataclass(frozen=True)
class _Toy(Algorithm):
    name: Literal["a", "b"] = "a"
    number: Literal[1, 2] = 1

    def __call__(self, net: Net, num_classes: int) -> Learner:
        raise NotImplementedError


@pytest.mark.parametrize(("field", "value", "known"), [("name", "c", "a, b, got 'c'"), ("number", 3, "1, 2, got 3")])
def test_a_choice_that_does_not_exist_is_refused(field: str, value: Any, known: str):
    with pytest.raises(ValueError, match=f"{field} of _Toy must be one of {known}"):
        _Toy(**{field: value})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_with_checks_of_their_own_do_not_forget_those_of_choices(algorithm: type[Algorithm]):
    choices = [get_origin(field.type) is Literal for field in fields(algorithm)]  # pyright: ignore[reportArgumentType]
    assert not any(choices) or "super().__post_init__" in getsource(algorithm) or "__post_init__" not in vars(algorithm)


@pytest.mark.parametrize("objective", ["threshold", "mixture"])
def test_objectives_that_compare_a_class_with_the_others_know_no_superclasses(
    objective: Literal["threshold", "mixture"],
):
    with pytest.raises(ValueError, match=f"objective {objective} does not use superclasses: choose competition"):
        CwComp(objective=objective, superclasses=2)
