"""Ranks: the processes of a pipeline, the neighbors of this one, and values that all of them share."""

import json
import os
import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from onward.pipeline.faults import PATIENCE, Watch
from onward.pipeline.links import Inbox, Outbox
from onward.pipeline.message import MessagePrecision
from onward.pipeline.replicas import Peers

_FOREVER = timedelta(days=30)  # a neighbor may be slow; the watch finds out whether it is alive

_POLL = 0.02  # seconds


class Ranks:
    """This process among `stages` stages of `replicas` processes each; rank = stage * replicas + replica.

    Replica j of a stage sends to replica j of the next stage. All replicas of a stage form a group.
    """

    def __init__(self, rank: int, world: int, store: Any, leave: Any, *, patience: float = PATIENCE):
        self.rank, self.world, self.store = rank, world, store
        self.stages, self.replicas = world, 1
        self.watch = Watch(store.clone(), rank, world, f"rank {rank}", leave, patience=patience)
        self.watch.start()
        self.inbox: Inbox | None = None
        self.outbox: Outbox | None = None
        self.peers: Any = None

    @property
    def stage(self) -> int:
        return self.rank // self.replicas

    @property
    def replica(self) -> int:
        return self.rank % self.replicas

    @property
    def first(self) -> bool:
        """Whether this stage loads the data."""
        return self.stage == 0

    @property
    def last(self) -> bool:
        """Whether this is the last stage."""
        return self.stage == self.stages - 1

    @property
    def writes(self) -> bool:
        """Whether this rank collects the results of all and writes the files."""
        return self.last and self.replica == 0

    def publish(self, key: str, value: Any) -> None:
        """Publish a value to all ranks."""
        self.store.set(key, json.dumps(value))

    def wait_for(self, key: str) -> Any:
        """Wait until a rank has published a key; return the value. Raises PipelineFault if a rank fails meanwhile."""
        with self.watch.work.waiting("word"):
            while not self.store.check([key]):
                self.watch.check()
                time.sleep(_POLL)
            return json.loads(self.store.get(key))

    def check_same(self, fingerprint: dict[str, Any]) -> None:
        """Raise ValueError naming the first rank whose fingerprint differs from that of rank 0, and in what."""
        self.publish(f"card/{self.rank}", fingerprint)
        first = self.wait_for("card/0")
        for rank in range(1, self.world):
            other = self.wait_for(f"card/{rank}")
            for name, value in first.items():
                if other.get(name) != value:
                    raise ValueError(
                        f"rank {rank} has another {name} than rank 0: {_short(other.get(name))}, not {_short(value)}; "
                        "every process must run the same code on the same data"
                    )

    def link(self, stages: int, replicas: int, device: torch.device, wire: MessagePrecision) -> None:
        """Connect to the neighbors. Raises ValueError unless there is a process for each stage and replica."""
        if stages * replicas != self.world:
            raise ValueError(
                f"{stages} stages of {replicas} replicas need {stages * replicas} processes, but {self.world} run; "
                f"start torchrun with --nproc-per-node {stages * replicas}"
            )
        self.stages, self.replicas = stages, replicas
        dist.init_process_group("gloo", store=self.store, rank=self.rank, world_size=self.world, timeout=_FOREVER)
        groups = {}
        for sender in range(self.world - replicas):  # all processes must create all groups in the same order
            groups[sender] = dist.new_group([sender, sender + replicas], backend="gloo", timeout=_FOREVER)
        for stage in range(stages if replicas > 1 else 0):
            members = list(range(stage * replicas, (stage + 1) * replicas))
            peers = dist.new_group(members, backend="gloo", timeout=_FOREVER)
            self.peers = Peers(peers, self.watch.work) if stage == self.stage else self.peers
        if not self.last:
            self.outbox = Outbox(self.rank + replicas, groups[self.rank], self.watch, wire=wire)
        if not self.first:
            self.inbox = Inbox(self.rank - replicas, groups[self.rank - replicas], self.watch, device)

    def end(self) -> None:
        """Shut down after all messages are delivered."""
        self.watch.end()
        if dist.is_initialized():
            dist.destroy_process_group()


def join(leave: Any, *, patience: float = PATIENCE) -> Ranks:
    """Join the processes that torchrun started. Raises ValueError if it did not start this one.

    A rank that makes no progress for `patience` seconds counts as hung.
    """
    if not patience > 0:
        raise ValueError(f"--patience must be positive, got {patience}")
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        raise ValueError(
            "a pipeline needs several processes; start it with torchrun --nproc-per-node 2 -m onward train RECIPE "
            "--pipeline"
        )
    store, rank, world = next(rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # keys of an earlier attempt do not count
    return Ranks(rank, world, PrefixStore(f"attempt-{attempt}", store), leave, patience=patience)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}"
