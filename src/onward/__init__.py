"""onward: train deep networks layer by layer, with no backward pass through the network.

Importing the package is quick: torch is imported when the first of its names is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onward.algorithms import (
        ALGORITHMS,
        ASGE,
        FFGAFSNN,
        HCLFF,
        HFF,
        SCFF,
        Backprop,
        CaFo,
        CwComp,
        DeeperForward,
        DeepSupervision,
        DistanceForward,
        DistanceForwardPairs,
        EarlyExits,
        ForwardForward,
        LayerCollaboration,
        MonoForward,
        PredSim,
        RandomFeatures,
        RecurrentForwardForward,
        SymBa,
        Trifecta,
        UnsupervisedForwardForward,
    )
    from onward.core import Learner, LocalBlock, LocalTrainer, TrainerSettings
    from onward.data import Augmentation, DataSettings, Splits, from_arrays, load
    from onward.modules import LocalModel, cuts, local
    from onward.nets import (
        CFSE,
        CFSE6,
        MLP,
        NETS,
        VGG8,
        VGG11,
        VGG14,
        Airbench,
        CaFoCNN,
        LocalFields,
        MonoCNN,
        Plain17,
        ResNet17,
        ResNet19,
        ResNet33,
        ResNet100,
        TinyCNN,
        TopographicMaps,
        Trifecta6,
        Trifecta12,
        VGG8b,
    )
    from onward.recipes import RECIPES, Recipe
    from onward.registry import register
    from onward.runs import export_model, fit, load_model, save_model, spec_for

_NAMES = {
    "algorithms": (
        "ALGORITHMS",
        "ASGE",
        "FFGAFSNN",
        "HCLFF",
        "HFF",
        "SCFF",
        "Backprop",
        "CaFo",
        "CwComp",
        "DeeperForward",
        "DeepSupervision",
        "DistanceForward",
        "DistanceForwardPairs",
        "EarlyExits",
        "ForwardForward",
        "LayerCollaboration",
        "MonoForward",
        "PredSim",
        "RandomFeatures",
        "RecurrentForwardForward",
        "SymBa",
        "Trifecta",
        "UnsupervisedForwardForward",
    ),
    "core": ("Learner", "LocalBlock", "LocalTrainer", "TrainerSettings"),
    "data": ("Augmentation", "DataSettings", "Splits", "from_arrays", "load"),
    "modules": ("LocalModel", "cuts", "local"),
    "nets": (
        "CFSE",
        "CFSE6",
        "MLP",
        "NETS",
        "VGG8",
        "VGG11",
        "VGG14",
        "Airbench",
        "CaFoCNN",
        "LocalFields",
        "MonoCNN",
        "Plain17",
        "ResNet17",
        "ResNet19",
        "ResNet33",
        "ResNet100",
        "TinyCNN",
        "TopographicMaps",
        "Trifecta6",
        "Trifecta12",
        "VGG8b",
    ),
    "recipes": ("RECIPES", "Recipe"),
    "registry": ("register",),
    "runs": ("export_model", "fit", "load_model", "save_model", "spec_for"),
}
"""By room, the names that this package has from it."""

_OTHER_ROOMS = (
    "compare",
    "costs",
    "hardware",
    "measure",
    "parts",
    "pipeline",
    "results",
    "storage",
    "testing",
    "training",
)
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}

__all__ = [
    "ALGORITHMS",
    "ASGE",
    "CFSE",
    "CFSE6",
    "FFGAFSNN",
    "HCLFF",
    "HFF",
    "MLP",
    "NETS",
    "RECIPES",
    "SCFF",
    "VGG8",
    "VGG11",
    "VGG14",
    "Airbench",
    "Augmentation",
    "Backprop",
    "CaFo",
    "CaFoCNN",
    "CwComp",
    "DataSettings",
    "DeepSupervision",
    "DeeperForward",
    "DistanceForward",
    "DistanceForwardPairs",
    "EarlyExits",
    "ForwardForward",
    "LayerCollaboration",
    "Learner",
    "LocalBlock",
    "LocalFields",
    "LocalModel",
    "LocalTrainer",
    "MonoCNN",
    "MonoForward",
    "Plain17",
    "PredSim",
    "RandomFeatures",
    "Recipe",
    "RecurrentForwardForward",
    "ResNet17",
    "ResNet19",
    "ResNet33",
    "ResNet100",
    "Splits",
    "SymBa",
    "TinyCNN",
    "TopographicMaps",
    "TrainerSettings",
    "Trifecta",
    "Trifecta6",
    "Trifecta12",
    "UnsupervisedForwardForward",
    "VGG8b",
    "cuts",
    "export_model",
    "fit",
    "from_arrays",
    "load",
    "load_model",
    "local",
    "register",
    "save_model",
    "spec_for",
]


def __getattr__(name: str) -> Any:
    """Import the room that has a name when the name is first asked for. Raises AttributeError for an unknown name."""
    if name not in _ROOM_OF and name not in _NAMES and name not in _OTHER_ROOMS:
        raise AttributeError(f"module 'onward' has no attribute {name!r}")
    room = import_module(f"onward.{_ROOM_OF.get(name, name)}")
    value = getattr(room, name) if name in _ROOM_OF else room
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_NAMES, *_OTHER_ROOMS})
