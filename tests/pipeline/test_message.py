"""Messages arrive with the same bits and the same strides, and what stands in a stream twice is sent once."""

import json

import pytest
import torch

from onward.pipeline import Message, MessagePrecision
from onward.pipeline.message import pack, room_for, size, unpack


def _sent(message: Message, wire: MessagePrecision = "exact") -> Message:
    """Pack, write the description as text, copy the memory, unpack."""
    described, memory = pack(message, wire)
    described = json.loads(json.dumps(described))
    room = room_for(described)
    for there, here in zip(room, memory, strict=True):
        assert here.is_contiguous() and here.dtype == torch.uint8
        there.copy_(here)
    return unpack(described, room, torch.device("cpu"))


_TENSORS = [
    torch.randn(2, 3, 4, 5),
    torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    torch.randn(2, 1, 4, 4).to(memory_format=torch.channels_last),
    torch.randn(4, 6).bfloat16(),
    torch.randn(6, 4).T,
    torch.randn(8, 4)[::2],
    torch.randn(8, 4)[3:5],
    torch.randn(3, 1).expand(3, 4),
    torch.arange(5),
    torch.tensor(True),
    torch.zeros(0, 3),
    torch.randn(2, 3, dtype=torch.float64),
]


@pytest.mark.parametrize("tensor", _TENSORS, ids=lambda t: f"{t.dtype}-{tuple(t.shape)}-{t.stride()}")
def test_bits_type_and_layout_arrive(tensor: torch.Tensor):
    (arrived,) = _sent(Message("step", [tensor])).stream
    assert arrived.dtype == tensor.dtype and torch.equal(arrived, tensor)
    if tensor.is_contiguous() or tensor.is_contiguous(
        memory_format=torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    ):
        assert arrived.stride() == tensor.stride()


def test_a_skip_connection_that_has_just_begun_is_sent_once():
    x = torch.randn(2, 3, 4, 4)
    _, memory = pack(Message("step", [x, x.detach(), x[:1]]))
    assert [piece.numel() for piece in memory] == [x.nbytes, x.nbytes // 2]
    arrived = _sent(Message("step", [x, x.detach(), x[:1]])).stream
    assert torch.equal(arrived[1], x) and torch.equal(arrived[2], x[:1])


def test_bf16_halves_the_stream_and_nothing_else():
    x, y = torch.randn(8, 8), torch.randn(8, 8)
    exact, rounded = (pack(Message("step", [x], [y]), wire)[1] for wire in ("exact", "bf16"))
    assert size(exact) == 2 * x.nbytes and size(rounded) == x.nbytes * 3 // 2
    arrived = _sent(Message("step", [x], [y]), "bf16")
    assert torch.equal(arrived.stream[0], x.bfloat16().float()) and torch.equal(arrived.exact[0], y)


def test_notes_and_kinds_arrive():
    message = _sent(Message("epoch", notes={"losses": [[0, 0.1], [3, 1e-300]], "signal": None}))
    assert message.kind == "epoch" and message.notes == {"losses": [[0, 0.1], [3, 1e-300]], "signal": None}
