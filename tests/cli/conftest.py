"""What the tests of commands share."""

import pytest


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine reads images slowly: what is said of that must not stand among the lines of a test."""
    monkeypatch.setattr("onward.runs.start_messages._SOON", 60.0)
