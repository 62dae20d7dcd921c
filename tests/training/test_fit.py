"""Fit: gradients are its own, threads do not mix, and arguments that are none are refused with what to give."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onward.algorithms import DeeperForward, MonoForward, RandomFeatures
from onward.core import Learner, TrainerSettings
from onward.data import Augmentation, Splits, from_arrays
from onward.nets import MLP, TinyCNN
from onward.runs import fit, load_model, save_model, spec_for
from onward.training import OnlineLearning

OFF = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode, "set_grad_enabled": lambda: _switched_off()}


def _switched_off():
    return torch.autograd.grad_mode.set_grad_enabled(False)


def _same(left: Learner, right: Learner) -> bool:
    other = right.state_dict()
    return all(torch.equal(value, other[name]) for name, value in left.state_dict().items())


@pytest.mark.parametrize("off", OFF.values(), ids=OFF)
def test_fit_trains_where_gradients_are_switched_off(off: Callable, toy_data: Splits):
    def run() -> Learner:
        settings = TrainerSettings(learning_rate=0.02, recompute=True)
        return fit(DeeperForward(), TinyCNN(width=6, dropout=0.3), toy_data, epochs=2, trainer=settings)

    plain = run()
    with off():
        assert _same(run(), plain)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_autocast_around_a_training_does_not_change_it_and_a_prediction_follows_it(toy_data: Splits):
    def run() -> Learner:
        return fit(DeeperForward(), TinyCNN(width=6), toy_data, epochs=1, trainer=TrainerSettings(learning_rate=0.02))

    plain, x = run(), toy_data.test.pixels
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run()
        assert torch.is_autocast_enabled("cpu")
        assert _same(found, plain)
        rounded = found.predict_scores(x)
        stream, alone = (OnlineLearning(run(), TrainerSettings()) for _ in range(2))
        stream.partial_fit(x, toy_data.test.labels)
    alone.partial_fit(x, toy_data.test.labels)
    exact = plain.predict_scores(x)
    assert not torch.equal(rounded, exact) and torch.allclose(rounded, exact, rtol=0.1, atol=0.1)
    assert _same(stream.learner, alone.learner)


@pytest.mark.parametrize(
    ("setting", "value", "usual"),
    [
        ("set_default_dtype", torch.float64, torch.float32),
        ("set_default_dtype", torch.bfloat16, torch.float32),
        ("set_default_device", "meta", None),
    ],
)
def test_default_dtype_and_device_of_torch_change_no_training_and_no_model(
    setting: str, value: Any, usual: Any, toy_data: Splits, tmp_path: Path
):
    algorithm, net = RandomFeatures(), TinyCNN(width=6)
    plain, spec = fit(algorithm, net, toy_data, epochs=1), spec_for(algorithm, net, toy_data)
    change = getattr(torch, setting)
    change(value)
    try:
        again = fit(algorithm, net, toy_data, epochs=1)
        assert _same(again, plain)
        save_model(tmp_path, again, spec_for(algorithm, net, toy_data))
        assert _same(load_model(tmp_path)[0], plain)
        assert torch.equal(again.predict(toy_data.test.pixels), plain.predict(toy_data.test.pixels))
        assert spec_for(algorithm, net, toy_data) == spec
        data = from_arrays(np.random.default_rng(0).random((20, 6, 6)), [0, 1] * 10)
        assert data.train.pixels.device.type == "cpu" and len(data.test) == 4
    finally:
        change(usual)


def test_a_readout_is_fitted_under_inference_mode(toy_data: Splits):
    plain = fit(RandomFeatures(), MLP(width=12), toy_data, epochs=1)
    with torch.inference_mode():
        assert _same(fit(RandomFeatures(), MLP(width=12), toy_data, epochs=1), plain)


@pytest.mark.parametrize("off", OFF.values(), ids=OFF)
def test_what_was_made_under_inference_mode_is_trained_as_well(off: Callable, toy_data: Splits):
    spec, x, y = spec_for(MonoForward(), MLP(width=12), toy_data), toy_data.test.pixels, toy_data.test.labels
    plain = OnlineLearning(spec.build(), TrainerSettings())
    plain.partial_fit(x, y)
    with torch.inference_mode():
        learner = spec.algorithm(spec.net(spec.shape, 3), 3)  # weights that no graph can hold
        learner.prepare = spec.build().prepare
        learner.load_state_dict(spec.build().state_dict())
        images, labels = x.clone(), y.clone()
    other = OnlineLearning(learner, TrainerSettings())
    with off():
        other.partial_fit(images, labels)
    assert _same(other.learner, plain.learner)


def test_trainings_in_threads_give_each_what_it_gives_alone(toy_data: Splits):
    def run(seed: int) -> Learner:
        moved = Augmentation(crop=1, cutout=2)
        net = TinyCNN(width=6, dropout=0.3)
        return fit(DeeperForward(), net, toy_data, epochs=2, batch_size=8, seed=seed, augmentation=moved)

    alone = [run(seed) for seed in (0, 0, 1)]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(run, (0, 0, 1)))
    assert all(_same(one, other) for one, other in zip(together, alone, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number in .*, got 0"),
        ({"epochs": -1}, "epochs must be"),
        ({"epochs": 1.5}, "epochs must be a whole number in .*, got 1.5"),
        ({"epochs": "1"}, "epochs must be a whole number in .*, got '1'"),
        ({"epochs": True}, "epochs must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": -1}, "seed must be a whole number in .*, got -1"),
        ({"seed": 2**64}, "seed must be"),
        ({"trainer": {"learning_rate": 1}}, "trainer must be a TrainerSettings or None"),
        ({"algorithm": DeeperForward}, r"algorithm is the class DeeperForward: give an object, DeeperForward\(\)"),
        ({"algorithm": "deeper_forward"}, "algorithm is a str: give one of onward's"),
        ({"net": TinyCNN}, r"net is the class TinyCNN: give an object, TinyCNN\(\)"),
        (
            {"net": nn.Sequential(nn.Linear(2, 2))},
            "net is a torch module, Sequential, which onward.local trains in place: give one of onward's networks",
        ),
        (
            {"data": (np.zeros((3, 8, 8)), [0, 1, 2])},
            r"single sample left to split",
        ),
        (
            {"data": torch.utils.data.TensorDataset(torch.zeros(3, 1, 8, 8))},
            r"data is a TensorDataset, of single samples: give DataLoader\(data, batch_size=64\)",
        ),
    ],
)
def test_arguments_that_are_none_are_refused(arguments: dict, message: str, toy_data: Splits, types_unchecked):
    given = {"algorithm": DeeperForward(), "net": TinyCNN(width=6), "data": toy_data, **arguments}
    with pytest.raises(ValueError, match=message):
        fit(given.pop("algorithm"), given.pop("net"), given.pop("data"), **given)


def test_numbers_of_numpy_are_numbers(toy_data: Splits, types_unchecked):
    numbers: dict[str, Any] = {"epochs": np.int64(1), "batch_size": np.uint8(16), "seed": np.int32(3)}
    fit(DeeperForward(), TinyCNN(width=6), toy_data, **numbers)
