"""Export: a smaller model folder that predicts the same with the rule that it kept."""

import errno
import os
from pathlib import Path

import pytest
import torch

from onward.algorithms import Backprop, DeeperForward, ForwardForward, MonoForward, PredSim
from onward.core import Learner
from onward.data import Splits
from onward.nets import MLP, ResNet17, TinyCNN
from onward.parts.inference.scores import BestRange
from onward.runs import ModelSpec, export_model, load_model, save_model, spec_for, truncate
from onward.storage.files import read_json, write_json
from toy_trainings import same_tensors


def _saved(data: Splits, folder: Path, *, last: int = 5) -> tuple[Learner, ModelSpec]:
    """A ResNet17 whose best range is blocks 2 to `last`, in a folder."""
    spec = spec_for(DeeperForward(), ResNet17(width=3), data)
    learner = spec.build(seed=2).eval()
    rule = learner.rules["best_range"]
    assert isinstance(rule, BestRange)
    rule.choose(2, last)
    folder.mkdir()
    save_model(folder, learner, spec)
    return learner, spec


def test_an_exported_model_is_smaller_and_predicts_the_same(toy_data, tmp_path: Path):
    learner, spec = _saved(toy_data, tmp_path / "run")
    export = export_model(tmp_path / "run", tmp_path / "deep" / "small")
    loaded, loaded_spec = load_model(tmp_path / "deep" / "small")
    pixels = toy_data.test.pixels
    assert torch.equal(loaded.predict_scores(pixels), learner.predict_scores(pixels))
    assert (len(loaded.blocks), list(loaded.rules), loaded.training) == (6, ["best_range"], False)
    assert (loaded_spec.blocks, loaded_spec.rule) == (6, "best_range")
    assert (loaded_spec.net, loaded_spec.class_names) == (spec.net, spec.class_names)
    assert (export.rule, export.before.blocks, export.after.blocks) == ("best_range", 17, 6)
    # Counted by hand: 1 -> 3, four of 3 -> 3, then 6 -> 6 channels, 3x3 each.
    assert export.after.parameters == 9 * (3 + 4 * 9 + 36)
    assert export.before.parameters == sum(p.numel() for block in learner.blocks for p in block.parameters())
    assert export.after.file_bytes == (tmp_path / "deep/small/model.safetensors").stat().st_size
    assert export.before.file_bytes > 4 * (export.before.parameters - export.after.parameters) + export.after.file_bytes


def test_a_range_that_ends_at_the_last_block_leaves_nothing_out(toy_data, tmp_path: Path):
    learner, _ = _saved(toy_data, tmp_path / "run", last=16)
    export = export_model(tmp_path / "run", tmp_path / "out")
    loaded, _ = load_model(tmp_path / "out")
    assert export.before.parameters == export.after.parameters
    assert torch.equal(loaded.predict_scores(toy_data.test.pixels), learner.predict_scores(toy_data.test.pixels))


def test_an_export_can_be_exported_again(toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path / "run")
    export_model(tmp_path / "run", tmp_path / "once")
    export_model(tmp_path / "once", tmp_path / "twice")
    once, twice = (load_model(tmp_path / name) for name in ("once", "twice"))
    assert once[1] == twice[1] and same_tensors(once[0].state_dict(), twice[0].state_dict())


def test_the_recipe_goes_with_the_model(toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path / "run")
    write_json(tmp_path / "run" / "config.json", {"recipe": "a recipe"})
    export_model(tmp_path / "run", tmp_path / "out")
    assert read_json(tmp_path / "out" / "config.json") == {"recipe": "a recipe"}


def test_truncate_gives_a_learner_and_the_description_that_builds_it(toy_data, tmp_path: Path):
    learner, spec = _saved(toy_data, tmp_path / "run")
    shorter, shorter_spec = truncate(learner, spec)
    assert shorter_spec.build().state_dict().keys() == shorter.state_dict().keys()
    assert spec.blocks is None and len(spec.build().blocks) == 17


def test_a_folder_that_is_not_empty_is_left_alone(toy_data, tmp_path: Path):
    _saved(toy_data, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    for out in (tmp_path / "run", tmp_path / "run" / "model.json"):
        with pytest.raises(ValueError, match="exists and is not an empty folder"):
            export_model(tmp_path / "run", out)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize(
    ("algorithm", "rule"),
    [
        (DeeperForward(), "last_block"),
        (DeeperForward(), "all_blocks"),
        (ForwardForward(), None),
        (MonoForward(), None),
        (PredSim(), None),
        (Backprop(), None),
    ],
)
def test_a_rule_that_reads_all_blocks_keeps_them(algorithm, rule: str | None, toy_data, tmp_path: Path):
    spec = spec_for(algorithm, MLP(width=6, depth=3), toy_data)
    whole = spec.build(seed=3)
    save_model(tmp_path, whole, spec)
    done = export_model(tmp_path, tmp_path / "out", rule=rule)
    kept, _ = load_model(tmp_path / "out")
    assert done.after.blocks == done.before.blocks == len(kept.blocks) and list(kept.rules) == [done.rule]
    images = toy_data.test.pixels[:5].float() / 255
    assert torch.equal(kept.eval().predict_scores(images), whole.eval().predict_scores(images, rule=done.rule))


def test_an_unknown_rule_is_refused_and_nothing_is_written(toy_data, tmp_path: Path):
    spec = spec_for(DeeperForward(), MLP(width=6, depth=3), toy_data)
    save_model(tmp_path, spec.build(), spec)
    with pytest.raises(ValueError, match="unknown inference rule 'nothing'"):
        export_model(tmp_path, tmp_path / "out", rule="nothing")
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"model\.json does not exist"):
        export_model(tmp_path, tmp_path / "out")


def test_a_model_written_before_there_were_exports_is_read(toy_data, tmp_path: Path):
    spec = spec_for(DeeperForward(), TinyCNN(width=6), toy_data)
    save_model(tmp_path, spec.build(), spec)
    content = read_json(tmp_path / "model.json")
    write_json(tmp_path / "model.json", {key: content[key] for key in content if key not in ("blocks", "rule")})
    assert load_model(tmp_path)[1] == spec


def test_a_full_disk_leaves_no_half_of_an_export(toy_data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _saved(toy_data, tmp_path / "run")
    (tmp_path / "there").mkdir()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for out in ("new", "there"):
            with pytest.raises(OSError, match="No space left"):
                export_model(tmp_path / "run", tmp_path / out)
    assert not (tmp_path / "new").exists() and not list((tmp_path / "there").iterdir())
    export_model(tmp_path / "run", tmp_path / "there")
