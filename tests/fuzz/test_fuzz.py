"""The fuzzer: a slice of its cases, and that it tells outcomes apart."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fuzz_case import BAD, CLEAR, CORRECT, HANG, TRACEBACK, UNCLEAR, WRONG, Case, Target, Wrong, judge


def test_cases_come_to_an_answer_or_a_clear_error():
    words = [sys.executable, str(Path(__file__).with_name("fuzzing.py")), "--cases", "400"]
    # A process of its own: annotations are not checked there, as they are not for users.
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, env={**os.environ, "PYTHONWARNINGS": ""})
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
    assert "400 cases" in done.stdout


def _outcome(do, **more) -> str:
    target = Target("toy", 1, lambda folder: None, lambda case, world: do())
    return judge(target, None, Case(random.Random(0), Path(), **more), seconds=0.05).kind


def _raising(error: BaseException):
    def do():
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("epochs must be at least 1, got 0"), CLEAR),
        (FileNotFoundError(2, "No such file", "x.png"), CLEAR),
        (ValueError("two\nlines"), UNCLEAR),
        (ValueError("a title \x1b]0;"), UNCLEAR),
        (ValueError(""), UNCLEAR),
        (ValueError("invalid literal for int() with base 10: 'x'"), UNCLEAR),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "bad"), UNCLEAR),
        (KeyError("x"), TRACEBACK),
        (RuntimeError("mat1 and mat2"), TRACEBACK),
        (Wrong("another answer"), WRONG),
    ],
)
def test_an_error_is_judged_by_its_kind_and_text(error: Exception, outcome: str):
    assert _outcome(_raising(error)) == outcome


def test_an_error_has_to_name_what_it_is_about():
    assert _outcome(_raising(ValueError("x.png is empty")), names=("x.png",)) == CLEAR
    assert _outcome(_raising(ValueError("it is empty")), names=("x.png",)) == UNCLEAR


def test_an_answer_is_correct_and_what_takes_too_long_hangs():
    assert _outcome(lambda: None) == CORRECT
    assert _outcome(lambda: time.sleep(5)) == HANG
    assert set(BAD) == {WRONG, UNCLEAR, TRACEBACK, HANG}


def test_every_target_has_its_share_of_a_short_slice():
    names = subprocess.run(
        [sys.executable, "-c", _SHARES], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
    )
    counts = Counter(names.stdout.split())
    assert len(counts) >= 8 and min(counts.values()) >= 10, counts


_SHARES = """
from fuzzing import TARGETS, target_of
print(*(target_of(number, TARGETS).name for number in range(1000)))
"""
