"""What all tests share. Nothing of onward is imported here, so that its annotations can be checked as it loads."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

# The same examples on every run: a failure of a random test must come back when it is looked for.
hypothesis.settings.register_profile("onward", deadline=None, derandomize=True, max_examples=25, database=None)
hypothesis.settings.load_profile("onward")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Sums must not depend on how many cores the machine has."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_seed() -> None:
    """Each test starts from the same global random state, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def real_data_dir() -> Path:
    """The folder that holds real image sets: what ONWARD_DATA names."""
    folder = os.environ.get("ONWARD_DATA")
    if not folder:
        pytest.skip("needs real images: set ONWARD_DATA to the folder that holds them")
    if not Path(folder).is_dir():
        pytest.fail(f"ONWARD_DATA names {folder}, which is no folder")
    return Path(folder)
