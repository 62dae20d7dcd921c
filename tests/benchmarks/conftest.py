"""Fixtures shared with other rooms."""

from toy_trainings import toy_data  # noqa: F401 (fixtures are found by name)
