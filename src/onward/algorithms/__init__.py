"""One short file per algorithm; ALGORITHMS names them all."""

from onward import registry
from onward.algorithms.algorithm import Algorithm
from onward.algorithms.asge import ASGE
from onward.algorithms.backprop import Backprop
from onward.algorithms.cafo import CaFo
from onward.algorithms.cwcomp import CwComp
from onward.algorithms.decoupled_greedy import DecoupledGreedy
from onward.algorithms.deep_supervision import DeepSupervision
from onward.algorithms.deeper_forward import DeeperForward
from onward.algorithms.distance_forward import DistanceForward
from onward.algorithms.distance_forward_pairs import DistanceForwardPairs
from onward.algorithms.early_exits import EarlyExits
from onward.algorithms.ffgaf_snn import FFGAFSNN
from onward.algorithms.forward_forward import ForwardForward
from onward.algorithms.hcl_ff import HCLFF
from onward.algorithms.hff import HFF
from onward.algorithms.layer_collaboration import LayerCollaboration
from onward.algorithms.mono_forward import MonoForward
from onward.algorithms.predsim import PredSim
from onward.algorithms.random_features import RandomFeatures
from onward.algorithms.recurrent_forward_forward import RecurrentForwardForward
from onward.algorithms.scff import SCFF
from onward.algorithms.symba import SymBa
from onward.algorithms.trifecta import Trifecta
from onward.algorithms.unsupervised_forward_forward import UnsupervisedForwardForward

ALGORITHMS = (
    Backprop,
    DeepSupervision,
    ForwardForward,
    DeeperForward,
    ASGE,
    DistanceForward,
    DistanceForwardPairs,
    PredSim,
    DecoupledGreedy,
    MonoForward,
    SymBa,
    Trifecta,
    CwComp,
    CaFo,
    RandomFeatures,
    HFF,
    SCFF,
    UnsupervisedForwardForward,
    LayerCollaboration,
    EarlyExits,
    FFGAFSNN,
    HCLFF,
    RecurrentForwardForward,
)
for _algorithm in ALGORITHMS:
    registry.ALGORITHMS.add(_algorithm.__name__, _algorithm)

__all__ = [
    "ALGORITHMS",
    "ASGE",
    "FFGAFSNN",
    "HCLFF",
    "HFF",
    "SCFF",
    "Algorithm",
    "Backprop",
    "CaFo",
    "CwComp",
    "DecoupledGreedy",
    "DeepSupervision",
    "DeeperForward",
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
]
