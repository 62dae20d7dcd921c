"""Layer collaboration: which blocks train on whose objective, and which send a gradient."""

import pytest
import torch
from torch import nn

from onward.core import Span
from onward.parts.body.collaboration import collaborate, scored, with_feedback
from onward.parts.body.feedback import RandomFeedback


@pytest.mark.parametrize(
    ("how", "turns", "ends", "senders"),
    [
        ("none", [[(0, 0), (1, 1), (2, 2)]], {0, 1, 2}, None),
        ("alternating", [[(0, 1)], [(0, 0), (1, 2)]], {0, 1, 2}, {1, 2}),
        ("sliding", [[(0, 1), (1, 2)]], {1, 2}, {1, 2}),
        ("disjoint", [[(0, 1), (2, 2)]], {1, 2}, {1}),
    ],
)
def test_three_blocks(how, turns, ends, senders):
    found = collaborate(how, 3)
    assert [list(turn) for turn in found] == [[Span(*span) for span in turn] for turn in turns]
    assert scored(found) == ends
    bodies = [nn.Sequential(nn.Linear(2, 2)) for _ in range(3)]
    if senders is None:
        with pytest.raises(ValueError, match="choose a collaboration other than none"):
            with_feedback(bodies, found)
    else:
        changed = with_feedback(bodies, found)
        assert {k for k, body in enumerate(changed) if isinstance(body.get_submodule("0"), RandomFeedback)} == senders


@pytest.mark.parametrize("how", ["alternating", "sliding"])
def test_a_single_block_has_no_neighbor(how):
    with pytest.raises(ValueError, match="at least 2 blocks, got 1"):
        collaborate(how, 1)


def test_a_single_block_is_a_chunk():
    assert collaborate("disjoint", 1) == ((Span(0, 0),),)


def test_feedback_is_drawn_from_the_global_generator():
    def draw() -> torch.Tensor:
        torch.manual_seed(4)
        bodies = [nn.Linear(3, 3), nn.Linear(3, 3)]
        return with_feedback(bodies, collaborate("sliding", 2))[1].get_buffer("feedback")

    assert torch.equal(draw(), draw())


def test_a_sender_without_a_known_layer_is_refused():
    turns = collaborate("sliding", 3)
    with pytest.raises(
        ValueError, match="block 2 has no linear or convolutional layer to send random feedback through"
    ):
        with_feedback([nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU()], turns)
