"""Class trees: their levels by hand, what is no tree, and clustering of vectors that have an obvious tree."""

import json
from itertools import pairwise

import pytest
import torch

from onward.parts.goodness.class_tree import levels_of, tree_of


def test_levels_are_cut_from_the_root_down_and_short_branches_stay_alone():
    levels = levels_of("[[0, 3], [2, [1, [4, 5]]]]", 6)
    assert levels == (
        (0, 1, 1, 0, 1, 1),  # {0 3} {2 1 4 5}
        (0, 3, 2, 1, 3, 3),  # {0} {3} {2} {1 4 5}
        (0, 3, 2, 1, 4, 4),
        (0, 3, 2, 1, 4, 5),
    )


@pytest.mark.parametrize("tree", ["[[0, 1], [2, 3]]", "[0, [1, [2, 3]]]", "[0, 1, 2, 3]"])
def test_every_level_refines_the_one_before_and_the_last_one_tells_all_apart(tree: str):
    levels = levels_of(tree, 4)
    for coarse, fine in pairwise(levels):
        pairs = set(zip(fine, coarse, strict=True))
        assert len(pairs) == len(set(fine)) > len(set(coarse))
    assert len(set(levels[-1])) == 4
    assert all(set(level) == set(range(len(set(level)))) for level in levels)  # numbered without gaps


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ("[[0, 1], [2]]", r"at least 2 branches; see \[2\]"),
        ("[[0, 1], 2.0]", r"see 2\.0"),
        ("[0, true, 2]", "see True"),
        ("[[0, 1], [3, 4]]", r"missing: \[2\], foreign or twice: \[3, 4\]"),
        ("[[0, 1], [1, 2]]", r"missing: \[\], foreign or twice: \[1\]"),
        ("0 1 2", "nested lists of class numbers"),
    ],
)
def test_what_is_no_tree_of_these_classes_is_refused(tree: str, told: str):
    with pytest.raises(ValueError, match=told):
        levels_of(tree, 3)


def test_vectors_that_lie_together_share_a_branch():
    far, near = torch.eye(3, dtype=torch.float64), 0.1 * torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    vectors = far[[0, 1, 2, 2, 1, 0]] + near  # pairs 0 5, 1 4, 2 3
    scales = torch.tensor([1.0, 9.0, 0.2, 5.0, 1.0, 3.0])[:, None]  # lengths do not matter
    tree = tree_of(scales * vectors)
    assert all(f"[{a}, {b}]" in tree or f"[{b}, {a}]" in tree for a, b in ((0, 5), (1, 4), (2, 3))), tree
    assert len(set(levels_of(tree, 6)[-1])) == 6


def test_the_first_merge_is_of_the_nearest_directions():
    angles = torch.tensor([0.0, 1.0, 1.1, 2.5])
    tree = json.loads(tree_of(torch.stack([angles.cos(), angles.sin()], dim=1)))
    assert [1, 2] in (tree[0], tree[1]) or any([1, 2] in branch for branch in tree if isinstance(branch, list))


def test_one_class_has_no_tree():
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        tree_of(torch.rand(1, 3))
