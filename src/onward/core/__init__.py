"""How anything here learns: blocks, spans, one update, one trainer, one learner. Imports torch alone."""

from onward.core.block import LocalBlock, detach
from onward.core.learner import Evidence, Learner
from onward.core.optimizer import BlockOptimizer
from onward.core.pieces import Piece, split
from onward.core.seeds import current_seed, derive_seed, seeded
from onward.core.settings import TrainerSettings, check_choices
from onward.core.slots import Auxiliary, Evidences, Goodness, InferenceRule, Objective, Stream, Supervision, Target
from onward.core.span import Span, Turns, alternating, chunks, each, interleaved, pairs, whole
from onward.core.trainer import LocalTrainer
from onward.core.update import local_update

__all__ = [
    "Auxiliary",
    "BlockOptimizer",
    "Evidence",
    "Evidences",
    "Goodness",
    "InferenceRule",
    "Learner",
    "LocalBlock",
    "LocalTrainer",
    "Objective",
    "Piece",
    "Span",
    "Stream",
    "Supervision",
    "Target",
    "TrainerSettings",
    "Turns",
    "alternating",
    "check_choices",
    "chunks",
    "current_seed",
    "derive_seed",
    "detach",
    "each",
    "interleaved",
    "local_update",
    "pairs",
    "seeded",
    "split",
    "whole",
]
