"""Curves of memory over time: onward's networks and any others are measured in one file, what cannot be is named."""

import json
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
FILED = FOLDER.parent / "results" / "benchmarks" / "memory_curve.json"


@pytest.fixture
def memory_curve(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import memory_curve  # pyright: ignore[reportMissingImports]

    yield memory_curve
    for name in ("memory_curve", "any_model", "any_model_data", "any_model_subjects", "report", "subjects"):
        sys.modules.pop(name, None)


def _run(memory_curve, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["memory_curve.py", "--steps", "1", *words])
    flushed = torch.set_flush_denormal(False)
    memory_curve.main()
    torch.set_flush_denormal(flushed)


def test_a_quick_look_measures_both_kinds_of_networks_and_files_nothing(memory_curve, monkeypatch, capsys):
    before = FILED.read_bytes()
    _run(memory_curve, monkeypatch, "--quick", "--only", "mlp", "mlp_wine")
    told = capsys.readouterr().out
    assert told.count("DistanceForward") == 6 and told.count("MonoForward") == 5 and told.count("backprop ") >= 12
    assert FILED.read_bytes() == before


def test_networks_are_filed_beside_those_that_are_there(memory_curve, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(memory_curve, "IMAGES", {})
    wine = memory_curve.MODELS["mlp_wine"]
    monkeypatch.setattr(
        memory_curve, "MODELS", {name: memory_curve.MODELS[name] for name in ("mlp_wine", "mlp_digits")}
    )
    _run(memory_curve, monkeypatch, "--only", "mlp_wine", "--into", str(tmp_path))
    rows = json.loads((tmp_path / FILED.name).read_text())["rows"]
    ways = [(row["trained_by"], row["micro_batches"], row["recompute"]) for row in rows]
    pieces = (1, 2, 4, 8)
    assert ways[:7] == [("MonoForward", count, False) for count in (*pieces, *pieces[1:])]
    assert [row["step_together"] for row in rows[:7]] == [False] * 4 + [True] * 3
    assert ways[7:] == [("backprop", count, again) for again in (False, True) for count in pieces]
    assert {row["images"] for row in rows} == {wine.measured_rows} and rows[0]["of_backprops_memory"] < 1
    _run(memory_curve, monkeypatch, "--into", str(tmp_path))
    after = json.loads((tmp_path / FILED.name).read_text())["rows"]
    assert after[: len(rows)] == rows and {row["net"] for row in after[len(rows) :]} == {"mlp_digits"}


def test_what_is_not_installed_or_no_chain_is_left_out_by_name(memory_curve, monkeypatch, capsys):
    def missing(*given: object, **named: object) -> None:
        raise ModuleNotFoundError("No module named 'timm'")

    monkeypatch.setattr(memory_curve, "made", missing)
    _run(memory_curve, monkeypatch, "--quick", "--only", "mlp_wine")
    assert "left out: mlp_wine, No module named 'timm'" in capsys.readouterr().out


def test_a_learner_takes_the_tokens_of_a_text_alone(memory_curve):
    ids, mask, labels = torch.ones(2, 3).long(), torch.ones(2, 3), torch.tensor([0, 1])
    assert memory_curve.one_tensor({"input_ids": ids, "attention_mask": mask, "labels": labels}) == (ids, labels)
    assert memory_curve.one_tensor({"input_ids": ids}) is ids
    assert memory_curve.one_tensor((ids, labels)) == (ids, labels)
