"""Weights of a learner on a tile of aihwkit, which is not installed here by default, beside the same weights on a chip.

`pip install aihwkit` for the comparison; where it is missing, the tests are skipped.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onward.algorithms import MonoForward
from onward.data import from_arrays
from onward.hardware import noisy, preset
from onward.nets import MLP
from onward.runs import spec_for

configs = pytest.importorskip("aihwkit.simulator.configs", reason="compares with aihwkit, which is not installed")
nn = pytest.importorskip("aihwkit.nn")
pcm = pytest.importorskip("aihwkit.inference.noise.pcm")
reram = pytest.importorskip("aihwkit.inference.noise.reram")

SIZE, WIDTH, WRITES = 64, 40, 40
DAY = 86400.0


@pytest.fixture(autouse=True)
def repeatable():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _learner():
    pixels = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8)
    data = from_arrays(pixels, torch.arange(30) % 3)
    return spec_for(MonoForward(), MLP(width=WIDTH, depth=2), data).build(seed=0)


def _of_body(module: torch.nn.Module) -> torch.nn.Linear:
    (linear,) = (part for part in module.modules() if isinstance(part, torch.nn.Linear))
    return linear


def _read(layer: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the weights that a layer multiplies with: its products with unit vectors, less its product with zeros."""
    units = torch.cat([torch.zeros(1, SIZE), torch.eye(SIZE)])
    with torch.no_grad():
        out = layer(units)
    return (out[1:] - out[:1]).T


def _on_a_tile(weight: Tensor, noise_model, seconds: float | None) -> Tensor:
    """Return the weights of a tile, each row another programming, read `seconds` after it; None: as programmed.

    Resistive memory is compared as programmed: in 1.1.0, its model for later times mixes two scales on a tile, those of
    the weights before and after the programming.
    """
    config = configs.TorchInferenceRPUConfig(noise_model=noise_model, drift_compensation=None)
    config.forward.is_perfect = True  # a product adds nothing: its converters are no part of the device model
    layer = nn.AnalogLinear(SIZE, WIDTH, bias=False, rpu_config=config)
    layer.set_weights(weight)
    layer.eval()
    read = []
    for _ in range(WRITES):
        layer.program_analog_weights()
        if seconds is not None:
            layer.drift_analog_weights(seconds)
        read.append(_read(layer))
    return torch.stack(read)


def _on_a_chip(learner, device: str) -> Tensor:
    """Return the same weights on chips of onward, as the learner's first body reads them when it computes."""
    read, body = [], learner.blocks[0].body
    assert isinstance(body, torch.nn.Module)
    linear = _of_body(body)
    hook = linear.register_forward_pre_hook(lambda *_: read.append(linear.weight.detach().clone()))
    for seed in range(WRITES):
        with noisy(learner, preset(device).noises, seed=seed), torch.no_grad():
            body(torch.rand(1, 1, 8, 8))
    hook.remove()
    return torch.stack(read)


@pytest.mark.parametrize(
    ("device", "noise_model", "seconds"),
    [
        pytest.param("pcm-fresh", lambda: pcm.PCMLikeNoiseModel(g_max=25.0), 0.0, id="pcm-fresh"),
        pytest.param("pcm-day", lambda: pcm.PCMLikeNoiseModel(g_max=25.0), DAY, id="pcm-day"),
        pytest.param("rram-second", lambda: reram.ReRamWan2022NoiseModel(g_max=40.0), None, id="rram-second"),
    ],
)
def test_weights_on_a_tile_have_the_statistics_of_the_noise_model(device: str, noise_model, seconds: float | None):
    learner = _learner()
    weight = _of_body(learner.blocks[0].body).weight.detach().clone()
    theirs, ours = _on_a_tile(weight, noise_model(), seconds), _on_a_chip(learner, device)
    assert not torch.equal(theirs[0], theirs[1]) and not torch.equal(ours[0], ours[1]), "no noise"
    scale = weight.abs().max()
    levels = (weight.abs() / scale * 5).clamp(max=4).long()
    for level in range(5):  # a fifth of the range of conductances each
        at, sign = levels == level, weight.sign()
        errors = [((each - weight) * sign)[:, at] / scale for each in (theirs, ours)]
        assert errors[0].numel() > 5000
        torch.testing.assert_close(errors[1].mean(), errors[0].mean(), atol=0.005, rtol=0.03)
        torch.testing.assert_close(errors[1].std(), errors[0].std(), atol=0.002, rtol=0.03)


def test_without_noise_both_multiply_with_the_weights_as_they_are():
    learner = _learner()
    weight = _of_body(learner.blocks[0].body).weight.detach().clone()
    config = configs.TorchInferenceRPUConfig()
    config.forward.is_perfect = True
    layer = nn.AnalogLinear(SIZE, WIDTH, bias=False, rpu_config=config)
    layer.set_weights(weight)
    for read in (_read(layer), _read(_of_body(learner.blocks[0].body))):
        torch.testing.assert_close(read, weight, rtol=0, atol=1e-6)
