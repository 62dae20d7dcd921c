"""What is written to a terminal or a pipe."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from onward.screen import open_ended, say, say_fitted, shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain [b]name[/b] :smile: é 猫 😀", "plain [b]name[/b] :smile: é 猫 😀"),
        ("a\x1b]0;title\x07b", r"a\x1b]0;title\x07b"),
        ("two\nlines\rand\ttabs", r"two\nlines\rand\ttabs"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("gnp.\u202etac", r"gnp.\u202etac"),
        (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
        ("wide\u3000space", "wide\u3000space"),
        ("\u2028", r"\u2028"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, line: str):
    assert shown(text) == line


@contextlib.contextmanager
def _left(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[TextIO]:
    """A stream whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), open(writer, "w", encoding="utf-8", buffering=1) as stream:
        monkeypatch.setattr(sys, name, stream)
        yield stream


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_leaves_ends_no_work(name: str, monkeypatch: pytest.MonkeyPatch):
    with _left(monkeypatch, name) as stream:
        with open_ended():
            say("one", error=name == "stderr")
            getattr(sys, name).writelines(["two\n", "three\n"])
            getattr(sys, name).flush()
            reached = True
        stream.write("what libraries write goes nowhere as well\n")
    assert reached


def test_without_it_the_work_would_end(monkeypatch: pytest.MonkeyPatch):
    with _left(monkeypatch, "stdout"), pytest.raises(BrokenPipeError):
        say("one")


def test_what_an_encoding_lacks_is_written_out(monkeypatch: pytest.MonkeyPatch):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding="cp1252"))
    with open_ended():
        say("é 猫 ▁")
    assert content.getvalue() == b"\xe9 \\u732b \\u2581" + os.linesep.encode()


def test_a_process_without_streams_can_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    with open_ended():
        assert sys.stdout is None
    say("nothing")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_notes_break_between_words_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch):
    text = "accuracy  " + ", ".join(f"rule_{k} 97.{k}0%" for k in range(9))
    monkeypatch.setenv("COLUMNS", "60")
    for stream in (_Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        say_fitted(text, indent=10)
        lines = stream.getvalue().splitlines()
        if stream.isatty():
            assert len(lines) > 2 and max(map(len, lines)) <= 60
            assert lines[0] + "".join(line[9:] for line in lines[1:]) == text
        else:
            assert lines == [text]
