"""Inference rules: from what the blocks say to class scores."""

from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evidence import made_up
from onward.core import Evidence
from onward.parts.inference.scores import (
    BestBlock,
    BestRange,
    HeadGoodness,
    LastGoodness,
    LinearReadout,
    SumGoodness,
)
from onward.parts.inference.views import Mirrored

Split = Callable[[], Iterable[tuple[Evidence, Tensor]]]


def _nothing() -> Iterable[tuple[Evidence, Tensor]]:
    raise AssertionError("this split must not be read")


def _split(scores: Tensor, labels: Tensor, batch_size: int) -> Split:
    def read() -> Iterable[tuple[Evidence, Tensor]]:
        for start in range(0, len(labels), batch_size):
            part = slice(start, start + batch_size)
            yield made_up(block_scores=scores[:, part]), labels[part]

    return read


@pytest.mark.parametrize("start", [0, 1, 2])
def test_sum_goodness_adds_the_blocks_from_its_start_on(start: int):
    scores = torch.randn(3, 5, 4)
    expected = torch.zeros(5, 4)
    for block in range(start, 3):
        expected += scores[block]
    torch.testing.assert_close(SumGoodness(start)(made_up(block_scores=scores)), expected)


def test_rules_over_blocks_leave_out_a_head():
    """With a head behind them, the blocks read as they do alone, before and after a rule is fitted."""
    scores, labels = torch.randn(4, 30, 4), torch.arange(30) % 4
    scores[3] = 9 * torch.nn.functional.one_hot(labels, 4)  # the head is always right, and would be chosen
    seen, alone = made_up(block_scores=scores, heads=1), made_up(block_scores=scores[:3])
    for rule in (SumGoodness(), SumGoodness(1), SumGoodness(7), LastGoodness(), BestBlock(), BestRange()):
        assert torch.equal(rule(seen), rule(alone)) and not rule.reads_head
        rule.fit(_nothing, lambda: [(seen, labels)])
        fitted = rule(seen)
        rule.fit(_nothing, lambda: [(alone, labels)])
        assert torch.equal(fitted, rule(alone))
    assert torch.equal(HeadGoodness()(seen), scores[3]) and HeadGoodness().reads_head
    assert not Mirrored(LastGoodness()).reads_head and Mirrored(HeadGoodness()).reads_head


def test_sum_goodness_of_a_network_that_ends_before_its_start_reads_the_last_block():
    scores = torch.randn(1, 5, 4)
    assert torch.equal(SumGoodness(start=1)(made_up(block_scores=scores)), scores[0])


def test_last_goodness_reads_the_last_block():
    scores = torch.randn(3, 5, 4)
    assert torch.equal(LastGoodness()(made_up(block_scores=scores)), scores[2])


def test_rules_give_permuted_scores_for_permuted_classes():
    scores, order = torch.randn(3, 5, 4), [2, 0, 3, 1]
    for rule in (SumGoodness(), LastGoodness(), BestRange()):
        expected = rule(made_up(block_scores=scores))[:, order]
        torch.testing.assert_close(rule(made_up(block_scores=scores[:, :, order])), expected)


def _brute_force(scores: Tensor, labels: Tensor) -> tuple[int, int]:
    """Scan ends outside and starts inside, both upwards, and keep strict improvements: the released code."""
    best, kept = -1, (-1, -1)
    for last in range(len(scores)):
        for first in range(last + 1):
            total = sum(scores[block] for block in range(first, last + 1))
            assert isinstance(total, Tensor)
            correct = int((total.argmax(dim=1) == labels).sum())
            if correct > best:
                best, kept = correct, (first, last)
    return kept


def _fitted(scores: Tensor, labels: Tensor, batch_size: int) -> BestRange:
    rule = BestRange()
    rule.fit(_nothing, _split(scores, labels, batch_size))
    return rule


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 20), st.integers(1, 9))
def test_best_range_equals_brute_force(seed: int, num_blocks: int, size: int, batch_size: int):
    """Small whole numbers: many ties, and sums that are exact in any order."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-3, 4, (num_blocks, size, 3), generator=generator).float()
    labels = torch.randint(0, 3, (size,), generator=generator)
    rule = _fitted(scores, labels, batch_size)
    first, last = _brute_force(scores, labels)
    assert (int(rule.first), int(rule.last)) == (first, last)
    assert torch.equal(rule(made_up(block_scores=scores)), scores[first : last + 1].sum(dim=0))


def _votes(*answers: list[int]) -> Tensor:
    """Scores [L, B, 2] of blocks that are sure of these classes."""
    return torch.stack([F.one_hot(torch.tensor(answer), 2).float() for answer in answers])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # all blocks right: the earliest end wins, and so the first block alone
        (_votes([0, 1], [0, 1], [0, 1]), (0, 0)),
        # block 0 wrong, blocks 1 and 2 right: ranges (1,1), (1,2), (2,2) tie; the earliest end wins
        (_votes([1, 0], [0, 1], [0, 1]), (1, 1)),
        # block 1 outvotes block 0: ranges (0,1) and (1,1) tie with the same end; the earliest start wins
        (torch.stack([_votes([1, 0])[0], 3 * _votes([0, 1])[0], _votes([1, 0])[0]]), (0, 1)),
        # nobody is ever right: every range ties
        (_votes([1, 0], [1, 0]), (0, 0)),
    ],
)
def test_best_range_breaks_ties_by_earliest_end_then_earliest_start(scores: Tensor, expected: tuple[int, int]):
    labels = torch.tensor([0, 1])
    assert _brute_force(scores, labels) == expected
    rule = _fitted(scores, labels, batch_size=1)
    assert (int(rule.first), int(rule.last)) == expected


def test_before_its_fit_best_range_adds_all_blocks_but_the_first():
    scores = torch.randn(4, 5, 3)
    assert torch.equal(BestRange()(made_up(block_scores=scores)), scores[1:].sum(dim=0))
    assert torch.equal(BestRange()(made_up(block_scores=scores[:1])), scores[0])


def test_the_best_range_is_saved():
    rule = _fitted(_votes([1, 0], [0, 1]), torch.tensor([0, 1]), 2)
    other = BestRange()
    other.load_state_dict(rule.state_dict())
    assert (int(other.first), int(other.last)) == (1, 1)


def _features(size: int, *, seed: int) -> tuple[list[Tensor], Tensor]:
    """Three blocks: noise, then maps and features in which each class has a direction of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (size,), generator=generator)
    noise = torch.randn(size, 5, 3, 3, generator=generator)
    maps = 0.5 * noise + F.one_hot(labels, 5)[:, :, None, None]
    features = 0.3 * torch.randn(size, 6, generator=generator) - F.one_hot(labels, 6)
    return [noise, maps, features], labels


