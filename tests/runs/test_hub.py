"""The hub: a learner is put there with its card and read back, weights and JSON alone; what is asked is told apart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub_double import Hub, hub

import onward
from onward.core import Learner
from onward.recipes import Recipe
from onward.runs import RunOptions, train
from onward.runs.hub import is_hub_name, publish
from onward.runs.model import ModelSpec, spec_for

constants = pytest.importorskip("huggingface_hub.constants", reason="needs huggingface_hub")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    with hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        files = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        yield server


@pytest.fixture
def learner(toy_data) -> Learner:
    return spec_for(onward.algorithms.MonoForward(), onward.nets.MLP(width=6, depth=2), toy_data).build()


def test_what_is_put_on_the_hub_is_read_back(server: Hub, learner: Learner, toy_data):
    address = learner.push_to_hub("user/bars", token="hf_test")
    assert address == f"{server.address}/user/bars"
    assert sorted(server.repos["user/bars"]) == ["README.md", "model.json", "model.safetensors"]
    read = onward.load("user/bars")
    images = toy_data.test.pixels
    assert torch.equal(read.predict_scores(images), learner.predict_scores(images)) and not read.training


def test_code_in_a_repository_is_not_even_read(server: Hub, learner: Learner):
    learner.push_to_hub("user/bars", token="hf_test")
    server.repos["user/bars"] |= {"model.py": b"raise SystemExit", "weights.pkl": b"\x80\x04."}
    server.asked.clear()
    onward.load("user/bars")
    read = {line.split("/resolve/")[1].split("/", 1)[1] for line in server.asked if "/resolve/" in line}
    assert read == {"model.json", "model.safetensors"}


class Bars(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 6), torch.nn.Linear(6, 6)])
        self.head = torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)


def test_a_model_of_ones_own_is_put_on_the_hub_and_read_back(server: Hub):
    batch = (torch.rand(8, 4), torch.arange(8) % 3)
    local = onward.local(Bars(), batch, onward.algorithms.MonoForward(), cut=["layers.0"])
    local.step(batch)
    assert local.push_to_hub("user/own", token="hf_test") == f"{server.address}/user/own"
    assert sorted(server.repos["user/own"]) == ["README.md", "local.safetensors"]
    text = server.repos["user/own"]["README.md"].decode()
    assert "Bars, 93 weights, trained by MonoForward in 2 blocks" in text and "Cut behind: `layers.0`" in text
    server.asked.clear()
    read = onward.load("user/own", model=Bars())
    assert not any("README" in line for line in server.asked if "/resolve/" in line)
    assert torch.equal(read.predict_scores(batch), local.predict_scores(batch))
    assert torch.equal(read.step(batch), local.step(batch)), "the training does not go on"
    with pytest.raises(ValueError, match=r"user/own on the hub is no model of onward.*into a module, load\(path, mod"):
        onward.load("user/own")


def test_a_learner_on_the_hub_is_not_read_into_a_module(server: Hub, learner: Learner):
    learner.push_to_hub("user/bars", token="hf_test")
    with pytest.raises(ValueError, match=r"has no local\.safetensors; a learner is read without a module"):
        onward.load("user/bars", model=Bars())


def test_a_card_that_is_there_stays(server: Hub, learner: Learner):
    learner.push_to_hub("user/bars", token="hf_test")
    server.repos["user/bars"]["README.md"] = b"edited by hand"
    learner.push_to_hub("user/bars", token="hf_test")
    assert server.repos["user/bars"]["README.md"] == b"edited by hand"


def test_what_is_not_there_is_told_apart(server: Hub, learner: Learner, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match=r"user/none is no folder here, and cannot be read from the hub"):
        onward.load("user/none")
    server.repos["user/other"] = {"config.json": b"{}"}
    with pytest.raises(ValueError, match=r"user/other on the hub is no model of onward: it has no model.json"):
        onward.load("user/other")
    with pytest.raises(ValueError, match=r"repo is 'bars': give the name of a model on the hub"):
        learner.push_to_hub("bars")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing answers
    with pytest.raises(OSError, match=r"user/bars cannot be put on the hub \(.+\): look at the name, the network"):
        learner.push_to_hub("user/bars", token="hf_test")


def test_a_damaged_model_is_refused(server: Hub, learner: Learner):
    learner.push_to_hub("user/bars", token="hf_test")
    server.repos["user/bars"]["model.safetensors"] += b"x"
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        onward.load("user/bars")


def test_a_folder_here_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert is_hub_name("user/model") and not is_hub_name("runs/typo") and not is_hub_name(Path("user/model"))
    assert not is_hub_name("a/b/c") and not is_hub_name("../model") and not is_hub_name("/user/model")


def test_the_card_of_a_run_says_what_it_came_to(toy_recipe: Recipe, place: RunOptions, tmp_path: Path):
    folder, result = train(replace(toy_recipe, epochs=1), place)
    learner = onward.load(folder.path)
    assert isinstance(learner.description, ModelSpec)
    publish(learner, learner.description, tmp_path / "new", name="user/toy")
    card = (tmp_path / "new" / "README.md").read_text()
    data = pytest.importorskip("huggingface_hub").ModelCard(card).data
    (found,) = data.eval_results
    assert (found.dataset_name, found.metric_value) == ("digits", round(result.test_accuracy, 4))
    assert data.pipeline_tag == "image-classification" and "DeeperForward" in data.tags
    assert f"`toy`, seed 0, on digits: accuracy {result.test_accuracy:.2%} on the test split" in card
    assert f"1 epochs; validation accuracy after the last one {learner.history[-1].validation_accuracy:.2%}" in card


def test_a_learner_that_learned_on_does_not_claim_the_accuracy_of_its_run(
    toy_recipe: Recipe, place: RunOptions, tmp_path: Path
):
    folder, result = train(replace(toy_recipe, epochs=1), place)
    learner = onward.load(folder.path)
    with torch.no_grad():
        next(learner.parameters()).mul_(1.5)
    assert isinstance(learner.description, ModelSpec)
    publish(learner, learner.description, tmp_path / "new", name="user/toy")
    card = (tmp_path / "new" / "README.md").read_text()
    assert "the weights have changed since" in card and f"{result.test_accuracy:.2%} on the test" not in card
    assert "model-index" not in card
