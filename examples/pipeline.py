"""A training distributed over two processes: each owns some blocks, and no gradient is sent. The result is that of one.

python examples/pipeline.py
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = "mono_forward-digits"


def train(place: Path, *words: str, processes: int = 1) -> dict[str, float]:
    """Train the recipe for two epochs in one or several processes; return the test accuracy of every rule."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "onward", "train", RECIPE]
    options = ["--epochs", "2", "--device", "cpu", "--no-record", "--runs-dir", str(place)]
    subprocess.run([*command, *options, *words], check=True)
    return json.loads((place / RECIPE / "seed-0" / "result.json").read_text())["test_accuracy_by_rule"]


def main() -> tuple[dict[str, float], dict[str, float]]:
    """Return the accuracies of one process and of two."""
    with tempfile.TemporaryDirectory() as folder:
        alone = train(Path(folder) / "one")
        spread = train(Path(folder) / "two", "--pipeline", processes=2)
    return alone, spread


if __name__ == "__main__":
    alone, spread = main()
    print(f"one process   {alone}\ntwo processes {spread}\nequal {alone == spread}")
