"""Links: messages to the next stage and from the one before, sent and received while the stage computes."""

import json
import queue
import threading
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from onward.pipeline.faults import PipelineFault, Watch
from onward.pipeline.message import Message, MessagePrecision, pack, room_for, size, unpack

_POLL = 0.2  # seconds between checks whether the others are alive
_NOTES = torch.uint8


class Outbox:
    """Sends messages to one rank. One is on its way and one may wait; `put` blocks for a third: back-pressure."""

    def __init__(self, rank: int, group: Any, watch: Watch, *, wire: MessagePrecision = "exact"):
        self.rank, self.group, self.watch = rank, group, watch
        self.wire: MessagePrecision = wire
        self.sent_bytes = 0
        self._waiting: queue.Queue[tuple[Tensor, list[Tensor]] | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Queue a message for sending. Raises PipelineFault if that is impossible."""
        described, memory = pack(message, self.wire)
        head = torch.frombuffer(bytearray(json.dumps(described).encode()), dtype=_NOTES)
        self.sent_bytes += size(memory)
        self._put((head, memory))

    def close(self) -> None:
        """Wait until all is sent."""
        self._put(None)
        with self.watch.work.waiting(f"room {self.rank}"):
            while self._thread.is_alive():
                self._thread.join(_POLL)
                self.watch.check()

    def _put(self, item: tuple[Tensor, list[Tensor]] | None) -> None:
        with self.watch.work.waiting(f"room {self.rank}"):
            while True:
                self.watch.check()
                try:
                    return self._waiting.put(item, timeout=_POLL)
                except queue.Full:
                    continue

    def _run(self) -> None:
        try:
            while (item := self._waiting.get()) is not None:
                head, memory = item
                del item
                for tensor in (torch.tensor([head.numel()]), head, *(piece for piece in memory if piece.numel())):
                    dist.send(tensor, self.rank, group=self.group)
                del memory, tensor
        except Exception as error:  # noqa: BLE001 (a lost peer raises RuntimeError, or worse)
            self.watch.report(_gone(self.rank, "nothing can be sent to it from", self.watch.rank, error))


class Inbox:
    """Receives messages from one rank: while one is processed, the next is ready and another is being received."""

    def __init__(self, rank: int, group: Any, watch: Watch, device: torch.device):
        self.rank, self.group, self.watch, self.device = rank, group, watch, device
        self._arrived: queue.Queue[tuple[dict[str, Any], list[Tensor]]] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def get(self, *kinds: str) -> Message:
        """Wait for the next message, which must be one of `kinds`. Raises PipelineFault if none can come."""
        described, memory = self._next()
        message = unpack(described, memory, self.device)
        assert message.kind in kinds, f"rank {self.rank} sent a {message.kind}, expected {kinds}"
        return message

    def _next(self) -> tuple[dict[str, Any], list[Tensor]]:
        with self.watch.work.waiting(f"input {self.rank}"):
            while True:
                self.watch.check()
                try:
                    return self._arrived.get(timeout=_POLL)
                except queue.Empty:
                    continue

    def _run(self) -> None:
        try:
            kind = ""
            while kind != "end":
                length = torch.empty(1, dtype=torch.int64)
                dist.recv(length, self.rank, group=self.group)
                head = torch.empty(int(length), dtype=_NOTES)
                dist.recv(head, self.rank, group=self.group)
                described = json.loads(head.numpy().tobytes())
                memory = room_for(described)
                for piece in memory:
                    if piece.numel():
                        dist.recv(piece, self.rank, group=self.group)
                kind = described["kind"]
                self._arrived.put((described, memory))
                del memory
        except Exception as error:  # noqa: BLE001 (a lost peer raises RuntimeError, or worse)
            self.watch.report(_gone(self.rank, "nothing comes from it to", self.watch.rank, error))


def _gone(lost: int, what: str, own: int, error: Exception) -> str:
    """Return which rank is gone, as far as this one can tell: it may be alive behind a cut connection."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return f"rank {lost} is gone or its connection is cut: {what} rank {own} ({reason})"


__all__ = ["Inbox", "Outbox", "PipelineFault"]
