"""Names of recipes: what they were called before finds them, and nothing finds another one."""

from pathlib import Path

import pytest

from onward.cli import main
from onward.cli.index import recipe_names
from onward.recipes import CONTROLS, ROWS, control, current, find, find_retired, former, nearest
from onward.recipes.aliases import ALIASES, RETIRED
from onward.recipes.lookup import find_recipe, known_recipes

_RESULTS = Path(__file__).parents[2] / "results"


def test_no_name_of_before_is_that_of_a_row_or_a_control_of_today():
    today = {*ROWS, *(f"{kind}-{name}" for kind in CONTROLS for name in ROWS)}
    assert not today & {*ALIASES, *RETIRED}
    assert not ALIASES.keys() & RETIRED.keys()


def test_every_name_of_before_leads_to_a_row_or_to_a_control():
    for name in (*ALIASES.values(), *RETIRED.values()):
        assert (find(name, ROWS) or find_retired(name)) is not None and current(name, ROWS) == name


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
def test_a_retired_row_is_found_with_a_note_that_names_the_nearest(
    name: str, instead: str, capsys: pytest.CaptureFixture[str]
):
    assert nearest(name) == instead
    found = find_recipe(name)
    out, told = capsys.readouterr()
    assert out == "" and told.startswith(f"recipe '{name}' is retired: ") and told.count("\n") == 1
    assert told.endswith(f"; the nearest that is listed is {instead}\n")
    assert found == find_retired(found.name) and find(found.name, ROWS) is None


def test_a_control_that_a_retired_row_cannot_have_is_refused():
    with pytest.raises(ValueError, match="cafo_least_squares-mnist has no control deep_supervision"):
        find_recipe("deep_supervision-cafo_least_squares-mnist")


def test_a_retired_row_is_shown_and_is_in_no_list(capsys: pytest.CaptureFixture[str]):
    assert main(["show", "backprop_recompute-vgg14-mnist-fast"]) == 0
    out, told = capsys.readouterr()
    assert out.startswith("recompute-deeper_forward-vgg14-mnist-fast\nRecipe(\n") and "is retired" in told
    assert main(["list"]) == 0
    out, told = capsys.readouterr()
    assert not [name for name in RETIRED if f" {name} " in out] and told == ""
    assert not {*recipe_names(), *known_recipes()} & {*RETIRED}


def test_what_is_on_record_or_planned_is_there():
    recorded = {path.name for path in (_RESULTS / "runs").iterdir()}
    plan = (_RESULTS / "queue.txt").read_text().splitlines()
    planned = {line.split()[0] for line in plan if line.strip() and not line.startswith("#")}
    assert len(recorded) > 150 and len(planned) > 20
    assert [name for name in recorded | planned if find(name, ROWS) is None] == []
