"""How many operations a step starts: what was made fewer stays so, and nothing in a step waits for the device."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import launches  # pyright: ignore[reportMissingImports]

MOST = {"ResNet17": 297, "VGG8": 192, "TinyCNN": 72, "Airbench": 256, "MLP": 194}


@pytest.mark.parametrize("case", launches.SUBJECTS, ids=lambda case: type(case[1]).__name__)
def test_a_step_starts_few_operations_and_reads_nothing_on_the_host(case):
    algorithm, net = case
    found = launches.operations(launches.repeated(algorithm, net, torch.device("cpu")))
    assert found.total() <= MOST[type(net).__name__]
    assert not {"_local_scalar_dense", "nonzero", "is_nonzero", "equal"} & set(found)
