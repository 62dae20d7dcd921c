"""Pipelines: the same spans over many processes; each stage sends its output to the next one, and nothing back."""

from onward.pipeline.faults import PATIENCE, PipelineFault
from onward.pipeline.message import Message, MessagePrecision
from onward.pipeline.placement import Stages, place, possible_cuts, stages_of
from onward.pipeline.ranks import Ranks, join
from onward.pipeline.replicas import SharedOptimizer, add_up, check_replicas, greatest
from onward.pipeline.simulate import LinkSpeed, Prediction, simulate
from onward.pipeline.stage import StageForward, carve, step_content, step_message
from onward.pipeline.whole_batch import see_whole_batch

__all__ = [
    "PATIENCE",
    "LinkSpeed",
    "Message",
    "MessagePrecision",
    "PipelineFault",
    "Prediction",
    "Ranks",
    "SharedOptimizer",
    "StageForward",
    "Stages",
    "add_up",
    "carve",
    "check_replicas",
    "greatest",
    "join",
    "place",
    "possible_cuts",
    "see_whole_batch",
    "simulate",
    "stages_of",
    "step_content",
    "step_message",
]
