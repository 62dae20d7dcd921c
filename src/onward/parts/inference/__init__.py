"""Inference rules: how the goodness of all blocks becomes class scores."""

from onward.core.renamed import former_names
from onward.parts.inference.early_exit import (
    EarlyExit,
    block_costs,
    confidence,
    lowest_threshold,
    predict_early,
    trade_off,
)
from onward.parts.inference.exit_heads import ExitHeads, predict_through_heads
from onward.parts.inference.numbers import MeanValues, SumLabels
from onward.parts.inference.scores import BestBlock, BestRange, HeadGoodness, LastGoodness, LinearReadout, SumGoodness
from onward.parts.inference.views import Mirrored, Shifted, Views, from_views
from onward.parts.inference.votes import SumVotes

__all__ = [
    "BestBlock",
    "BestRange",
    "EarlyExit",
    "ExitHeads",
    "HeadGoodness",
    "LastGoodness",
    "LinearReadout",
    "MeanValues",
    "Mirrored",
    "Shifted",
    "SumGoodness",
    "SumLabels",
    "SumVotes",
    "Views",
    "block_costs",
    "confidence",
    "from_views",
    "lowest_threshold",
    "predict_early",
    "predict_through_heads",
    "trade_off",
]

__getattr__ = former_names(
    __name__,
    gone={
        "mirrored": "from_views(rules, mirrored=wanted) is the same",
        "BlockGoodness": "HeadGoodness reads the head, LastGoodness the last block before it, "
        "and BestBlock, after choose(index), the block of that number",
        "FirstBlocks": "mark the head, LocalBlock(..., head=True): rules over blocks leave it out",
    },
)
