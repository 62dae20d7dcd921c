"""Networks: bodies, and how skip connections travel. What is learned from an activity is the algorithm's business."""

from onward.nets.mlp import MLP
from onward.nets.net import Architecture, Net
from onward.nets.resnet import ResNet17
from onward.nets.tiny_cnn import TinyCNN
from onward.nets.vgg import VGG14
from onward.nets.vgg_b import VGG8b

NETS = (MLP, TinyCNN, VGG14, VGG8b, ResNet17)

__all__ = ["MLP", "NETS", "VGG14", "Architecture", "Net", "ResNet17", "TinyCNN", "VGG8b"]
