"""Results: statistics over recorded runs, and the tables and pages that are made from them.

`onward.results()` calls `results`: the room is named like its function.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from onward.results.frame import results

__all__ = ["results"]


class _Room(ModuleType):
    def __call__(self, folder: Path | str = "results") -> Any:
        return results(folder)


sys.modules[__name__].__class__ = _Room
