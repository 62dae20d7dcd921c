"""Former names of tensors, in files that were written before a part of a learner was reorganized."""

from collections.abc import Collection, Mapping
from typing import TypeVar

T = TypeVar("T")

_FORMER = (("rules.best_range.rule.", "rules.best_range."),)
"""Old and new prefixes. Before 0.1 the rules of HCL-FF were wrapped in one that left out its head."""


def with_current_names(given: Mapping[str, T], wanted: Collection[str]) -> dict[str, T]:
    """Return the content of a file under the names that a learner expects; former names are replaced.

    A name that the learner expects is kept, even if it is a former name in another learner.
    """
    renamed = dict(given)
    for name in given:
        for old, new in _FORMER:
            today = name.replace(old, new, 1)
            if name.startswith(old) and name not in wanted and today in wanted:
                renamed.setdefault(today, renamed.pop(name))
    return renamed
