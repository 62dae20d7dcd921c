"""Starts `python -m onward` quickly: one process imports torch and its like once, and each command is a fork of it.

It imports nothing of onward: a command begins as that of a new process does, with a path and an environment of its own.
"""

import json
import os
import runpy
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from itertools import count
from pathlib import Path


class Command:
    """A command that runs: its process, what it wrote, and how it ended."""

    def __init__(self, folder: Path):
        self.folder = folder

    def poll(self) -> int | None:
        """Return the exit code, negative if a signal ended it; None while it runs."""
        code = self.folder / "code"
        return int(code.read_text()) if code.exists() else None

    def wait(self, timeout: float = 240.0) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            assert time.monotonic() < until, f"after {timeout} s still running"
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens if the command has ended."""
        while not (self.folder / "pid").exists():
            time.sleep(0.01)
        with suppress(ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), number)

    def finished(self) -> subprocess.CompletedProcess:
        """Wait for the end; return what `subprocess.run` would."""
        code = self.wait()
        out, err = ((self.folder / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess([], code, out, err)


class Commands:
    """Forks commands off a process that has imported what they need."""

    def __init__(self, folder: Path):
        self.folder, self.numbers = folder, count()
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, text=True)

    def start(self, *words: str, path: tuple[str, ...] = (), code: str | None = None) -> Command:
        """Start `python -m onward` with these words, or `code`, here; modules are looked for in `path` first."""
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        given = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        order = {
            "folder": str(folder),
            "cwd": os.getcwd(),
            "environment": {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *given])},
            "path": [*path, *given],
            "words": words,
            "code": code,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Command(folder)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def _serve() -> None:
    own = [place for place in sys.path[1:] if place not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    for line in sys.stdin:
        if os.fork() == 0:
            order = json.loads(line)
            folder, pid = Path(order["folder"]), os.fork()
            if pid == 0:
                _carry_out(order, own)
            _write(folder / "pid", str(pid))
            _write(folder / "code", str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
            os._exit(0)


def _carry_out(order: dict, own: list[str]) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(order["folder"]) / name, os.O_CREAT | os.O_WRONLY), number)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[:] = [order["cwd"], *order["path"], *own]
    sys.argv[:] = ["onward", *order["words"]]
    status = 0
    try:
        if order["code"] is None:
            runpy.run_module("onward", run_name="__main__", alter_sys=True)
        else:
            exec(order["code"], {"__name__": "__main__"})
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:  # noqa: BLE001 (as an interpreter ends)
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


if __name__ == "__main__":
    import kornia.augmentation  # noqa: F401 (what commands would import, each for seconds)
    import sklearn.datasets  # noqa: F401
    import torch._dynamo  # noqa: F401

    _serve()
