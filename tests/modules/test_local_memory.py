"""What a step holds: the activations of one block, whatever the depth; and a copy is a copy."""

import copy

import pytest
import torch
from kinds import ViT, Writer, counting, images
from torch import nn

from onward.algorithms import Backprop, MonoForward, PredSim
from onward.measure.memory import SavedBytes
from onward.modules import cuts, local


def held(model: nn.Module, batch, algorithm, task=None) -> int:
    trained = local(model, batch, algorithm, task=task)
    with SavedBytes(model.parameters()) as saved:
        trained.step(batch)
    return saved.peak


@pytest.mark.parametrize("algorithm", [MonoForward(), PredSim()], ids=lambda a: type(a).__name__)
def test_a_step_of_eight_blocks_holds_a_fifth_of_what_backprop_does(algorithm):
    for make, batch, task in ((ViT, images(), None), (Writer, counting(), "next_token")):
        torch.manual_seed(0)
        exact = held(make(64, 8), batch, Backprop(of=MonoForward()), task)
        assert 0 < held(make(64, 8), batch, algorithm, task) < 0.2 * exact


def test_a_copy_trains_by_itself_and_alike():
    torch.manual_seed(0)
    first = local(ViT(), images(), PredSim())
    first.step(images())
    second = copy.deepcopy(first)
    before = second.model.get_parameter("head.weight").clone()
    one = first.step(images())
    assert torch.equal(before, second.model.get_parameter("head.weight"))
    assert torch.equal(one, second.step(images()))
    assert torch.equal(first.model.get_parameter("head.weight"), second.model.get_parameter("head.weight"))


def test_a_map_that_is_flattened_is_read_as_a_map():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    )
    assert [(spot.name, spot.layout) for spot in cuts(model, images()[0])] == [
        ("1", "map"),
        ("3", "map"),
        ("6", "vector"),
    ]
