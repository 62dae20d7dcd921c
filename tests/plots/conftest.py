"""Fixtures shared with other rooms."""

from toy_trainings import make_training, place, toy_data, toy_recipe  # noqa: F401 (fixtures are found by name)
