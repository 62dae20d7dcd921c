"""Texts are in plain American English: no words of a private dialect in code, docstrings, comments and docs."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted(path for room in ("src", "examples", "benchmarks") for path in (ROOT / room).rglob("*.py"))
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "MAINTAINING", "SECURITY")),
    ]
)

BRITISH = (
    r"colou?r(?<=colour)|behaviour|neighbour|favour|grey|centre[sd]?|labelled|modell(ed|ing)|travell|cancelled|catalogue"
    r"|(normal|initial|quant|organ|general|minim|maxim|summar|serial|special|regular|visual|penal|optim|standard|util)"
    r"is(e[sd]?|ing|ation)|analys(e[sd]?|ing)|programme\b|artefact|licence|N(ok|oek)land"
)
OBJECTS = (
    "algorithm|block|chip|code|disk|file|goodness|head|layer|learner|loss|method|model|network|recipe|rule|run|step"
)
DIALECT = (
    rf"\b({OBJECTS})s? (says?|wish(es)?|wants?|knows?|sees?|asks? (?!for)|tells?|refuses? to|speaks?|thinks?)\b"
    r"|\b(of one's own|somebody|at hand|whoever|on paper|wishes|nobody|a user can mend|anew|has to say)\b"
    r"|\bstands? (above|among|behind|below|beside|here|inside|together|there)\b"
)
NAMES = {"found", "told", "place_of", "say_so", "came", "kept_by"}
"""Local names that said nothing of their content: a field's noun is clearer."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield comments and strings with their lines; strings of one word are names in files or former names."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string):
            yield token.start[0], token.string


def wrong(text: str) -> str | None:
    """Return the first word or phrase of a text that is not to be used."""
    match = re.search(BRITISH, text, re.IGNORECASE) or re.search(DIALECT, text)
    return match and match[0]


@pytest.mark.parametrize(
    "text", ["the rule wants images", "colours", "initialised", "a folder of one's own", "Nokland", "it stands beside"]
)
def test_words_that_are_not_used_are_found(text: str):
    assert wrong(text)


@pytest.mark.parametrize(
    "text", ["color", "the method asks for images", "initialized", "Nøkland", "premise", "precise"]
)
def test_other_words_are_left_alone(text: str):
    assert wrong(text) is None


def test_code_is_described_in_plain_english():
    met = [(path, line, word) for path in CODE for line, text in texts(path) if (word := wrong(text))]
    assert not met, "\n".join(f"{path.relative_to(ROOT)}:{line}: {word}" for path, line, word in met)


def test_pages_are_in_plain_english():
    met = [(path, word) for path in PAGES if (word := wrong(path.read_text()))]
    assert not met, "\n".join(f"{path.relative_to(ROOT)}: {word}" for path, word in met)


def test_local_names_are_nouns_of_the_field():
    met = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.id}"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id in NAMES
    ]
    assert not met, "\n".join(met)
