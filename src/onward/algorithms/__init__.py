"""One short file per algorithm; ALGORITHMS names them all."""

from onward.algorithms.algorithm import Algorithm
from onward.algorithms.backprop import Backprop
from onward.algorithms.deep_supervision import DeepSupervision
from onward.algorithms.deeper_forward import DeeperForward
from onward.algorithms.forward_forward import ForwardForward
from onward.algorithms.predsim import PredSim

ALGORITHMS = (Backprop, DeepSupervision, ForwardForward, DeeperForward, PredSim)

__all__ = ["ALGORITHMS", "Algorithm", "Backprop", "DeepSupervision", "DeeperForward", "ForwardForward", "PredSim"]
