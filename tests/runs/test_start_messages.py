"""What a run says as it begins."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from onward.algorithms import MonoForward
from onward.nets import MLP
from onward.recipes import Recipe
from onward.runs import spec_for
from onward.runs.start_messages import announce


@pytest.mark.parametrize("larger", [0, 1000])  # than the images there are, which are a batch then
@pytest.mark.parametrize(("steps", "told"), [(99, True), (100, False)])
def test_a_training_of_few_steps_is_told(
    steps: int, told: bool, larger: int, toy_recipe: Recipe, toy_data, tmp_path: Path, capsys
):
    recipe = replace(toy_recipe, epochs=steps, batch_size=len(toy_data.train) + larger)
    announce(recipe, toy_data, spec_for(MonoForward(), MLP(width=3), toy_data).build(), torch.device("cpu"), tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert (f"only {steps} steps in all" in said) == told
    assert ("more epochs (--epochs) or smaller batches (--batch-size)" in said) == told
