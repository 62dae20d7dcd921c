"""Names of recipes: what they were called before finds them, and nothing finds another one."""

from pathlib import Path

import pytest

from onward.recipes import CONTROLS, ROWS, control, current, find, former, nearest
from onward.recipes.aliases import ALIASES, GONE
from onward.recipes.known import find_recipe

_RESULTS = Path(__file__).parents[2] / "results"


def test_no_name_of_before_is_that_of_a_row_or_a_control_of_today():
    today = {*ROWS, *(f"{kind}-{name}" for kind in CONTROLS for name in ROWS)}
    assert not today & {*ALIASES, *GONE}
    assert not ALIASES.keys() & GONE.keys()


def test_every_name_of_before_leads_to_a_row_or_to_a_control():
    for name in (*ALIASES.values(), *GONE.values()):
        assert find(name, ROWS) is not None and current(name, ROWS) == name


def test_former_names_are_those_that_are_found_again():
    for name in (*ROWS, *(f"{kind}-{row}" for kind in CONTROLS for row in ROWS)):
        assert all(current(old, ROWS) == name for old in former(name))
    assert former("asge-mnist-cpu") == ("asge-mnist-fast",)
    assert former("backprop-asge-mnist-cpu") == ("backprop-asge-mnist-fast",)
    assert former("accumulate-deeper_forward-digits") == (
        "backprop_accumulated-deeper_forward-digits",
        "backprop_accumulated-digits",
    )


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("asge-mnist-fast", "asge-mnist-cpu"),
        ("backprop-digits", "backprop-deeper_forward-digits"),
        ("backprop-asge-mnist-fast", "backprop-asge-mnist-cpu"),
        ("backprop-cifar100-vgg8b", "backprop-predsim-cifar100"),
        ("deep_supervision-airbench-cifar10", "deep_supervision-predsim-cifar10-cross_entropy-cpu"),
        ("backprop_recompute-distance_forward-cifar10-fast", "recompute-distance_forward-cifar10-cpu"),
        ("backprop_accumulated-mnist-mlp", "accumulate-forward_forward-mnist"),
        ("random_features-digits", "random_features-digits"),
        ("somebodys-row", "somebodys-row"),
        ("backprop-somebodys-row", "backprop-somebodys-row"),
    ],
)
def test_a_name_of_before_is_todays(old: str, today: str):
    assert current(old, ROWS) == today


def test_a_control_of_a_row_that_is_not_ours_is_found_by_its_name():
    (row,) = {"somebodys-row": next(iter(ROWS.values()))}.values()
    assert find("recompute-somebodys-row", {"somebodys-row": row}) == control(row, "recompute")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("ffgaf_snn-cifar10-fast", "ffgaf_snn-cifar10"),
        ("deep_supervision-hcl_ff-cifar100-fast", "deep_supervision-hcl_ff-cifar100"),
        ("backprop-vgg14-mnist-fast", "backprop-deeper_forward-mnist-vgg14"),
        ("backprop_recompute-vgg14-mnist-fast", "recompute-deeper_forward-mnist-vgg14"),
    ],
)
def test_a_row_that_was_taken_out_is_answered_with_the_nearest(name: str, instead: str):
    assert nearest(name) == instead
    with pytest.raises(ValueError, match=f"'{name}' was taken out.*the nearest is {instead}$"):
        find_recipe(name)


def test_what_is_on_record_or_planned_is_there():
    recorded = {path.name for path in (_RESULTS / "runs").iterdir()}
    plan = (_RESULTS / "queue.txt").read_text().splitlines()
    planned = {line.split()[0] for line in plan if line.strip() and not line.startswith("#")}
    assert len(recorded) > 150 and len(planned) > 20
    assert [name for name in recorded | planned if find(name, ROWS) is None] == []
