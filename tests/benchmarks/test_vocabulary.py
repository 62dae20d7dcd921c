"""The benchmark of large vocabularies measures every way to read them, and files nothing for a quick look."""

import sys
from pathlib import Path

import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_a_quick_look_measures_every_way(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    import vocabulary  # pyright: ignore[reportMissingImports]

    filed = FOLDER.parent / "results" / "benchmarks" / "vocabulary.json"
    before = filed.read_bytes() if filed.exists() else None
    monkeypatch.setattr(sys, "argv", ["vocabulary.py", "--quick", "--steps", "1"])
    flushed = torch.set_flush_denormal(False)
    vocabulary.main()
    torch.set_flush_denormal(flushed)
    printed = capsys.readouterr().out
    assert printed.count("shared head") >= 4 and "backprop" in printed
    assert (filed.read_bytes() if filed.exists() else None) == before
    for name in ("vocabulary", "any_model", "any_model_data", "any_model_subjects", "report"):
        sys.modules.pop(name, None)
