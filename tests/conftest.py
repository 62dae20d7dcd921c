"""What all tests share. Nothing of onward is imported here, so that its annotations can be checked as it loads."""

import functools
import gc
import io
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch

from forked_commands import Commands
from jaxtyping_once import check_once

jaxtyping.jaxtyped = check_once  # what its import hook puts before every function of onward

# A screen is as wide as a test says: what runs the tests may have said something else.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# One thread, also in the processes that tests start: tests run side by side, and sums must not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"

# The same examples on every run: a failure of a random test must come back when it is looked for.
hypothesis.settings.register_profile("onward", deadline=None, derandomize=True, max_examples=25, database=None)
hypothesis.settings.load_profile("onward")

# Nothing is installed while tests run: each look at what is takes 10 ms, and a recipe's name needs one.
metadata.entry_points = functools.cache(metadata.entry_points)

# What is imported and collected stays until the end: to look through it for garbage took a tenth of all tests' time.
gc.disable()


def pytest_collection_finish() -> None:
    """Begin to collect garbage, of what the tests make alone."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Sums must not depend on how many cores the machine has."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_seed() -> None:
    """Each test starts from the same global random state, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def types_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations are not checked: what a user gives may be of any type, and the library has to say what is wrong."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands in processes of their own, which begin at once."""
    commands = Commands(tmp_path_factory.mktemp("commands"))
    yield commands
    commands.close()


@pytest.fixture
def real_data_dir() -> Path:
    """The folder that holds real image sets: what ONWARD_DATA names."""
    folder = os.environ.get("ONWARD_DATA")
    if not folder:
        pytest.skip("needs real images: set ONWARD_DATA to the folder that holds them")
    if not Path(folder).is_dir():
        pytest.fail(f"ONWARD_DATA names {folder}, which is no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def parquet_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a named set as small JPEGs in parquet shards; return the folder that `data_dir` names, a new one each."""
    import pyarrow
    from PIL import Image
    from pyarrow import parquet

    def jpeg(rng: np.random.Generator, shape: tuple[int, ...]) -> bytes:
        content = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (4, 4, *shape[2:]), dtype=np.uint8))
        small.resize((shape[1], shape[0])).save(content, "JPEG")
        return content.getvalue()

    def write(
        name: str = "mnist",
        *,
        train: tuple[int, ...] = (90, 120, 80),
        test: tuple[int, ...] = (40,),
        group: int = 10,
        shape: tuple[int, ...] = (28, 28),
        test_split: str = "test",
    ) -> Path:
        folder, rng = tmp_path_factory.mktemp("shards") / name, np.random.default_rng(len(train))
        folder.mkdir()
        for split, sizes in (("train", train), (test_split, test)):
            for number, size in enumerate(sizes):
                cells = [{"bytes": jpeg(rng, shape), "path": None} for _ in range(size)]
                labels = [(number + row) % 10 for row in range(size)]
                table = pyarrow.table({"image": cells, "label": labels})
                file = folder / f"{split}-{number:05}-of-{len(sizes):05}.parquet"
                parquet.write_table(table, file, row_group_size=group)
        return folder.parent

    return write
