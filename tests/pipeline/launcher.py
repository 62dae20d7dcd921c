"""Starts the processes of a pipeline quickly: one process imports everything once, and each rank is a fork of it.

What torchrun would do is done by a process per launch: it holds the rendezvous, gives every rank its environment, waits
for all of them, and starts them again if asked to.
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from onward.pipeline.run import Pipelining
from onward.recipes import Recipe
from onward.runs.codec import decode, encode


class Launch:
    """A pipeline that runs: its processes, what they wrote, and how they ended."""

    def __init__(self, folder: Path, world: int):
        self.folder, self.world = folder, world

    def pid(self, rank: int, attempt: int = 0) -> int:
        path = self.folder / f"pid-{attempt}-{rank}"
        _await(path.exists)
        return int(path.read_text())

    def codes(self, attempt: int = 0, *, timeout: float = 120.0) -> list[int]:
        """Wait for all ranks; return their exit codes, negative if a signal ended them."""
        path = self.folder / f"codes-{attempt}.json"
        _await(path.exists, timeout)
        return json.loads(path.read_text())

    def said(self, rank: int, attempt: int = 0) -> str:
        return (self.folder / f"said-{attempt}-{rank}").read_text()

    def succeeds(self) -> "Launch":
        codes = self.codes()
        assert codes == [0] * self.world, "\n".join(self.said(rank) for rank in range(self.world))
        return self


class Launcher:
    """Forks ranks off a process that has imported onward."""

    def __init__(self, folder: Path):
        self.folder, self.numbers = folder, count()
        command = [sys.executable, __file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)

    def start(
        self,
        recipe: Recipe | None,
        place: dict[str, Any],
        world: int,
        *,
        how: Pipelining | None = None,
        resume: Path | None = None,
        restarts: int = 0,
        environment: dict[str, dict[str, str]] | None = None,
    ) -> Launch:
        """Start `world` ranks of `train_pipelined`; `environment` is what some ranks, by number, get on top."""
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        order = {
            "folder": str(folder),
            "world": world,
            "recipe": encode(recipe),
            "place": {name: str(value) if isinstance(value, Path) else value for name, value in place.items()},
            "how": asdict(how or Pipelining(balance="flops")),
            "resume": None if resume is None else str(resume),
            "restarts": restarts,
            "environment": environment or {},
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Launch(folder, world)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def alive(pid: int) -> bool:
    """Whether a process has not ended yet."""
    return state(pid) != "Z"


def state(pid: int) -> str:
    """Return Linux's letter for what a process does; Z if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _await(condition, timeout: float = 120.0) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, "timed out"
        time.sleep(0.01)


def _serve() -> None:
    for line in sys.stdin:
        if os.fork() == 0:
            _supervise(json.loads(line))
            os._exit(0)


def _supervise(order: dict[str, Any]) -> None:
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

    folder = Path(order["folder"])
    enter_host(order["environment"].get("0", {}))
    for attempt in range(order["restarts"] + 1):
        # Before the rendezvous has its thread: a fork of a process with threads may inherit a lock that nobody opens.
        pids = [_fork(order, rank, attempt) for rank in range(order["world"])]
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        _write(folder / f"port-{attempt}", str(store.port))
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        del store
        _write(folder / f"codes-{attempt}.json", json.dumps(codes))
        if not any(codes):
            break


def _fork(order: dict[str, Any], rank: int, attempt: int) -> int:
    pid = os.fork()
    if pid:
        _write(Path(order["folder"]) / f"pid-{attempt}-{rank}", str(pid))
        return pid
    port = Path(order["folder"]) / f"port-{attempt}"
    _await(port.exists)
    said = os.open(Path(order["folder"]) / f"said-{attempt}-{rank}", os.O_CREAT | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port.read_text(),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(order["world"]),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": str(attempt),
        **order["environment"].get(str(rank), {}),
    }
    os._exit(_rank(order))


def _rank(order: dict[str, Any]) -> int:
    import faults_made  # what a test may do to a rank
    import notes_taken
    import task_sets  # noqa: F401 (data sets that it registers)
    import torch

    from onward.pipeline.run import leave, train_pipelined
    from onward.runs import Interrupted, RunOptions

    torch.set_num_threads(1)
    place: dict[str, Any] = {
        name: Path(value) if name.endswith("_dir") else value for name, value in order["place"].items()
    }
    how = Pipelining(**{**order["how"], "stages": tuple(order["how"]["stages"])})
    resume = None if order["resume"] is None else Path(order["resume"])
    try:
        enter_host(order["environment"].get(os.environ["RANK"], {}))
        notes_taken.take()
        faults_made.make()
        recipe = None if order["recipe"] is None else decode(order["recipe"])
        train_pipelined(recipe, RunOptions(**place), how, resume=resume)
    except Interrupted as stop:
        print(stop, flush=True)  # nothing is flushed on the way out
        return stop.exit_code
    except SystemExit as stop:
        return int(stop.code or 0)
    except Exception as error:  # noqa: BLE001 (whatever it was, the others are told)
        leave(str(error))
    return 0


def enter_host(environment: dict[str, str]) -> None:
    """Move this process to another host: the namespaces of network and name in the folder that HOST names."""
    for kind in ("net", "uts") if "HOST" in environment else ():
        handle = os.open(f"{environment['HOST']}/{kind}", os.O_RDONLY)
        assert ctypes.CDLL(None).setns(handle, 0) == 0
        os.close(handle)


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


if __name__ == "__main__":
    import kornia.augmentation  # noqa: F401 (what ranks would import, each for seconds)
    import sklearn.datasets  # noqa: F401
    import torch._dynamo
    import torch.distributed.distributed_c10d  # noqa: F401

    _serve()
