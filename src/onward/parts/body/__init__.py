"""Bodies: additions to a block's layers: feedback, spikes, recurrence, frozen weights."""

from onward.core.renamed import former_names
from onward.parts.body.collaboration import Collaboration, collaborate, scored, with_feedback
from onward.parts.body.direct_feedback import Detached, DirectFeedback, ErrorChannel, TopError
from onward.parts.body.exact import Inexact, exact
from onward.parts.body.feedback import RandomFeedback, with_random_feedback
from onward.parts.body.frozen import follow_data, frozen, thawed
from onward.parts.body.recurrent import LabelOnTop, NextLayer, RecurrentLayer, SettleStates, SplitStates
from onward.parts.body.spiking import (
    ClassDifficulty,
    Coding,
    EachStep,
    OfPotential,
    SpikesOnly,
    SpikingLayer,
    encode,
    integrate_and_fire,
    spike_rates,
    trace_weights,
)
from onward.parts.ops.feature_maps import outputs_feature_maps

__all__ = [
    "ClassDifficulty",
    "Coding",
    "Collaboration",
    "Detached",
    "DirectFeedback",
    "EachStep",
    "ErrorChannel",
    "Inexact",
    "LabelOnTop",
    "NextLayer",
    "OfPotential",
    "RandomFeedback",
    "RecurrentLayer",
    "SettleStates",
    "SpikesOnly",
    "SpikingLayer",
    "SplitStates",
    "TopError",
    "collaborate",
    "encode",
    "exact",
    "follow_data",
    "frozen",
    "integrate_and_fire",
    "outputs_feature_maps",
    "scored",
    "spike_rates",
    "thawed",
    "trace_weights",
    "with_feedback",
    "with_random_feedback",
]

__getattr__ = former_names(
    __name__, Apart="SplitStates", Settle="SettleStates", Wire="ErrorChannel", gives_maps="outputs_feature_maps"
)
