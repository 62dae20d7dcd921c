"""The model file: the same learner comes back, and nothing else is taken for one."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_toys import same_tensors

from onward.algorithms import ALGORITHMS, DeeperForward, MonoForward
from onward.core import TrainerSettings
from onward.nets import MLP, NETS, ResNet17, TinyCNN
from onward.runs import Evaluator, load_model, save_model, spec_for
from onward.runs.files import read_json, write_json


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
    width = {"width": 6} if net is not MLP else {"width": 6, "depth": 2}
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
    from onward.algorithms import Backprop

    local = spec_for(DeeperForward(), TinyCNN(width=6), toy_data).build(seed=4).state_dict()
    control = spec_for(Backprop(), TinyCNN(width=6), toy_data).build(seed=4).state_dict()
    bodies = [name for name in local if ".body." in name]
    assert bodies and all(torch.equal(local[name], control[name]) for name in bodies)


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
    with pytest.raises(ValueError, match="does not fit"):
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
