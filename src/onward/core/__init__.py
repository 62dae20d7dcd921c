"""The learning loop: blocks, spans, one update, one trainer, one learner. Imports torch and NumPy alone."""

from onward.core.batch_norm_error import batch_norm_remedies
from onward.core.block import LocalBlock, detach
from onward.core.captured import CapturedTrainer, CudaGraphs, Graphs, warn_uncaptured
from onward.core.columns import Column, is_frame
from onward.core.compiled import CompiledPrograms, check_compilable, recorded_programs
from onward.core.constants import constant, numbers
from onward.core.evidence import ObservedEvidence
from onward.core.form import KINDS, InputForm, Kind, kind_of, levels, measured
from onward.core.gradients import common_defaults, gradients_on
from onward.core.history import Description, EpochDone, Origin
from onward.core.inputs import LOST_SHARE, as_numbers, check_finite, check_images, check_labels, check_pairs
from onward.core.labels import (
    Task,
    check_names,
    check_several,
    check_values,
    class_indices,
    named_indices,
    names_in,
    numbered_names,
)
from onward.core.learner import Learner
from onward.core.micro_batches import Piece, split
from onward.core.optimizer import BlockOptimizer
from onward.core.ranges import (
    Count,
    Finite,
    NonNegative,
    Positive,
    Range,
    Seed,
    Share,
    ShareBelowOne,
    Size,
    Whole,
    check_fields,
    check_value,
)
from onward.core.rectified import rectify_, unrectified
from onward.core.renamed import former_names
from onward.core.rows_at_once import rows_at_once
from onward.core.seeds import current_seed, derive_seed, seeded
from onward.core.settings import TrainerSettings
from onward.core.slots import (
    IGNORED,
    Auxiliary,
    CollectedEvidence,
    Evidence,
    Evidences,
    Goodness,
    InferenceRule,
    Label,
    Objective,
    Stream,
    Supervision,
    TakesImages,
    TakesInputs,
    Target,
    WrappedGoodness,
    WrappedObjective,
)
from onward.core.snapshot import Snapshot
from onward.core.span import Span, Turns, alternating, chunks, each, interleaved, pairs, whole
from onward.core.trainer import LocalTrainer
from onward.core.update import local_update, update_span

__all__ = [
    "IGNORED",
    "KINDS",
    "LOST_SHARE",
    "Auxiliary",
    "BlockOptimizer",
    "CapturedTrainer",
    "CollectedEvidence",
    "Column",
    "CompiledPrograms",
    "Count",
    "CudaGraphs",
    "Description",
    "EpochDone",
    "Evidence",
    "Evidences",
    "Finite",
    "Goodness",
    "Graphs",
    "InferenceRule",
    "InputForm",
    "Kind",
    "Label",
    "Learner",
    "LocalBlock",
    "LocalTrainer",
    "NonNegative",
    "Objective",
    "ObservedEvidence",
    "Origin",
    "Piece",
    "Positive",
    "Range",
    "Seed",
    "Share",
    "ShareBelowOne",
    "Size",
    "Snapshot",
    "Span",
    "Stream",
    "Supervision",
    "TakesImages",
    "TakesInputs",
    "Target",
    "Task",
    "TrainerSettings",
    "Turns",
    "Whole",
    "WrappedGoodness",
    "WrappedObjective",
    "alternating",
    "as_numbers",
    "batch_norm_remedies",
    "check_compilable",
    "check_fields",
    "check_finite",
    "check_images",
    "check_labels",
    "check_names",
    "check_pairs",
    "check_several",
    "check_value",
    "check_values",
    "chunks",
    "class_indices",
    "common_defaults",
    "constant",
    "current_seed",
    "derive_seed",
    "detach",
    "each",
    "gradients_on",
    "interleaved",
    "is_frame",
    "kind_of",
    "levels",
    "local_update",
    "measured",
    "named_indices",
    "names_in",
    "numbered_names",
    "numbers",
    "pairs",
    "recorded_programs",
    "rectify_",
    "rows_at_once",
    "seeded",
    "split",
    "unrectified",
    "update_span",
    "warn_uncaptured",
    "whole",
]

__getattr__ = former_names(__name__, several_values="batch_norm_remedies")
