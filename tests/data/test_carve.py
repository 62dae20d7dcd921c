"""Carving: disjoint, complete, stratified, fixed by the seed."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.data import carve


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.floats(0.01, 0.99), st.integers(0, 2**40), st.randoms())
def test_carve_is_an_exact_stratified_partition(counts, fraction, seed, random):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    kept, carved = (index.tolist() for index in carve(torch.tensor(labels), fraction, seed))
    assert kept == sorted(kept) and carved == sorted(carved)
    assert sorted(kept + carved) == list(range(len(labels)))
    found = Counter(labels[index] for index in carved)
    for label, count in enumerate(counts):
        assert 1 <= found[label] <= count - 1
        assert abs(found[label] - fraction * count) <= 1


def test_exact_share_when_it_divides():
    labels = torch.arange(10).repeat(100)
    _, carved = carve(labels, 0.1, 3)
    assert labels[carved].bincount().tolist() == [10] * 10


def test_the_seed_decides():
    labels = torch.arange(4).repeat(50)
    first, again, other = (carve(labels, 0.2, seed)[1].tolist() for seed in (0, 0, 1))
    assert first == again and first != other


def test_every_image_can_be_carved():
    labels = torch.zeros(10).long()
    seen = {index for seed in range(100) for index in carve(labels, 0.1, seed)[1].tolist()}
    assert seen == set(range(10))


def test_the_choice_never_changes_between_versions():
    assert carve(torch.arange(3).repeat(5), 0.4, 7)[1].tolist() == PINNED


PINNED = [0, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_fraction_must_leave_both_sides(fraction):
    with pytest.raises(ValueError, match=r"must be a number in \(0, 1\)"):
        carve(torch.tensor([0, 0, 1, 1]), fraction, 0)


def test_a_single_image_is_named():
    with pytest.raises(ValueError, match="class 1 has a single sample"):
        carve(torch.tensor([0, 0, 1]), 0.5, 0)
    with pytest.raises(ValueError, match="class 'dog' has a single sample"):
        carve(torch.tensor([0, 0, 1]), 0.5, 0, class_names=("cat", "dog"))
    with pytest.raises(ValueError, match="single sample is left to split"):
        carve(torch.tensor([0]), 0.5, 0, class_names=("value",))


@pytest.mark.parametrize(("labels", "found"), [([0, -2], "label -2"), ([], "no labels")])
def test_only_class_indices_can_be_carved(labels, found):
    with pytest.raises(ValueError, match=found):
        carve(torch.tensor(labels, dtype=torch.int64), 0.5, 0)
