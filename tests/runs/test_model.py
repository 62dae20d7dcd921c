"""The model file: the same learner comes back, and nothing else is taken for one."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward.algorithms import ALGORITHMS, Backprop, DeeperForward, MonoForward
from onward.core import TrainerSettings
from onward.data import from_arrays
from onward.nets import MLP, NETS, Dense, ResNet17, TinyCNN
from onward.recipes import RECIPES, control
from onward.runs import ModelSpec, load_model, save_model, spec_for
from onward.storage.files import read_header, read_json, read_tensors, write_json, write_tensors
from onward.training import Evaluator
from toy_trainings import same_tensors


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_round_trips(algorithm, toy_data, tmp_path: Path):
    spec = spec_for(algorithm(), MLP(width=12, depth=3), toy_data)
    learner = spec.build(seed=5)
    Evaluator(learner, TrainerSettings()).fit_rules(toy_data.train, toy_data.validation)
    save_model(tmp_path, learner, spec)
    loaded, loaded_spec = load_model(tmp_path)
    assert loaded_spec == spec
    assert not loaded.training
    assert same_tensors(loaded.state_dict(), learner.state_dict())
    for rule in learner.rules:
        ours = learner.predict_scores(toy_data.test.pixels, rule=rule)
        assert torch.equal(loaded.predict_scores(toy_data.test.pixels, rule=rule), ours)


@pytest.mark.parametrize("net", NETS)
def test_every_net_round_trips(net, toy_data, tmp_path: Path):
    width = {MLP: {"width": 6, "depth": 2}, Dense: {"hidden": (6, 4)}}.get(net, {"width": 6})
    spec = spec_for(MonoForward(), net(**width), toy_data)  # takes any number of channels
    save_model(tmp_path, spec.build(), spec)
    assert load_model(tmp_path)[1].net == net(**width)


def test_weights_depend_on_the_seed_alone(toy_data):
    spec = spec_for(DeeperForward(), ResNet17(width=3), toy_data)
    torch.manual_seed(1)
    first = spec.build(seed=4).state_dict()
    torch.manual_seed(2)
    assert same_tensors(first, spec.build(seed=4).state_dict())
    assert not same_tensors(first, spec.build(seed=5).state_dict())


def test_backprop_starts_from_the_weights_of_the_algorithm_it_stands_beside(toy_data):
    local = spec_for(DeeperForward(), TinyCNN(width=6), toy_data).build(seed=4).state_dict()
    control = spec_for(Backprop(), TinyCNN(width=6), toy_data).build(seed=4).state_dict()
    bodies = [name for name in local if ".body." in name]
    assert bodies and all(torch.equal(local[name], control[name]) for name in bodies)


@pytest.mark.parametrize("classes", [2, 3, 4, 6, 7, 8, 12, 20])
def test_a_width_that_does_not_suit_the_classes_is_refused_with_one_that_does(classes: int):
    pixels, labels = torch.zeros(9 * classes, 1, 8, 8, dtype=torch.uint8), torch.arange(9 * classes) % classes
    data = from_arrays(pixels, labels)
    assert spec_for(Backprop(), TinyCNN(width=50), data).build()  # which has no groups of classes
    assert spec_for(DeeperForward(), TinyCNN(width=50 - 50 % classes), data).build()
    grouped = ((DeeperForward(), TinyCNN(width=50)), (MonoForward(), ResNet17(width=50, concat="by_class")))
    for algorithm, net in grouped:
        if 50 % classes:
            says = rf": a width of (\d+) fits {classes} classes \(--net\.width \1\)$"
            with pytest.raises(ValueError, match=says) as refused:
                spec_for(algorithm, net, data).build()
            width = int(str(refused.value).rpartition("a width of ")[2].partition(" ")[0])
            assert 50 < width < 50 + classes
            assert spec_for(algorithm, replace(net, width=width), data).build()


def test_only_label_in_input_keeps_the_pixel_range(toy_data):
    from onward.algorithms import ForwardForward

    assert spec_for(ForwardForward(), MLP(), toy_data).mean == (0.0,)
    mean, deviation = toy_data.channel_statistics()
    spec = spec_for(DeeperForward(), MLP(), toy_data)
    assert (spec.mean, spec.deviation) == (tuple(mean.tolist()), tuple(deviation.tolist()))


def test_a_model_of_another_format_is_refused(toy_data, tmp_path: Path):
    spec = spec_for(DeeperForward(), TinyCNN(width=6), toy_data)
    save_model(tmp_path, spec.build(), spec)
    content = read_json(tmp_path / "model.json")
    write_json(tmp_path / "model.json", {**content, "format": "onward-model-99"})
    with pytest.raises(ValueError, match="onward-model-99"):
        load_model(tmp_path)


def test_weights_of_another_network_are_refused(toy_data, tmp_path: Path):
    for name, width in (("a", 6), ("b", 9)):
        (tmp_path / name).mkdir()
        spec = spec_for(DeeperForward(), TinyCNN(width=width), toy_data)
        save_model(tmp_path / name, spec.build(), spec)
    (tmp_path / "b" / "model.safetensors").replace(tmp_path / "a" / "model.safetensors")
    with pytest.raises(ValueError, match="does not belong to"):
        load_model(tmp_path / "a")


def test_a_foreign_safetensors_file_is_refused(toy_data, tmp_path: Path):
    from safetensors.torch import save_file

    spec = spec_for(DeeperForward(), TinyCNN(width=6), toy_data)
    save_model(tmp_path, spec.build(), spec)
    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="no checksum"):
        load_model(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"model\.json does not exist"):
        load_model(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_flipped_bit_is_refused_or_harmless(toy_data, tmp_path: Path, data: st.DataObject):
    spec = spec_for(DeeperForward(), MLP(width=6, depth=2), toy_data)
    learner = spec.build()
    save_model(tmp_path, learner, spec)
    path = tmp_path / data.draw(st.sampled_from(["model.json", "model.safetensors"]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        loaded, loaded_spec = load_model(tmp_path)
    except ValueError as error:
        assert path.name in str(error)
    else:
        assert loaded_spec == spec and same_tensors(loaded.state_dict(), learner.state_dict())


def test_a_model_file_holds_plain_json_and_safetensors(toy_data, tmp_path: Path):
    spec = spec_for(DeeperForward(), MLP(width=6, depth=2), toy_data)
    save_model(tmp_path, spec.build(), spec)
    assert json.loads((tmp_path / "model.json").read_text())["algorithm"]["type"] == "DeeperForward"
    assert b"pickle" not in (tmp_path / "model.safetensors").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}


def test_a_model_saved_before_files_were_tied_is_read(toy_data, tmp_path: Path):
    spec = _saved(toy_data, tmp_path)
    content = read_json(tmp_path / "model.json")
    write_json(tmp_path / "model.json", {name: content[name] for name in content if not name.endswith("_sha256")})
    assert load_model(tmp_path)[1] == spec


def test_a_model_goes_into_a_new_folder(toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path / "deep" / "new")
    assert load_model(tmp_path / "deep" / "new")[1].net == MLP(width=6, depth=2)


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_model_file_stands_for_its_folder(name: str, toy_data, tmp_path: Path):
    spec = _saved(toy_data, tmp_path)
    assert load_model(tmp_path / name)[1] == spec


@dataclass(frozen=True)
class OwnNet(MLP):
    """A network that is not onward's."""


