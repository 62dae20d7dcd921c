"""What --help prints fits the terminal, and loses no word."""

import pytest

from onward.cli import COMMANDS, completion, listing, main
from onward.cli.usage import fitted


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("command", [None, "list", "train", "completion", "measure", "compare", "report", "simulate"])
def test_a_help_fits_the_terminal(command: str | None, width: int, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([*([command] if command else []), "--help"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert said.startswith("usage: onward")
    if command is None:
        assert all(f"\n  {name} " in said for name in COMMANDS)


def test_a_wide_terminal_leaves_a_help_as_it_is():
    assert fitted(listing._USAGE, 200) == listing._USAGE
    assert fitted(completion._USAGE, 200) == completion._USAGE


def test_a_meaning_stays_beside_its_flag():
    usage = "usage: onward x\n\nSome words in\na row.\n\n  --one N   a b c d e f g h i j k l m n o p q r s t u v w\n"
    usage += "            more of it\n  --two     short\n"
    found = fitted(usage, 50)
    assert found.split() == usage.split()
    assert found.splitlines()[5:] == [
        "  --one N   a b c d e f g h i j k l m n o p q r s",
        "            t u v w more of it",
        "  --two     short",
    ]
