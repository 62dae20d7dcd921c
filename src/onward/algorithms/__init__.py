"""One short file per algorithm; ALGORITHMS names them all."""

from onward.algorithms.algorithm import Algorithm
from onward.algorithms.asge import ASGE
from onward.algorithms.backprop import Backprop
from onward.algorithms.deeper_forward import DeeperForward
from onward.algorithms.distance_forward import DistanceForward
from onward.algorithms.distance_forward_pairs import DistanceForwardPairs
from onward.algorithms.forward_forward import ForwardForward

ALGORITHMS = (Backprop, ForwardForward, DeeperForward, ASGE, DistanceForward, DistanceForwardPairs)

__all__ = [
    "ALGORITHMS",
    "ASGE",
    "Algorithm",
    "Backprop",
    "DeeperForward",
    "DistanceForward",
    "DistanceForwardPairs",
    "ForwardForward",
]
