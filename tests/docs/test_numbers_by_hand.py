"""Numbers that a page states by hand: intervals and means over seeds, and how many seeds, are those of the tables."""

import re
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_SEEDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_INTERVAL = re.compile(r"\d\d\.\d\d to \d\d\.\d\d")
_WORDS = "|".join(_SEEDS)
_MEAN = re.compile(
    rf"(?P<before>\d\d\.\d+) % \((?P<n>{_WORDS}) seeds?\b(?!')|"
    rf"\b(?P<m>{_WORDS}) seeds?(?: of it)? reach(?:es)? (?P<after>\d\d\.\d+) %",
    re.IGNORECASE,
)
_COUNT = re.compile(rf"\b({_WORDS}) (?:seeds?|of the row)\b", re.IGNORECASE)


def _pages() -> list[Path]:
    """The pages that state results by hand: the log has those of its day, and the leaderboard is generated."""
    docs = _PROJECT / "docs"
    return [page for page in sorted(docs.rglob("*.md")) if page.name not in ("log.md", "leaderboard.md")]


def _on_record() -> set[tuple[str, int]]:
    """Intervals and numbers of seeds in the tables of RESULTS.md."""
    text = (_PROJECT / "results" / "RESULTS.md").read_text(encoding="utf-8")
    return {(found[1], int(found[2])) for found in re.finditer(rf"\| ({_INTERVAL.pattern}) \| (\d+) \|", text)}


def _stale(text: str, known: set[tuple[str, int]]) -> list[str]:
    """Return the intervals of a text that no row has, and those that stand beside another number of seeds."""
    text, found = " ".join(text.split()), []
    for interval in _INTERVAL.finditer(text):
        counts = {seeds for value, seeds in known if value == interval[0]}
        said = [
            _SEEDS[count[1].lower()] for count in _COUNT.finditer(text[max(0, interval.start() - 60) : interval.end()])
        ]
        if not counts or (said and said[-1] not in counts):
            found.append(text[max(0, interval.start() - 60) : interval.end()])
    return found


def _rows() -> set[tuple[str, int]]:
    """Means, as they are printed, and numbers of seeds in the tables of RESULTS.md."""
    text = (_PROJECT / "results" / "RESULTS.md").read_text(encoding="utf-8")
    row = r"^\| `[^`]+` \| [^|]* \| (\d+\.\d\d)(?: ± [\d.]+)? \| [^|]* \| (\d+) \|"
    return {(found[1], int(found[2])) for found in re.finditer(row, text, re.MULTILINE)}


def _stale_means(text: str, rows: set[tuple[str, int]]) -> list[str]:
    """Return the means of a text that no row of so many seeds has, to the decimals that are stated."""
    found = []
    for said in _MEAN.finditer(" ".join(text.split())):
        mean, seeds = said["before"] or said["after"], _SEEDS[(said["n"] or said["m"]).lower()]
        decimals = len(mean.partition(".")[2])
        if not any(each == seeds and f"{float(value):.{decimals}f}" == mean for value, each in rows):
            found.append(said[0])
    return found


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.stem)
def test_a_mean_by_hand_is_one_of_the_tables(page: Path):
    assert _stale_means(page.read_text(encoding="utf-8"), _rows()) == [], "a record was added: state its row anew"


def test_a_stale_mean_is_found():
    rows = {("74.72", 2), ("56.98", 1)}
    assert _stale_means("74.7 % (two seeds) after an hour, and one\nseed reaches 56.98 %", rows) == []
    assert _stale_means("91.36 % (two seeds' mean)", rows) == []  # of settings that a recipe had before
    assert _stale_means("74.7 % (three seeds)", rows) and _stale_means("one seed reaches 56.97 %", rows)


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.stem)
def test_an_interval_by_hand_is_one_of_the_tables(page: Path):
    assert _stale(page.read_text(encoding="utf-8"), _on_record()) == [], "a record was added: state its row anew"


def test_a_stale_interval_and_a_stale_number_of_seeds_are_found():
    known = {("93.36 to 93.64", 5), ("99.48 to 99.68", 3)}
    assert _stale("five seeds reach 93.50 % (93.36\nto 93.64; paper 93.41)", known) == []
    assert _stale("four seeds reach 93.50 % (93.36 to 93.64)", known) != []
    assert _stale("three seeds of it reach 99.58 % (99.48 to 99.69)", known) != []
