"""Distributed: the same spans over many processes; what one stage hands on travels to the next, and nothing back."""

from onward.distributed.faults import PATIENCE, PipelineFault
from onward.distributed.message import Message, Wire
from onward.distributed.placement import Stages, place, possible_cuts, stages_of
from onward.distributed.ranks import Ranks, join
from onward.distributed.replicas import SharedOptimizer, add_up, check_replicas, greatest
from onward.distributed.simulate import Prediction, Wires, simulate
from onward.distributed.stage import StageForward, carve, evaluating, own_turns, reach, step_content, step_message
from onward.distributed.whole_batch import see_whole_batch

__all__ = [
    "PATIENCE",
    "Message",
    "PipelineFault",
    "Prediction",
    "Ranks",
    "SharedOptimizer",
    "StageForward",
    "Stages",
    "Wire",
    "Wires",
    "add_up",
    "carve",
    "check_replicas",
    "evaluating",
    "greatest",
    "join",
    "own_turns",
    "place",
    "possible_cuts",
    "reach",
    "see_whole_batch",
    "simulate",
    "stages_of",
    "step_content",
    "step_message",
]
