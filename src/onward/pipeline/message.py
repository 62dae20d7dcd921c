"""Messages: tensors and plain notes, as flat buffers that arrive with the same bits and strides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

MessagePrecision = Literal["exact", "bf16"]
"""exact: every bit of the stream arrives; bf16: streams are rounded to half their bytes."""

_DTYPES = {str(dtype): dtype for dtype in (
    torch.float64, torch.float32, torch.bfloat16, torch.float16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)}  # fmt: skip


@dataclass
class Message:
    """A message between stages: a stream, further tensors that are always exact, and notes as JSON values."""

    kind: str
    stream: list[Tensor] = field(default_factory=list)
    exact: list[Tensor] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


def pack(message: Message, wire: MessagePrecision = "exact") -> tuple[dict[str, Any], list[Tensor]]:
    """Return a description of a message, and its memory: contiguous bytes on the CPU, a buffer per tensor.

    A tensor that occurs twice in a stream, such as a skip connection that has just begun, is sent once.
    """
    described, memory, known = [], [], {}
    for tensor in (*message.stream, *message.exact):
        identity = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.device)
        if tensor.numel() and identity in known:
            described.append({"same": known[identity]})
            continue
        known[identity] = len(described)
        tensor = tensor.detach()
        tensor = tensor if _dense(tensor) else tensor.contiguous()
        flat = tensor.as_strided((tensor.numel(),), (1,)).cpu()
        narrow = wire == "bf16" and len(described) < len(message.stream) and flat.dtype == torch.float32
        described.append(
            {
                "dtype": str(tensor.dtype),
                "shape": list(tensor.shape),
                "stride": list(tensor.stride()),
                "wire": "torch.bfloat16" if narrow else str(tensor.dtype),
            }
        )
        memory.append((flat.bfloat16() if narrow else flat).view(torch.uint8))
    described = {"kind": message.kind, "notes": message.notes, "stream": len(message.stream), "tensors": described}
    return described, memory


def room_for(described: dict[str, Any]) -> list[Tensor]:
    """Return empty buffers for a message that `pack` described."""
    rows = [row for row in described["tensors"] if "same" not in row]
    return [torch.empty(_numel(row) * _DTYPES[row["wire"]].itemsize, dtype=torch.uint8) for row in rows]


def unpack(described: dict[str, Any], memory: Sequence[Tensor], device: torch.device) -> Message:
    """Return the message on `device`, every tensor with its own strides."""
    tensors: list[Tensor] = []
    pieces = iter(memory)
    for row in described["tensors"]:
        if "same" in row:
            tensors.append(tensors[row["same"]])
            continue
        flat = next(pieces).view(_DTYPES[row["wire"]]).to(device).to(_DTYPES[row["dtype"]])
        tensors.append(flat.as_strided(row["shape"], row["stride"]))
    count = described["stream"]
    return Message(described["kind"], tensors[:count], tensors[count:], described["notes"])


def size(memory: Sequence[Tensor]) -> int:
    """Return the bytes of a message's memory."""
    return sum(piece.numel() for piece in memory)


def _numel(row: dict[str, Any]) -> int:
    count = 1
    for length in row["shape"]:
        count *= length
    return count


def _dense(tensor: Tensor) -> bool:
    """Whether a tensor's elements fill a block of memory without gaps or overlap, in any order."""
    expected = 1
    for stride, length in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if length == 1:
            continue
        if stride != expected:
            return False
        expected *= length
    return True
