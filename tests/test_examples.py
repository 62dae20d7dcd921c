"""The examples run as they stand, are short, and come to what they say."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def _main(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = next(path for path in EXAMPLES if path.stem == name)
    monkeypatch.setattr(sys, "argv", [str(path)])
    return runpy.run_path(str(path), run_name="an_example")["main"]()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_at_most_sixty_lines(path: Path):
    assert len(path.read_text().splitlines()) <= 60


def test_a_plain_loop_learns(monkeypatch: pytest.MonkeyPatch):
    assert _main("plain_loop", monkeypatch) > 0.9


def test_an_own_method_learns_as_backprop_does(monkeypatch: pytest.MonkeyPatch):
    assert min(_main("own_method", monkeypatch).values()) > 0.85


def test_an_own_network_is_trained_by_three_methods(monkeypatch: pytest.MonkeyPatch):
    found = _main("own_network", monkeypatch)
    assert len(found) == 3 and min(found.values()) > 0.85


def test_learning_on_a_noisy_chip_helps(monkeypatch: pytest.MonkeyPatch):
    chips = _main("noise", monkeypatch)
    arrived, learned = (sum(chip[k] for chip in chips) / len(chips) for k in (0, 1))
    assert learned > arrived + 0.02


def test_a_page_that_learns_is_one_small_file(tmp_path: Path):
    path = next(path for path in EXAMPLES if path.stem == "page_that_learns")
    page = runpy.run_path(str(path))["main"](tmp_path / "page", epochs=2)
    assert page.name == "index.html" and 40_000 < page.stat().st_size < 300_000


@pytest.mark.slow
def test_two_processes_come_to_the_result_of_one(monkeypatch: pytest.MonkeyPatch):
    alone, spread = _main("pipeline", monkeypatch)
    assert alone == spread