def _features_split(size: int, *, seed: int) -> Split:
    blocks, labels = _features(size, seed=seed)

    def read() -> Iterable[tuple[Evidence, Tensor]]:
        for start in range(0, size, 90):
            part = slice(start, start + 90)
            yield made_up(handed_on=[block[part] for block in blocks]), labels[part]

    return read


def _readout() -> LinearReadout:
    return LinearReadout(4, steps=300, learning_rate=0.05)


def _accuracy(readout: LinearReadout) -> float:
    blocks, labels = _features(400, seed=2)
    return float((readout(made_up(handed_on=blocks)).argmax(dim=1) == labels).float().mean())


def test_linear_readout_learns_separable_features():
    readout = _readout()
    with pytest.raises(ValueError, match="not fitted yet"):
        _accuracy(readout)
    readout.fit(_features_split(600, seed=1), _nothing)
    assert _accuracy(readout) > 0.97


def test_linear_readout_reads_maps_as_their_means_from_its_start_on():
    readout, (blocks, _) = _readout(), _features(9, seed=3)
    readout.fit(_features_split(300, seed=1), _nothing)
    features = torch.cat([blocks[1].mean(dim=(2, 3)), blocks[2]], dim=1)
    expected = features @ readout.weight.T + readout.bias
    torch.testing.assert_close(readout(made_up(handed_on=blocks)), expected)


def test_linear_readout_is_the_same_where_bodies_compute_in_bf16():
    wide, narrow = _readout(), _readout()
    wide.fit(_features_split(300, seed=1), _nothing)
    blocks, _ = _features(9, seed=3)
    expected = wide(made_up(handed_on=blocks))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        narrow.fit(_features_split(300, seed=1), _nothing)
        assert torch.equal(narrow(made_up(handed_on=blocks)), expected)


def test_a_standardized_readout_is_a_plain_one_of_features_standardized_by_hand():
    standardized = LinearReadout(4, steps=300, learning_rate=0.05, standardize=True)
    standardized.fit(_features_split(300, seed=1), _nothing)
    blocks, _ = _features(300, seed=1)
    features = torch.cat([blocks[1].mean(dim=(2, 3)), blocks[2]], dim=1)
    variances = features.var(dim=0, correction=0)
    scales = (variances + variances.mean() / 100).sqrt()

    def by_hand(size: int, seed: int) -> Tensor:
        blocks, _ = _features(size, seed=seed)
        return (torch.cat([blocks[1].mean(dim=(2, 3)), blocks[2]], dim=1) - features.mean(dim=0)) / scales

    plain = LinearReadout(4, start=0, steps=300, learning_rate=0.05)
    labels = _features(300, seed=1)[1]
    plain.fit(lambda: [(made_up(handed_on=[by_hand(300, 1)]), labels)], _nothing)
    found = standardized(made_up(handed_on=_features(9, seed=3)[0]))
    torch.testing.assert_close(found, plain(made_up(handed_on=[by_hand(9, 3)])), rtol=1e-3, atol=1e-3)


def test_a_second_fit_gives_the_same_readout_whatever_came_before():
    first, second = _readout(), _readout()
    first.fit(_features_split(300, seed=1), _nothing)
    torch.rand(3)
    second.fit(_features_split(300, seed=5), _nothing)
    second.fit(_features_split(300, seed=1), _nothing)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_fitting_the_readout_leaves_no_gradient_and_the_random_state_alone():
    readout, before = _readout(), torch.get_rng_state()
    readout.fit(_features_split(300, seed=1), _nothing)
    assert torch.equal(torch.get_rng_state(), before)
    assert not readout.weight.requires_grad and not readout.bias.requires_grad


def test_a_fitted_readout_is_stored_with_the_size_it_has():
    fitted, loaded = _readout(), _readout()
    fitted.fit(_features_split(300, seed=1), _nothing)
    loaded.load_state_dict(fitted.state_dict())
    blocks, _ = _features(9, seed=3)
    assert torch.equal(fitted(made_up(handed_on=blocks)), loaded(made_up(handed_on=blocks)))


def test_the_readout_can_be_fitted_where_no_gradients_are_recorded():
    readout = _readout()
    with torch.no_grad():
        readout.fit(_features_split(600, seed=1), _nothing)
    assert _accuracy(readout) > 0.97
