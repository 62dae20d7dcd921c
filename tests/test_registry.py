"""Registered names: whose they are, what is refused, and what is said of a name that nobody has."""

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

import onward
from onward import registry
from onward.algorithms import ALGORITHMS, Algorithm, MonoForward
from onward.cli.index import read_index
from onward.core import Learner
from onward.data import DataSettings
from onward.nets import MLP, NETS, Net
from onward.recipes import RECIPES
from onward.recipes.lookup import find_recipe, import_file
from onward.registry import Registry


@dataclass(frozen=True)
class Mine(MonoForward):
    """A method that is not from onward."""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of algorithms that is put back afterwards."""
    found = Registry("algorithms")
    monkeypatch.setattr(Algorithm, "registered_in", found)
    return found


def _announce(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Let an installed package announce names, each with the place of its class."""
    found = [metadata.EntryPoint(name, place, "onward.algorithms") for name, place in points.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda group: found if group == "onward.algorithms" else [])


def test_onwards_own_classes_have_their_own_names():
    assert all(registry.ALGORITHMS.find(cls.__name__) is cls for cls in ALGORITHMS)
    assert all(registry.NETS.name_of(cls) == cls.__name__ for cls in NETS)
    assert registry.ALGORITHMS.package_of(MonoForward) is None


def test_a_class_is_registered_as_a_decorator_does_it(fresh: Registry):
    assert onward.register(Mine) is Mine
    assert fresh.find("Mine") is Mine and fresh.name_of(Mine) == "Mine" and "Mine" in fresh
    assert fresh.name_of(MonoForward) is None  # found by identity, not by name or base


def test_another_name_and_older_names_find_the_same_class(fresh: Registry):
    onward.register(Mine, name="mine-2", aliases=("Mine", "OldMine"))
    assert [fresh.find(name) for name in ("mine-2", "Mine", "OldMine")] == [Mine] * 3
    assert fresh.name_of(Mine) == "mine-2"


def test_a_taken_name_is_refused_and_the_first_stays(fresh: Registry):
    fresh.add("Mine", MonoForward)
    with pytest.raises(ValueError, match=r"the name 'Mine' is taken by onward\..*MonoForward: register .*Mine by anot"):
        onward.register(Mine)
    with pytest.raises(ValueError, match="the name 'Mine' is taken"):
        onward.register(Mine, name="other", aliases=("Mine",))
    assert fresh.find("Mine") is MonoForward


def test_onwards_names_cannot_be_taken():
    class MLP(onward.nets.Architecture):
        def __call__(self, shape: tuple[int, int, int], num_classes: int) -> Net: ...

    with pytest.raises(ValueError, match=r"the name 'MLP' is taken by onward\.nets\.mlp\.MLP"):
        onward.register(MLP)


def test_a_cell_that_is_run_again_replaces_its_class(fresh: Registry):
    def cell() -> type:
        @dataclass(frozen=True)
        class Again(Algorithm):
            def __call__(self, net: Net, num_classes: int) -> Learner: ...

        return onward.register(Again)

    first, second = cell(), cell()
    assert first is not second and fresh.find("Again") is second


@pytest.mark.parametrize("name", ["", "a b", "../x", "[red]", "a" * 101, "-x", "é"])
def test_a_name_is_plain(fresh: Registry, name: str):
    with pytest.raises(ValueError, match="is no name of algorithms"):
        fresh.add(name, Mine)


@pytest.mark.parametrize("value", [3, "Mine", object(), None, int], ids=["number", "text", "object", "none", "class"])
def test_what_is_none_of_the_kinds_is_refused(value: object):
    with pytest.raises(ValueError, match="cannot be registered: give a class of Algorithm or Architecture, a recipe"):
        onward.register(value)


def test_an_object_in_place_of_its_class_is_refused():
    with pytest.raises(ValueError, match=r"MLP\(.*is an object: register its class, MLP"):
        onward.register(MLP())


