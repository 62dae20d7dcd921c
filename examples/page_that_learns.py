"""A page that learns: a small network trained on digits, as one HTML file that continues to learn in a browser.

`make demo` runs this, and opens the page.
"""

import sys
import tempfile
import webbrowser
from pathlib import Path

import onward
from onward.algorithms import MonoForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.export import export
from onward.nets import MLP


def main(out: Path, *, epochs: int = 30) -> Path:
    """Train into a folder that does not last, export the page into `out`, a new one; return the page."""
    recipe = onward.Recipe(
        name="A page that learns",
        description="digits",
        data=DataSettings(name="digits"),
        algorithm=MonoForward(),
        net=MLP(width=32, depth=2),
        trainer=TrainerSettings(learning_rate=0.003),
        epochs=epochs,
        batch_size=50,
    )
    with tempfile.TemporaryDirectory() as runs:
        run = onward.train(recipe, runs_dir=runs, device="cpu", verbose=False)
        export(run.path, out, format="page")  # with images of the run's training split, to rehearse
    return out / "index.html"


if __name__ == "__main__":
    page = main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
    address = page.resolve().as_uri()
    if not webbrowser.open(address):
        print("No browser could be opened here; this page works in any:")
    print(address)
