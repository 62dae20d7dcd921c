"""Energy by the meters of this machine, if installed: NVML for a GPU, codecarbon for everything else."""

import importlib
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch


@runtime_checkable
class EnergyMeter(Protocol):
    """A meter of the energy of a function call, idle power included."""

    name: str

    def joules_of(self, work: Callable[[], object]) -> float: ...


class Measured(NamedTuple):
    """Energy of a function call above that of an idle machine, and the idle power that was subtracted."""

    joules: float
    idle_watts: float
    seconds: float
    meter: str


def measured_energy(work: Callable[[], object], meter: EnergyMeter, *, idle_watts: float) -> Measured:
    """Call `work` and return its energy minus that of the idle machine; never below 0."""
    started = time.perf_counter()
    whole = meter.joules_of(work)
    seconds = time.perf_counter() - started
    return Measured(max(0.0, whole - idle_watts * seconds), idle_watts, seconds, meter.name)


def idle_power(meter: EnergyMeter, *, seconds: float = 2.0) -> float:
    """Return the watts of the machine while this process is idle."""
    started = time.perf_counter()
    joules = meter.joules_of(lambda: time.sleep(seconds))
    return joules / (time.perf_counter() - started)


def energy_meter(device: torch.device) -> EnergyMeter | None:
    """Return the best meter that is installed and works for a device, or None; none is ever required."""
    kinds: list[Callable[[], EnergyMeter]] = [lambda: NvmlMeter(device)] if device.type == "cuda" else []
    for kind in (*kinds, CodecarbonMeter):
        try:
            return kind()
        except Exception:  # noqa: BLE001 (not installed, no permission, no sensor: there is no meter)
            continue
    return None


class NvmlMeter:
    """The energy counter of one NVIDIA GPU, of Volta or later; needs nvidia-ml-py. Raises what NVML raises."""

    def __init__(self, device: torch.device):
        self.name = "NVML, energy counter of the GPU"
        self._device = device
        self._nvml: Any = importlib.import_module("pynvml")
        self._nvml.nvmlInit()
        identity = torch.cuda.get_device_properties(device).uuid
        self._handle = self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")
        self._joules()

    def joules_of(self, work: Callable[[], object]) -> float:
        torch.cuda.synchronize(self._device)
        before = self._joules()
        work()
        torch.cuda.synchronize(self._device)
        return self._joules() - before

    def _joules(self) -> float:
        return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3


class CodecarbonMeter:
    """codecarbon's estimate for the whole machine: counters that it can read, else the nominal power of the chips."""

    def __init__(self):
        self.name = "codecarbon, the whole machine"
        kind = importlib.import_module("codecarbon").OfflineEmissionsTracker
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it logs before it has read log_level
        self._tracker: Any = kind(country_iso_code="USA", save_to_file=False, log_level="critical")

    def joules_of(self, work: Callable[[], object]) -> float:
        self._tracker.start_task("work")
        work()
        return 3.6e6 * self._tracker.stop_task("work").energy_consumed  # kilowatt-hours