@pytest.mark.parametrize("fault", ["own class", "NaN weights", "infinite statistics", "another description", "half"])
def test_what_cannot_be_read_back_is_not_written_over_a_good_model(fault: str, toy_data, tmp_path: Path):
    spec = _saved(toy_data, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    learner, says = spec.build(), "not finite"
    if fault == "own class":
        spec, says = replace(spec, net=OwnNet(width=6, depth=2)), "OwnNet is not registered"
    elif fault == "NaN weights":
        next(learner.parameters()).data[0] = float("nan")
    elif fault == "infinite statistics":
        dict(learner.prepare.named_buffers())["deviation"].fill_(float("inf"))
    elif fault == "another description":
        spec, says = replace(spec, net=MLP(width=9, depth=2)), "learner and description do not fit"
    else:
        learner, says = learner.half(), "must be F32.*not F16"
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(ValueError, match=says):
            save_model(folder, learner, spec)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_model_before_it(toy_data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = _saved(toy_data, tmp_path)
    before = load_model(tmp_path)[0].state_dict()
    written, sync = [], os.fsync

    def full(handle: int) -> None:
        written.append(handle)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(tmp_path, spec.build(seed=3), spec)
    assert same_tensors(load_model(tmp_path)[0].state_dict(), before)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}


_BOMBS = [
    ("net", {"depth": 10_000_000}),
    ("net", {"depth": 2**62}),
    ("net", {"depth": 50_000}),
    ("net", {"width": 10_000_000}),
    ("net", {"width": 2**62}),
    ("net", {"type": "ResNet17", "width": 900_000, "dropout": 0.0, "concat": "append"}),
    ("net", {"type": "Airbench", "width": 1}),
    ("shape", [1, 1_000_000, 1_000_000]),
    ("shape", [1, 2**40, 2**40]),
    ("blocks", 1),
    ("mean", [0.0] * 3),
    ("class_names", ["a"]),
]


@pytest.mark.parametrize(("field", "value"), _BOMBS)
def test_a_description_that_is_not_that_of_the_weights_is_refused_at_once(field: str, value, toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path)
    content = read_json(tmp_path / "model.json")
    if field == "net":
        value = value if "type" in value else content["net"] | value
    write_json(tmp_path / "model.json", content | {field: value})
    before = time.process_time()
    with pytest.raises(ValueError, match=r"model\.json"):
        load_model(tmp_path)
    assert time.process_time() - before < 5


@pytest.mark.parametrize("field", ["algorithm", "net", "shape", "class_names", "mean", "deviation"])
@pytest.mark.parametrize("value", ["missing", None, [], {}, "x", 1e300, [[[]]], {"type": []}, {"type": "Recipe"}])
def test_a_wrong_form_in_a_description_names_file_and_field(field: str, value, toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path)
    content = read_json(tmp_path / "model.json") | {field: value}
    if value == "missing":
        del content[field]
    write_json(tmp_path / "model.json", content)
    with pytest.raises(ValueError, match=r"model\.json") as caught:
        load_model(tmp_path)
    assert field in str(caught.value) or field[:5] in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("blocks.0.body.1.1.weight"), r"blocks\.0\.body\.1\.1\.weight is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra belongs to no part"),
        (
            lambda t: t.update({"blocks.0.body.1.1.weight": torch.zeros(6, 63)}),
            r"must be F32 \[6, 64\], not F32 \[6, 63\]",
        ),
        (lambda t: t.update({"blocks.0.body.1.1.weight": torch.zeros(6, 64).double()}), r"must be F32 .*not F64"),
        (lambda t: t["blocks.0.body.1.1.weight"].fill_(float("nan")), "is not finite"),
    ],
)
def test_weights_that_are_not_those_of_the_network_name_the_tensor(change, says: str, toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path)
    tensors, notes = read_tensors(tmp_path / "model.safetensors")
    change(tensors)
    write_tensors(tmp_path / "model.safetensors", tensors, notes)
    content = read_json(tmp_path / "model.json")
    write_json(
        tmp_path / "model.json", content | {"weights_sha256": read_header(tmp_path / "model.safetensors").digest}
    )
    with pytest.raises(ValueError, match=rf"model\.safetensors does not fit .*{says}"):
        load_model(tmp_path)


