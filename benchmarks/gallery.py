"""Makes what the documentation shows while it is built: the charts of the gallery, and the page that learns.

mkdocs calls `on_files` (see `hooks` in mkdocs.yml); nothing is written into the tree.
"""

import runpy
import tempfile
from pathlib import Path
from typing import Any

import onward
from onward.algorithms import DeeperForward
from onward.core import TrainerSettings
from onward.data import Splits
from onward.nets import TinyCNN
from onward.plots import svg
from onward.plots.charts import Chart


def on_files(files: Any, config: Any) -> Any:
    """Add a picture for each chart, and the page of an example, to the files of the documentation."""
    from mkdocs.structure.files import File

    for name, chart in charts(onward.load_data("digits"), epochs=6).items():
        files.append(File.generated(config, f"figures/gallery-{name}.svg", content=svg(chart)))
    example = runpy.run_path(str(Path(config.config_file_path).parent / "examples" / "page_that_learns.py"))
    with tempfile.TemporaryDirectory() as kept:
        page = example["main"](Path(kept) / "page").read_text(encoding="utf-8")
    files.append(File.generated(config, "demo/index.html", content=page))
    return files


def charts(data: Splits, *, epochs: int) -> dict[str, Chart]:
    """Train a small network and return what `onward.plots` shows of it."""
    settings = TrainerSettings(learning_rate=0.02)
    learner = onward.fit(DeeperForward(), TinyCNN(width=30), data, epochs=epochs, trainer=settings)
    images, labels = data.test.sample.pixels, data.test.sample.labels
    return {
        "training": onward.plots.training(learner),
        "blocks": onward.plots.blocks(learner),
        "goodness": onward.plots.goodness(learner, images, labels),
        "confusion": onward.plots.confusion(learner, images, labels),
        "mistakes": onward.plots.mistakes(learner, images, labels),
        "filters": onward.plots.filters(learner),
    }