def test_data_sets_are_functions_and_recipes_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch):
    data, recipes = Registry("data"), Registry("recipes")
    monkeypatch.setattr(registry, "DATA", data)
    monkeypatch.setattr(registry, "RECIPES", recipes)
    monkeypatch.setattr(type(RECIPES[0]), "registered_in", recipes)

    def clouds(settings: DataSettings, data_dir: object = None) -> object: ...

    onward.register(clouds)
    onward.register(RECIPES[:2])
    assert data.find("clouds") is clouds
    assert recipes.names() == sorted(recipe.name for recipe in RECIPES[:2])


def test_an_entry_point_is_imported_only_when_its_name_is_asked_for(fresh: Registry, monkeypatch: pytest.MonkeyPatch):
    _announce(monkeypatch, Mine=f"{__name__}:Mine", Other="no_such_module:Other")
    assert fresh.names() == ["Mine", "Other"]
    assert fresh.find("Mine") is Mine


def test_a_class_finds_the_entry_point_that_announces_it(fresh: Registry, monkeypatch: pytest.MonkeyPatch):
    _announce(monkeypatch, mine=f"{__name__}:Mine")
    assert fresh.name_of(Mine) == "mine"


def test_a_package_that_cannot_be_imported_is_named(fresh: Registry, monkeypatch: pytest.MonkeyPatch):
    _announce(monkeypatch, Other="no_such_module:Other")
    said = (
        r"algorithm 'Other' of the entry point no_such_module:Other cannot be imported \(ModuleNotFoundError: No modu"
    )
    with pytest.raises(ValueError, match=said):
        fresh.find("Other")


def test_an_unknown_name_says_what_to_do(fresh: Registry):
    with pytest.raises(
        ValueError, match="unknown algorithm 'Nowhere'; install the package that has it, or call onward"
    ):
        fresh.find("Nowhere")
    with pytest.raises(
        ValueError, match="it came with 'onward-example': install that package, or import it where it c"
    ):
        fresh.find("Nowhere", package="onward-example")


def test_a_name_with_underscores_is_known_in_every_spelling(fresh: Registry):
    onward.register(Mine, name="my_own")
    assert [fresh.spelled(name) for name in ("my_own", "My-Own", "myown", "own")] == ["my_own"] * 3 + [None]
    onward.register(type("Other", (Mine,), {}), name="MyOwn")
    assert [fresh.spelled(name) for name in ("my_own", "MyOwn", "myown")] == ["my_own", "MyOwn", None]


def test_files_of_one_name_do_not_replace_each_others_classes(fresh: Registry, tmp_path: Path):
    source = "import onward\n\n@onward.register\nclass Same(onward.algorithms.MonoForward): ...\n"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twice.py").write_text(source)
    import_file(tmp_path / "a/twice.py")
    held = fresh.find("Same")
    with pytest.raises(ValueError, match=r"taken by Same of .*a/twice\.py: register Same of .*b/twice"):
        import_file(tmp_path / "b/twice.py")
    assert fresh.find("Same") is held and fresh.package_of(held) == "twice.py"
    assert import_file(tmp_path / "a/twice.py").Same is held


def test_a_recipe_of_an_imported_file_is_known_by_its_name(tmp_path: Path, request: pytest.FixtureRequest):
    request.addfinalizer(lambda: sys.modules.pop(f"{registry.FILE_PREFIX}my_rows", None))
    row = "replace(recipe('mono_forward-digits'), name='mono_forward-of_a_file', epochs=1)"
    (tmp_path / "my_rows.py").write_text(f"from dataclasses import replace\nfrom onward import recipe\nMINE = {row}\n")
    with pytest.raises(ValueError, match="unknown recipe"):
        find_recipe("mono_forward-of_a_file")
    import_file(tmp_path / "my_rows.py")
    assert find_recipe("mono_forward-of_a_file") == find_recipe(f"{tmp_path / 'my_rows.py'}:MINE")
    assert find_recipe("backprop-mono_forward-of_a_file").name == "backprop-mono_forward-of_a_file"
    assert [row.method for row in read_index().recipes if row.name == "mono_forward-of_a_file"] == ["MonoForward"]