def test_the_form_of_every_recipe_is_known_without_its_numbers():
    rows = [*RECIPES, *(control(row, "backprop") for row in RECIPES)]
    for recipe in {(type(r.algorithm), type(r.net)): r for r in rows}.values():
        shape = (3, 32, 32) if "cifar" in recipe.data.name else (1, 28, 28)
        names = tuple("abcdefghij" * (10 if recipe.data.name == "cifar100" else 1))
        spec = ModelSpec(recipe.algorithm, recipe.net, shape, names, (0.0,) * shape[0], (1.0,) * shape[0])
        forms = spec.forms({})
        assert forms.keys() > {"prepare.mean"} or recipe.net.whiten
        assert all(kind in ("F32", "I64", "BOOL") for _, kind in forms.values()), recipe.name


def test_a_model_is_read_without_torchs_compiler(toy_data, tmp_path: Path):
    spec = spec_for(DeeperForward(), TinyCNN(width=6), toy_data)
    save_model(tmp_path, spec.build(), spec)
    code = "import sys; from onward import load; load(sys.argv[1]); print('torch._dynamo' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code, str(tmp_path)], text=True).strip() == "False"


def _saved(data, folder: Path) -> ModelSpec:
    spec = spec_for(DeeperForward(), MLP(width=6, depth=2), data)
    save_model(folder, spec.build(), spec)
    return spec
