"""Energy: operations counted by hand, the joules they come to, and meters that need not be there."""

import sys
import types

import pytest
import torch
from torch import nn

from onward.algorithms import Backprop, DeeperForward
from onward.core import LocalTrainer, TrainerSettings
from onward.measure import (
    PICOJOULES,
    PICOJOULES_PER_BYTE,
    Operations,
    energy_meter,
    idle_power,
    measured_energy,
    operations_of,
    step_flops,
    step_operations,
)
from onward.nets import TinyCNN


def test_a_product_is_counted_by_hand():
    a, b = torch.rand(3, 5), torch.rand(5, 7)
    found = operations_of(lambda: a @ b)
    assert found.macs == {"fp32": 3 * 5 * 7}
    assert found.bytes_moved == 4 * (3 * 5 + 5 * 7 + 3 * 7)
    half = operations_of(lambda: a.bfloat16() @ b.bfloat16())
    assert half.macs == {"bf16": 3 * 5 * 7}
    assert half.bytes_moved == (4 + 2) * (15 + 35) + 2 * (15 + 35 + 21)  # narrowing, then the product


def test_views_and_empty_tensors_move_nothing():
    x = torch.rand(4, 6)
    assert (
        operations_of(lambda: (x.t(), x.view(24), x[1:3], torch.empty(9), x.expand(2, 4, 6), x.detach())).bytes_moved
        == 0
    )
    assert operations_of(lambda: x.t().contiguous()).bytes_moved == 2 * 4 * 24
    one = torch.rand(1, 6)
    assert operations_of(lambda: one.expand(4, 6) + x).bytes_moved == 4 * (6 + 24 + 24)


def test_what_works_in_place_reads_and_writes():
    x, many = torch.rand(8), [torch.rand(8), torch.rand(4)]
    assert operations_of(lambda: x.mul_(2)).bytes_moved == 4 * 16
    assert operations_of(lambda: torch._foreach_mul_(many, 2.0)).bytes_moved == 4 * 24  # pyright: ignore


def test_gradients_are_counted_too():
    layer, x = nn.Linear(5, 7), torch.rand(3, 5)
    found = operations_of(lambda: layer(x).sum().backward())
    assert found.macs == {"fp32": 2 * 3 * 5 * 7}  # forward, and the gradient of the weights


def test_joules_are_those_that_are_stated():
    found = Operations({"fp32": 10**12, "bf16": 10**12}, 8 * 10**12)
    assert found.compute_joules == pytest.approx(4.6 + 2.0)
    assert found.memory_joules == pytest.approx(1300)
    assert found.joules == pytest.approx(1306.6)
    assert PICOJOULES["int8"] < PICOJOULES["fp16"] < PICOJOULES["bf16"] < PICOJOULES["fp32"]
    assert PICOJOULES_PER_BYTE * 8 == 1300


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_has_the_products_that_the_flop_counter_sees(precision: str):
    x, y = torch.rand(8, 1, 8, 8), torch.arange(8) % 10
    trainers = [
        LocalTrainer(algorithm(TinyCNN(width=10)((1, 8, 8), 10), 10), TrainerSettings(precision=precision))  # pyright: ignore
        for algorithm in (DeeperForward(), Backprop())
    ]
    local, control = (step_operations(trainer, x, y) for trainer in trainers)
    for trainer, found in zip(trainers, (local, control), strict=True):
        assert 2 * sum(found.macs.values()) == step_flops(trainer, x, y).total
        assert precision in found.macs
    assert local.compute_joules < control.compute_joules


class _Meter:
    """Tells what a machine of 10 watts would, and 5 joules for each piece of work."""

    name = "a meter"

    def joules_of(self, work):
        import time

        started = time.perf_counter()
        done = work()
        return 10 * (time.perf_counter() - started) + (5 if done else 0)


def test_idle_power_is_taken_off():
    idle = idle_power(_Meter(), seconds=0.05)
    assert idle == pytest.approx(10, rel=0.2)
    found = measured_energy(lambda: True, _Meter(), idle_watts=idle)
    assert found.joules == pytest.approx(5, abs=0.1) and found.meter == "a meter"
    assert measured_energy(lambda: False, _Meter(), idle_watts=1e9).joules == 0


def test_no_meter_is_required(monkeypatch: pytest.MonkeyPatch):
    for name in ("pynvml", "codecarbon"):
        monkeypatch.setitem(sys.modules, name, None)
    assert energy_meter(torch.device("cpu")) is None
    assert energy_meter(torch.device("cuda")) is None


def test_codecarbon_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    class Tracker:
        def __init__(self, **settings):
            assert settings["save_to_file"] is False

        def start_task(self, name):
            self.name = name

        def stop_task(self, name):
            assert name == self.name
            return types.SimpleNamespace(energy_consumed=1e-6)

    monkeypatch.setitem(sys.modules, "codecarbon", types.SimpleNamespace(OfflineEmissionsTracker=Tracker))  # pyright: ignore
    meter = energy_meter(torch.device("cpu"))
    assert meter is not None and "codecarbon" in meter.name
    assert meter.joules_of(lambda: None) == pytest.approx(3.6)
