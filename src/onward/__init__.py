"""onward: train deep networks layer by layer, with no backward pass through the network.

Importing the package is quick: torch is imported when one of its names is first used. The names are listed once, in
`__init__.pyi`.
"""

import ast
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def _modules() -> dict[str, str]:
    """Return the module of each public name, read from the stub file; a room is a module itself."""
    tree = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_MODULES = _modules()
_CALLED = ("compare", "results")  # rooms that can be called, like the function of the same name in them
_FORMER = {
    "algorithms": """ALGORITHMS ASGE FFGAFSNN HCLFF HFF SCFF Backprop CaFo CwComp DeeperForward DeepSupervision
        DistanceForward DistanceForwardPairs EarlyExits ForwardForward LayerCollaboration MonoForward PredSim
        RandomFeatures RecurrentForwardForward SymBa Trifecta UnsupervisedForwardForward""",
    "data": "Splits",
    "nets": """CFSE CFSE6 MLP NETS VGG8 VGG11 VGG14 Airbench CaFoCNN LocalFields MonoCNN Plain17 ResNet17 ResNet19
        ResNet33 ResNet100 TinyCNN TopographicMaps Trifecta6 Trifecta12 VGG8b""",
    "recipes": "RECIPES",
    "runs": "export_model load_model save_model spec_for",
}
"""Former names of this module, by room: those before version 0.1, which work until 0.2."""
_INSTEAD = {
    "load_model": "onward.load(path), which returns the learner",
    "save_model": "learner.save(path)",
    "spec_for": "learner.save(path), which needs none, or onward.runs.spec_for",
    "RECIPES": "onward.list_recipes() and onward.recipe(name), or onward.recipes.RECIPES",
}
_ROOM_OF_FORMER = {name: room for room, names in _FORMER.items() for name in names.split()}

__all__ = [*sorted(name for name, module in _MODULES.items() if module), "__version__"]  # pyright: ignore


def __getattr__(name: str) -> Any:
    """Import the object of a name on first use. Raises AttributeError for an unknown name."""
    if name in _CALLED or _MODULES.get(name) == "":
        return import_module(f"onward.{name}")
    if name in _MODULES:
        value = getattr(import_module(f"onward.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOM_OF_FORMER:
        room = _ROOM_OF_FORMER[name]
        instead = _INSTEAD.get(name, f"onward.{room}.{name}")
        warnings.warn(f"onward.{name} will be removed in version 0.2: use {instead}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(f"onward.{room}"), name)
    raise AttributeError(f"module 'onward' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
