"""A state is restored as a whole or not at all, and a model that was changed since it was planned is refused."""

from collections.abc import Callable

import pytest
import torch
from kinds import rows
from torch import nn

from onward.algorithms import MonoForward, PredSim
from onward.core import TrainerSettings
from onward.modules import LocalModel, local


def table(width: int = 8, classes: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))


def trained(algorithm=None, **settings) -> LocalModel:
    made = local(table(), rows(), algorithm or MonoForward(), cut=["1", "3"], settings=TrainerSettings(**settings))
    made.step(rows())
    return made


def copied(model: LocalModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_unchanged(model: LocalModel, before: dict[str, torch.Tensor]):
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("other", [{"algorithm": PredSim()}, {"optimizer": "sgd"}])
def test_a_state_that_does_not_fit_changes_nothing(other):
    model = trained()
    before = copied(model)
    with pytest.raises(ValueError, match="belongs to another model, algorithm or cut"):
        model.load_state_dict(trained(**other).state_dict())
    assert_unchanged(model, before)


@pytest.mark.parametrize("sizes", [{"width": 9}, {"classes": 5}])
def test_a_file_of_another_model_changes_nothing(tmp_path, sizes):
    trained().save(tmp_path / "model.safetensors")
    model = table(**sizes)
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=r"model\.safetensors: this state .*\] and should be \[") as raised:
        LocalModel.load(tmp_path / "model.safetensors", model)
    assert "\n" not in str(raised.value)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_heads_that_do_not_fit_change_nothing():
    model = trained()
    before = copied(model)
    with pytest.raises(ValueError, match="these heads belong to another algorithm"):
        model.copy_heads(trained(PredSim()))
    with pytest.raises(ValueError, match="they are behind 1, not 1, 3"):
        model.copy_heads(local(table(), rows(), MonoForward(), cut=["1"]))
    assert_unchanged(model, before)


def _exchange(model: nn.Sequential) -> None:
    model[2] = nn.Linear(8, 8)


def _normed(model: nn.Sequential) -> None:
    torch.nn.utils.parametrizations.weight_norm(model[2])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_exchange, r"2\.weight was added or exchanged"),
        (lambda model: model.append(nn.Linear(4, 4)), r"5\.weight was added"),
        (lambda model: model.load_state_dict(table().state_dict(), assign=True), r"0\.weight was added or exchanged"),
        (_normed, r"2\.parametrizations\.weight\.original0 was added"),
        (lambda model: model[2].requires_grad_(False), r"2\.weight was frozen after"),
        (lambda model: model.double(), r"was torch\.float32 .* and is torch\.float64"),
    ],
)
def test_a_model_that_was_changed_is_refused(change: Callable[[nn.Module], object], match):
    model = trained()
    change(model.module())
    with pytest.raises(ValueError, match=f"{match}.*call onward.local again"):
        model.step(rows())


def test_a_model_on_another_device_is_refused():
    model = trained()
    model._planned.device = torch.device("meta")  # where it was
    with pytest.raises(ValueError, match=r"was on meta when .* is on cpu now: move it first"):
        model.step(rows())


def test_modules_without_weights_may_be_exchanged():
    model = trained()
    model.module().add_module("1", nn.Tanh())
    assert model.step(rows()).isfinite().all()
    assert model.step(rows()).isfinite().all()


def test_captured_steps_are_not_those_of_a_model_of_the_user(tmp_path):
    says = (
        "^capture .auto. has no effect, .* own forward pass, .* leave capture out, or .* with onward.training.Training$"
    )
    with pytest.warns(UserWarning, match=says):
        model = local(table(), rows(), MonoForward(), settings=TrainerSettings(capture="auto"))
    model.save(tmp_path / "model.safetensors")
    with pytest.warns(UserWarning, match=says):
        LocalModel.load(tmp_path / "model.safetensors", table())


@pytest.mark.parametrize(
    ("settings", "trainer"),
    [
        ({"micro_batches": 2}, "LocalTrainer"),
        ({"recompute": True}, "LocalTrainer"),
        ({"compile": True}, "onward.training.Training"),
        ({"order": "cascade"}, "onward.training.Training"),
        ({"ema_decay": 0.9}, "onward.training.Training"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_with_the_trainer_that_follows_it(settings: dict, trainer: str):
    with pytest.raises(ValueError, match=f"or train as_learner\\(example\\) with {trainer}$"):
        trained(**settings)


def test_the_learning_rate_is_part_of_the_state_and_fit_leaves_it(tmp_path):
    model = trained()
    batch = (torch.randn(8, 6), torch.arange(8) % 4)
    model.set_learning_rate(1e-5)
    model.fit([batch], epochs=3)
    assert model.learning_rate == 1e-5
    model.save(tmp_path / "model.safetensors")
    again = LocalModel.load(tmp_path / "model.safetensors", table())
    assert again.learning_rate == 1e-5
    assert torch.equal(model.step(batch), again.step(batch))
    assert all(map(torch.equal, model.module().state_dict().values(), again.module().state_dict().values()))
    older = {name: value for name, value in model.state_dict().items() if name != "learning_rate"}
    again.load_state_dict(older)
    assert again.learning_rate == 1e-5


def test_several_inputs_without_targets():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = table()

        def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            return self.table(x) + bias

    x, bias = torch.randn(8, 6), torch.randn(8, 4)
    model = local(Two(), (x, bias, torch.arange(8) % 4), MonoForward(), cut=["table.1"])
    expected = model.module().eval()(x, bias)
    for batch in (((x, bias), None), (x, bias, torch.arange(8)), {"x": x, "bias": bias}):
        torch.testing.assert_close(model.predict_scores(batch), expected)
