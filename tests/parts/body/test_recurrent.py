"""Layers that look down and up: against a loop over times, layers and units, and what a layer's loss can reach."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from onward.algorithms import Backprop, RecurrentForwardForward
from onward.core import Learner, LocalTrainer, TrainerSettings, each
from onward.nets import MLP, TinyCNN
from onward.parts.body.recurrent import LabelOnTop, RecurrentLayer
from onward.pipeline.placement import possible_cuts

SHAPE, CLASSES = (1, 2, 3), 3


def _learner(**settings) -> Learner:
    torch.manual_seed(0)
    return RecurrentForwardForward(**settings)(MLP(width=4, depth=3)(SHAPE, CLASSES), CLASSES)


def _unit(vector: list[float]) -> list[float]:
    scale = math.sqrt(sum(v * v for v in vector) / len(vector) + 1e-8)
    return [v / scale for v in vector]


def _times(matrix: Tensor, vector: list[float]) -> list[float]:
    return [sum(float(w) * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def _states_by_hand(
    layers: list[RecurrentLayer], pixels: list[float], label: int, last: int
) -> list[list[list[float]]]:
    """The states of every layer at times 0 to `last`."""
    top = _unit([float(c == label) for c in range(CLASSES)])
    states, below = [], _unit(pixels)
    for layer in layers:
        raw = _times(layer.below.weight, below)
        states.append([max(0.0, a + float(b)) for a, b in zip(raw, layer.below.bias, strict=True)])
        below = _unit(states[-1])
    found = [states]
    for _ in range(last):
        before, now = found[-1], []
        for k, layer in enumerate(layers):
            down = _unit(before[k - 1]) if k else _unit(pixels)
            up = _unit(before[k + 1]) if k + 1 < len(layers) else top
            sums = zip(_times(layer.below.weight, down), _times(layer.above.weight, up), layer.below.bias, strict=True)
            new = [max(0.0, a + b + float(c)) for a, b, c in sums]
            now.append([0.3 * old + 0.7 * fresh for old, fresh in zip(before[k], new, strict=True)])
        found.append(now)
    return found


def test_states_and_goodness_equal_a_loop():
    learner = _learner().double().requires_grad_(False)
    layers = [block.body for block in learner.blocks[1:]]
    images = torch.rand(2, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        stream = LabelOnTop(CLASSES).write(images, torch.tensor([2, 0]))
        walked = [activity for _, activity, _ in learner.run_blocks((stream,))][1:]
    for b, label in enumerate([2, 0]):
        expected = _states_by_hand(layers, images[b].flatten().tolist(), label, 5)  # pyright: ignore
        for k, activity in enumerate(walked):
            by_hand = torch.tensor([expected[time][k] for time in (3, 4, 5)], dtype=torch.float64)
            torch.testing.assert_close(activity[b], by_hand)
    scores = learner.score_blocks(images)
    expected = _states_by_hand(layers, images[0].flatten().tolist(), 1, 5)  # pyright: ignore
    mean_square = sum(v * v for time in (3, 4, 5) for v in expected[time][1]) / 12
    assert float(scores[1, 0, 1]) == pytest.approx(mean_square, rel=1e-5)


def test_a_layers_gradient_is_right():
    torch.manual_seed(0)
    layer = RecurrentLayer(nn.Linear(3, 4), 2, damping=0.3).double()
    seen = torch.rand(2, 3, 9, dtype=torch.float64)

    def states(below: Tensor, above: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"below.weight": below, "above.weight": above}, seen)

    assert torch.autograd.gradcheck(states, (layer.below.weight, layer.above.weight))


def test_one_span_over_all_layers_trains_them_as_spans_of_their_own_would():
    """Nothing of a layer's loss reaches another layer, and none sees what another has just learned."""
    together, apart = _learner(), _learner()
    apart.turns = (tuple(span for span in each(len(apart.blocks)) if span.first > 0),)
    images, labels = torch.rand(6, *SHAPE), torch.arange(6) % CLASSES
    losses = []
    for learner in (together, apart):
        trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.1, optimizer="sgd"))
        losses.append([float(trainer.step(images, labels, step=step).sum()) for step in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, value in together.state_dict().items():
        torch.testing.assert_close(value, apart.state_dict()[name])
    assert losses[0][0] != losses[0][2]


def test_what_layers_see_has_no_graph():
    learner = _learner()
    stream = learner.blocks[0](LabelOnTop(CLASSES).write(torch.rand(2, *SHAPE), torch.tensor([0, 1])))[1]
    assert len(stream) == 3 and not any(tensor.requires_grad for tensor in stream)


def test_peer_normalization_takes_times_as_samples():
    learner, images, labels = _learner(peer_weight=2.0), torch.rand(4, *SHAPE), torch.arange(4) % CLASSES
    stream, target = learner.supervision.train_view(images, labels, torch.Generator().manual_seed(0))
    seen = learner.blocks[0](*stream)[1]
    block = learner.blocks[1]
    assert block.auxiliary is not None and block.auxiliary.couples_samples
    activity = block.body(seen[0]).detach()
    found = block.auxiliary(activity, target)
    for unit in range(4):
        newest = [sum(float(activity[b, t, k]) for b in range(4) for t in range(3)) / 12 for k in range(4)]  # real ones
        mean = [0.9 * 0.5 + 0.1 * value for value in newest]
        assert float(found[unit]) == pytest.approx(2 * (mean[unit] - sum(mean) / 4) ** 2, rel=1e-4)
    assert _learner().blocks[1].auxiliary is None


def test_a_copy_settles_with_its_own_layers():
    learner = _learner()
    other = copy.deepcopy(learner)
    with torch.no_grad():
        for parameter in other.blocks[1].parameters():
            parameter.zero_()
    images = torch.rand(2, *SHAPE)
    assert not torch.equal(learner.score_blocks(images)[2], other.score_blocks(images)[2])
    assert not [name for name in learner.state_dict() if name.startswith("blocks.0")]


def test_no_pipeline_may_cut_it():
    learner = _learner()
    assert not possible_cuts(learner.turns, len(learner.blocks))


def test_the_label_is_behind_the_pixels_and_a_neutral_view_has_none():
    x = torch.rand(2, *SHAPE)
    views = LabelOnTop(CLASSES)
    assert torch.equal(views.write(x, torch.tensor([1, 2])), torch.cat([x.flatten(1), torch.eye(3)[[1, 2]]], dim=1))
    torch.testing.assert_close(views.neutral_view(x)[0][:, 6:], torch.full((2, 3), 1 / 3))


def test_the_control_is_an_ordinary_network():
    control = Backprop(of=RecurrentForwardForward())(MLP(width=8, depth=2)(SHAPE, CLASSES), CLASSES)
    images, labels = torch.rand(6, *SHAPE), torch.arange(6) % CLASSES
    trainer = LocalTrainer(control, TrainerSettings(learning_rate=0.05))
    losses = [float(trainer.step(images, labels, step=step)) for step in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="a network of linear layers"):
        RecurrentForwardForward()(TinyCNN(width=4)(SHAPE, CLASSES), CLASSES)
    with pytest.raises(ValueError, match="first must not be later than last, got first 6 and last 5"):
        RecurrentForwardForward(first=6)
    with pytest.raises(ValueError, match="damping of RecurrentForwardForward must be"):
        RecurrentForwardForward(damping=1.0)
