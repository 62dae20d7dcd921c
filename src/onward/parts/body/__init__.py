"""Bodies: what is put around or inside a block's layers: feedback, spikes, recurrence, frozen weights."""

from onward.parts.body.collaboration import Collaboration, collaborate, scored, with_feedback
from onward.parts.body.direct_feedback import Detached, DirectFeedback, TopError, Wire
from onward.parts.body.exact import Inexact, exact
from onward.parts.body.feedback import RandomFeedback, with_random_feedback
from onward.parts.body.frozen import follow_data, frozen, thawed
from onward.parts.body.kind import gives_maps
from onward.parts.body.recurrent import Apart, LabelOnTop, NextLayer, RecurrentLayer, Settle
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

__all__ = [
    "Apart",
    "ClassDifficulty",
    "Coding",
    "Collaboration",
    "Detached",
    "DirectFeedback",
    "EachStep",
    "Inexact",
    "LabelOnTop",
    "NextLayer",
    "OfPotential",
    "RandomFeedback",
    "RecurrentLayer",
    "Settle",
    "SpikesOnly",
    "SpikingLayer",
    "TopError",
    "Wire",
    "collaborate",
    "encode",
    "exact",
    "follow_data",
    "frozen",
    "gives_maps",
    "integrate_and_fire",
    "scored",
    "spike_rates",
    "thawed",
    "trace_weights",
    "with_feedback",
    "with_random_feedback",
]
