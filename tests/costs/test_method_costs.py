"""Costs side by side: every method beside a control with its own optimizer, and shares of its own precision's rate."""

from dataclasses import replace

import pytest
import torch

import onward.costs.methods as costs
from onward.algorithms import Backprop, DeeperForward
from onward.core import TrainerSettings
from onward.data import DataSettings, Splits
from onward.measure import PeakRate
from onward.nets import MLP
from onward.recipes import Recipe

CPU = torch.device("cpu")


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of small steps; the machine's rate is 1e9 in fp32 and 4e9 in bf16."""

    def rate(device: torch.device, arithmetic) -> PeakRate:
        with arithmetic(device):
            return PeakRate(4e9, 2e9) if torch.is_autocast_enabled(device.type) else PeakRate(1e9, 1e9)

    monkeypatch.setattr(costs, "peak_rate", rate)
    return Recipe(
        name="row",
        description="a toy",
        algorithm=DeeperForward(),
        net=MLP(width=12, depth=2),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(),
        epochs=1,
        batch_size=8,
    )


def _with(recipe: Recipe, name: str, **changes: object) -> Recipe:
    return replace(recipe, name=name, trainer=replace(recipe.trainer, **changes))


def _beside(recipes: list[Recipe], data: Splits) -> list[str]:
    _, controls, _ = costs.measure_methods([(recipe, data) for recipe in recipes], CPU, 1)
    return list(dict.fromkeys(str(control.beside) for control in controls))


def test_methods_of_another_optimizer_have_another_control(row: Recipe, toy_data: Splits):
    sgd, bare = _with(row, "sgd", optimizer="sgd"), _with(row, "bare", optimizer="sgd", momentum=0.0)
    averaged = _with(row, "averaged", ema_decay=0.9)
    assert _beside([row, sgd, bare, averaged], toy_data) == ["row", "sgd", "bare", "averaged"]
    same_step = _with(row, "same", learning_rate=0.5, momentum=0.5)  # adamw has no such momentum
    assert _beside([row, same_step], toy_data) == ["row"]


def test_backprop_of_another_optimizer_is_no_control(row: Recipe, toy_data: Splits):
    backprop = replace(_with(row, "backprop", optimizer="sgd"), algorithm=Backprop())
    _, controls, _ = costs.measure_methods([(row, toy_data), (backprop, toy_data)], CPU, 1)
    names = [control.name for control in controls if control.beside == "row"]
    assert names == ["backprop", "backprop, recompute", "backprop, 4 micro-batches"]
    assert {control.optimizer for control in controls} == {"adamw", "sgd with momentum"}


def test_every_control_says_its_whole_network_and_budget(row: Recipe, toy_data: Splits):
    wide = replace(row, name="wide", net=MLP(width=21, depth=3), batch_size=4)
    _, controls, _ = costs.measure_methods([(row, toy_data), (wide, toy_data)], CPU, 1)
    told = {(c.network, c.batch_size, c.precision, c.images) for c in controls}
    images = "1x8x8 of 3 classes"
    assert told == {
        ("MLP(width=12, depth=2)", 8, "fp32", images),
        ("MLP(width=21)", 4, "fp32", images),
    }


def test_every_precision_has_a_rate_of_its_own(row: Recipe, toy_data: Splits):
    half = _with(row, "half", precision="bf16")
    own, controls, rates = costs.measure_methods([(row, toy_data), (half, toy_data)], CPU, 1)
    assert rates == {
        "fp32": PeakRate(1e9, 1e9),
        "bf16": PeakRate(4e9, 2e9),
    }
    for cost in [*own, *controls]:
        best = {"fp32": 1e9, "bf16": 4e9}[cost.precision or ""]
        assert cost.fraction_of_peak == pytest.approx(cost.flops.total / cost.step_seconds / best)
