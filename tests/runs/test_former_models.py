"""Models that an earlier version wrote open, and every rule gives the scores that it gave then.

`models_of_november.json.gz` holds the files of small models as they were written in November 2026, before read-outs,
objectives and rules were merged, with images and each rule's scores.
"""

import base64
import gzip
import json
from pathlib import Path

import pytest
import torch

import onward
from onward.core.former_names import with_current_names

KEPT = json.loads(gzip.decompress(Path(__file__).with_name("models_of_november.json.gz").read_bytes()))


@pytest.mark.parametrize("name", KEPT["models"])
def test_a_model_of_november_opens_and_says_what_it_said(name: str, tmp_path: Path):
    kept = KEPT["models"][name]
    (tmp_path / "model.json").write_text(kept["model.json"])
    (tmp_path / "model.safetensors").write_bytes(base64.b64decode(kept["model.safetensors"]))
    learner, images = onward.load(tmp_path), torch.tensor(KEPT["images"])
    assert list(learner.rules) == list(kept["scores"])
    for rule, scores in kept["scores"].items():
        torch.testing.assert_close(learner.predict_scores(images, rule=rule), torch.tensor(scores))


def test_a_former_name_gives_way_only_where_todays_is_asked_for():
    former, today = "rules.best_range.rule.first", "rules.best_range.first"
    assert with_current_names({former: 1, "other": 2}, {today, "other"}) == {today: 1, "other": 2}
    assert with_current_names({former: 1}, {former}) == {former: 1}  # a rule that reads mirror images has this name now
    assert with_current_names({former: 1}, {"other"}) == {former: 1}  # nobody's: whoever loads it says so


def test_a_state_by_former_names_is_loaded_into_a_learner():
    """Checkpoints and state dicts that a user kept, not model files alone."""
    learner = onward.algorithms.HCLFF(contrast=0.0)(onward.nets.MLP(width=6, depth=3)((1, 6, 6), 3), 3)
    state = learner.state_dict()
    for name in ("first", "last"):
        state[f"rules.best_range.rule.{name}"] = state.pop(f"rules.best_range.{name}") * 0 + 1
    learner.load_state_dict(state)
    assert learner.rules["best_range"].range == (1, 1)
    state["rules.best_range.other"] = torch.zeros(())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*rules\.best_range\.other"):
        learner.load_state_dict(state)
