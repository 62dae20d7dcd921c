"""What the tests of pipelines share: a launcher, a place, and a comparison of runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from launcher import Launcher


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("launches"))
    yield launcher
    launcher.close()


@pytest.fixture
def place(tmp_path: Path) -> dict:
    return {"runs_dir": tmp_path / "runs", "device": "cpu"}
