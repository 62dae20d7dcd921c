"""Networks: bodies, and how skip connections travel. What is learned from an activity is the algorithm's business."""

from onward.nets.mlp import MLP
from onward.nets.net import Architecture, Net
from onward.nets.resnet import ResNet17
from onward.nets.tiny_cnn import TinyCNN
from onward.nets.trifecta import Trifecta6, Trifecta12
from onward.nets.vgg import VGG14

NETS = (MLP, TinyCNN, VGG14, ResNet17, Trifecta6, Trifecta12)

__all__ = ["MLP", "NETS", "VGG14", "Architecture", "Net", "ResNet17", "TinyCNN", "Trifecta6", "Trifecta12"]
