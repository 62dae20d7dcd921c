"""First blocks: another rule, to which the blocks behind do not exist."""

import pytest
import torch

from evidence import made_up
from onward.parts.inference.first_blocks import FirstBlocks
from onward.parts.inference.scores import BestRange, LastGoodness, LinearReadout, SumGoodness


def test_the_inner_rule_sees_the_first_blocks_alone():
    scores = torch.randn(4, 5, 3)
    assert torch.equal(FirstBlocks(LastGoodness(), 3)(made_up(block_scores=scores)), scores[2])
    torch.testing.assert_close(FirstBlocks(SumGoodness(), 2)(made_up(block_scores=scores)), scores[0] + scores[1])


def test_fitting_it_does_not_see_the_blocks_behind():
    labels = torch.tensor([0, 1, 2, 1])
    right = torch.nn.functional.one_hot(labels, 3).float()
    wrong = right.roll(1, dims=1)
    scores = torch.stack([wrong, 0.4 * right, wrong * 0.1, 9 * right])  # the last one alone is right too
    rule = FirstBlocks(BestRange(), 3)
    rule.fit(lambda: (), lambda: [(made_up(block_scores=scores), labels)])
    assert isinstance(rule.rule, BestRange)
    assert (int(rule.rule.first), int(rule.rule.last)) == (1, 1)
    assert rule.blocks_needed(4) == 2


def test_it_reaches_no_further_than_its_blocks():
    assert FirstBlocks(SumGoodness(), 3).blocks_needed(4) == 3
    assert FirstBlocks(SumGoodness(), 3).blocks_needed(2) == 2
    assert FirstBlocks(BestRange(), 3).blocks_needed(4) == 3


def test_a_rule_that_reads_more_than_scores_is_refused():
    with pytest.raises(ValueError, match="LinearReadout reads more than the scores"):
        FirstBlocks(LinearReadout(3), 2)
