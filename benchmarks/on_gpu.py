"""Everything that is to be measured on a CUDA device, in one command within a time limit: `make gpu`.

The tests that need a device, the benchmarks, then a queue of trainings with the time that is left. Nothing is
installed: the Python that runs it has PyTorch with CUDA and the other dependencies. All results lie in one folder: a
JSON file for each benchmark, with the rows it got to, logs, and records and runs of the queue, which resumes there.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARES = {"tests": 0.2, "step_time": 0.25, "peak_memory": 0.1, "methods": 0.25}
"""Parts, in order, and the most of the time that each may take; what they leave is the queue's."""
_ENDING = 10.0  # seconds for what follows the last part
_SHORTEST = 60.0  # seconds without which no queue begins: it needs 45 of them to stop after checkpoints
_PATIENCE = 15.0  # seconds from the first signal to the last


@dataclass(frozen=True)
class Outcome:
    """How a part ended."""

    part: str
    seconds: float
    outcome: str
    """done, out of time, or failed: the last line of its log."""


def main() -> int:
    given = _arguments()
    if missing := _missing():
        print(f"not installed: {', '.join(missing)}; install them for {sys.executable}, or say make gpu PYTHON=...")
        return 2
    into: Path = given.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    end, outcomes = time.monotonic() + 60 * given.minutes - _ENDING, []
    for part in given.only:
        left = end - time.monotonic()
        seconds = left if part == "queue" else min(left, SHARES[part] * 60 * given.minutes)
        outcomes.append(_carry_out(part, _command(part, given, into, seconds), into, seconds))
        print(f"{part}: {outcomes[-1].outcome}, {outcomes[-1].seconds:.0f} s", flush=True)
        (into / "summary.json").write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    return int(any(outcome.outcome.startswith("failed") for outcome in outcomes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, default=Path("gpu"), help="folder of all results (gpu)")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for everything (10)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the command (cuda)")
    parser.add_argument("--plan", type=Path, default=ROOT / "results" / "queue-gpu.txt", help="plan of the queue")
    parser.add_argument("--parallel", type=int, default=8, help="trainings side by side (8)")
    parser.add_argument("--only", nargs="+", default=[*SHARES, "queue"], choices=[*SHARES, "queue"], help="parts (all)")
    parser.add_argument("--quick", action="store_true", help="small networks, and a queue that trains nothing")
    return parser.parse_args()


def _missing() -> list[str]:
    """Return the requirements of onward and of its tests that this Python lacks."""
    listed = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    assert listed is not None
    wanted = [*re.findall(r'"([^"]+)"', listed[1]), "pytest", "hypothesis"]
    return [requirement for requirement in wanted if not _installed(re.split(r"[<>=,\[ ]", requirement)[0])]


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _command(part: str, given: argparse.Namespace, into: Path, seconds: float) -> list[str]:
    if part == "tests":
        # Without the annotation checks and the time limits of the default tests, whose plugins may not be there.
        files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
        return ["-m", "pytest", "-m", "gpu", "-rs", "-p", "no:cacheprovider", "-o", "addopts=", *map(str, files)]
    if part == "queue":
        plan = ["--device", given.device, "--hours", str(seconds / 3600), "--parallel", str(given.parallel)]
        return ["-m", "onward", "queue", str(given.plan.resolve()), *plan, *(["--dry"] if given.quick else [])]
    quick = ["--quick", "--steps", "1"] if given.quick else []
    return [str(ROOT / "benchmarks" / f"{part}.py"), "--device", given.device, "--into", str(into), *quick]


def _carry_out(part: str, command: list[str], into: Path, seconds: float) -> Outcome:
    """Run a part in the folder of results, where the queue finds records and runs; end it when its time is over."""
    if part == "queue" and not (into / "results").exists():
        shutil.copytree(ROOT / "results", into / "results")
    begun, log = time.monotonic(), into / f"{part}.log"
    if seconds <= (_SHORTEST if part == "queue" else 0):
        return Outcome(part, 0.0, "out of time")
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    data = {"ONWARD_DATA": str(Path(os.environ["ONWARD_DATA"]).resolve())} if os.environ.get("ONWARD_DATA") else {}
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=into,
            env={**os.environ, **data, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heeds_sigint,
        )
        timely = _ended(process, seconds + (_PATIENCE if part == "queue" else 0))
    lines = log.read_text(errors="replace").strip().splitlines() or [f"it ended with {process.returncode}"]
    outcome = "out of time" if not timely else "done" if process.returncode == 0 else f"failed: {lines[-1]}"
    return Outcome(part, time.monotonic() - begun, outcome)


def _heeds_sigint() -> None:
    """Let a part be asked to end by SIGINT, also where this command runs in the background of a shell, without it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _ended(process: subprocess.Popen, seconds: float) -> bool:
    """Wait for a process; end it and its children when its time is over. Return whether it ended by itself."""
    for number in (None, signal.SIGINT, signal.SIGKILL):
        if number is not None:
            os.killpg(process.pid, number)
        try:
            process.wait(seconds if number is None else _PATIENCE)
            return number is None
        except subprocess.TimeoutExpired:
            continue
    return False


if __name__ == "__main__":
    sys.exit(main())
