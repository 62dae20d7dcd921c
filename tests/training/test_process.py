"""The processor's settings: on while onward computes, and afterwards as they were."""

import pytest
import torch

from onward.algorithms import MonoForward
from onward.data import Splits
from onward.nets import MLP
from onward.runs import fit
from onward.training import Training
from onward.training.process import processor_set_up


def _zero() -> bool:
    return float(torch.tensor(1e-308, dtype=torch.float64) / 1000) == 0


@pytest.mark.parametrize("before", [False, True])
def test_tiny_numbers_are_zero_inside_and_as_before_outside(before: bool):
    torch.set_flush_denormal(before)
    try:
        with processor_set_up():
            assert _zero()
        assert _zero() == before
        with pytest.raises(KeyError), processor_set_up():
            raise KeyError
        assert _zero() == before
    finally:
        torch.set_flush_denormal(False)


def test_fit_computes_with_them(toy_data: Splits, monkeypatch: pytest.MonkeyPatch):
    seen, finish = [], Training.finish
    monkeypatch.setattr(Training, "finish", lambda self: (seen.append(_zero()), finish(self))[1])
    fit(MonoForward(features=8), MLP(width=8), toy_data, epochs=1, device="cpu")
    assert seen == [True] and not _zero()
