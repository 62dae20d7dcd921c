"""The benchmark of any model runs on whatever is installed, trains what it says, and files nothing for a quick look."""

import json
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def any_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import any_model  # pyright: ignore[reportMissingImports]

    yield any_model
    for name in ("any_model", "any_model_data", "any_model_subjects", "report"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "parts", [["mlp_wine"], pytest.param([], marks=pytest.mark.slow)], ids=["one network", "all that can be made here"]
)
def test_a_quick_look_measures_networks_and_files_nothing(any_model, monkeypatch, capsys, parts: list[str]):
    before = {path: path.read_bytes() for path in (FOLDER.parent / "results" / "benchmarks").glob("any_model*")}
    monkeypatch.setattr(
        sys, "argv", ["any_model.py", "--quick", "--steps", "1", *(["--only", *parts] if parts else [])]
    )
    flushed = torch.set_flush_denormal(False)
    any_model.main()
    torch.set_flush_denormal(flushed)
    told = capsys.readouterr().out
    assert "MLP 256x3" in told and told.count("DistanceForward") >= 2
    assert not parts or "GRU" not in told
    after = {path: path.read_bytes() for path in (FOLDER.parent / "results" / "benchmarks").glob("any_model*")}
    assert before == after


def test_costs_alone_are_measured_beside_the_accuracy_that_is_filed(any_model, monkeypatch, tmp_path, capsys):
    filed = FOLDER.parent / "results" / "benchmarks" / "any_model-mlp_wine.json"
    before = json.loads(filed.read_text())
    slow = [{**row, "step_ms": 1e9} for row in before["rows"]]
    (tmp_path / filed.name).write_text(json.dumps({**before, "rows": slow}))
    words = ["--costs", "--steps", "1", "--only", "mlp_wine", "gru", "--into", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["any_model.py", *words])
    flushed = torch.set_flush_denormal(False)
    any_model.main()
    torch.set_flush_denormal(flushed)
    assert "gru has no rows yet: measure it without --costs" in capsys.readouterr().out
    rows = json.loads((tmp_path / filed.name).read_text())["rows"]
    for row, old in zip(rows, before["rows"], strict=True):
        assert row["accuracy"] == old["accuracy"] and row["rate"] == old["rate"] and row["step_ms"] < 1e6
        assert row["trained_at"] == before["environment"]["commit"]


def test_rates_are_chosen_on_validation_and_tried_beyond_an_edge(any_model, monkeypatch):
    subject = next(subject for subject in any_model.SUBJECTS if subject.name == "mlp_wine")
    rates = []

    class Trained:
        def __init__(self, rate: float):
            self.rate = rate

        def evaluate(self, rows):
            return {"accuracy": self.rate}

    def train(subject, contender, task, rate, seed, epochs):
        rates.append(rate)
        if rate > 1:
            raise ValueError("the loss of block 0 is not finite")
        return Trained(rate)

    monkeypatch.setattr(any_model, "train", train)
    task = any_model.Task("none", *[subject.measured(4)] * 3)
    contender = any_model.Contender("any", any_model.CONTROL.algorithm, rates=(0.1, 0.9, 2.0))
    best, tried = any_model.tuned(subject, contender, task, 1)
    assert best.rate == 0.9 and rates == [0.1, 0.9, 2.0] and tried[2.0] == -float("inf")
    rates.clear()
    best, _ = any_model.tuned(subject, any_model.Contender("any", contender.algorithm, rates=(0.1, 0.2)), task, 1)
    assert rates == [0.1, 0.2, 0.2 * 3, 0.2 * 3 * 3] and best.rate == 0.2 * 3
    rates.clear()
    contender = any_model.Contender("any", contender.algorithm, rates=(1e-3, 2e-3))
    best, _ = any_model.tuned(subject, contender, task, 1)
    assert rates == pytest.approx([1e-3, 2e-3, 6e-3, 18e-3, 54e-3]) and best.rate == rates[-1]


def test_a_step_of_backprop_costs_what_a_plain_loop_does(any_model):
    subject = next(subject for subject in any_model.SUBJECTS if subject.name == "gru")
    order = any_model.Order(torch.device("cpu"), 1, True, False)
    costs = any_model.step_costs(subject, order)
    assert costs["backprop"].peak == pytest.approx(costs["plain loop"].peak, rel=0.02)
    assert costs["MonoForward"].moving < 0.6 * costs["plain loop"].moving
