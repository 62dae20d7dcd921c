"""Networks: bodies and skip connections. Losses belong to the algorithms."""

from onward import registry
from onward.nets.airbench import Airbench
from onward.nets.asge_vgg import VGG8, VGG11
from onward.nets.cafo_cnn import CaFoCNN
from onward.nets.cfse import CFSE, CFSE6
from onward.nets.locally_connected import LocalFields, TopographicMaps
from onward.nets.mlp import MLP, Dense
from onward.nets.mono_cnn import MonoCNN
from onward.nets.net import Architecture, Net
from onward.nets.plain import Plain17
from onward.nets.resnet import ResNet17, ResNet19, ResNet33, ResNet100
from onward.nets.tiny_cnn import TinyCNN
from onward.nets.trifecta import Trifecta6, Trifecta12
from onward.nets.vgg import VGG14
from onward.nets.vgg_b import VGG8b

NETS = (
    MLP,
    Dense,
    TinyCNN,
    VGG8,
    VGG8b,
    VGG11,
    VGG14,
    Plain17,
    ResNet17,
    ResNet19,
    ResNet33,
    ResNet100,
    Trifecta6,
    Trifecta12,
    Airbench,
    MonoCNN,
    CFSE,
    CFSE6,
    CaFoCNN,
    LocalFields,
    TopographicMaps,
)
for _net in NETS:
    registry.NETS.add(_net.__name__, _net)

__all__ = [
    "CFSE",
    "CFSE6",
    "MLP",
    "NETS",
    "VGG8",
    "VGG11",
    "VGG14",
    "Airbench",
    "Architecture",
    "CaFoCNN",
    "Dense",
    "LocalFields",
    "MonoCNN",
    "Net",
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
]
