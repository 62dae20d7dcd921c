"""A Cortex-M3 with 64 kB of RAM learns a digit that its model has never seen, from 200 images."""

import re
import subprocess
from pathlib import Path

import pytest
import torch
from exports import needs, written
from torch import Tensor

from onward.algorithms import MonoForward
from onward.core import LocalTrainer, TrainerSettings
from onward.data import DataSettings, Splits, load
from onward.export import Learning, Model, model_of
from onward.nets import MLP
from onward.runs import spec_for

CHIP = Path(__file__).parent / "chip"
NEW, STREAM, TESTS = 9, 200, 300


def _without_nines(data: Splits) -> Model:
    """Return a 64-32-32-10 network that was trained on the digits 0 to 8."""
    spec = spec_for(MonoForward(), MLP(width=32, depth=2), data)
    learner = spec.build(seed=0)
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=3e-3))
    old = data.train.labels != NEW
    pixels, labels = data.train.pixels[old], data.train.labels[old]
    generator = torch.Generator().manual_seed(0)
    for step in range(300):
        chosen = torch.randint(len(labels), (50,), generator=generator)
        trainer.step(pixels[chosen], labels[chosen], step=step)
    return model_of(learner, spec, name="digits without nines")


def _stream(data: Splits) -> tuple[Tensor, Tensor]:
    """Return a new digit and an old one in turn, as they come."""
    new, old = ((data.train.labels == NEW) == wanted for wanted in (True, False))
    both = [(data.train.pixels[kind][: STREAM // 2], data.train.labels[kind][: STREAM // 2]) for kind in (new, old)]
    pixels, labels = (torch.stack(parts, 1).flatten(0, 1) for parts in zip(*both, strict=True))
    return pixels, labels


def _images(data: Splits) -> str:
    pixels, labels = _stream(data)
    arrays = {
        "stream_images": pixels,
        "stream_labels": labels,
        "test_images": data.test.pixels[:TESTS],
        "test_labels": data.test.labels[:TESTS],
    }
    lines = [f"#define NEW {NEW}", f"#define STREAM {STREAM}", f"#define TESTS {TESTS}", "#define RATE 0.003f"]
    for name, values in arrays.items():
        lines.append(f"static const uint8_t {name}[] = {{{','.join(map(str, values.flatten().tolist()))}}};")
    return "\n".join(lines) + "\n"


def _sizes(image: Path) -> dict[str, int]:
    words = [needs("arm-none-eabi-size"), "-A", str(image)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(".")]
    return {row[0]: int(row[1]) for row in rows}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_chip_learns_a_new_digit(optimizer, tmp_path: Path, record_property):
    gcc, qemu = needs("arm-none-eabi-gcc"), needs("qemu-system-arm")
    data = load(DataSettings(name="digits"))
    written(_without_nines(data), tmp_path, "c", Learning(optimizer, momentum=0.0 if optimizer == "sgd" else None))
    (tmp_path / "images.h").write_text(_images(data))
    image = tmp_path / "image.elf"
    words = "-mcpu=cortex-m3 -mthumb -Os -std=gnu99 -Wall -Werror -ffunction-sections -fdata-sections -nostartfiles"
    words += " -Wl,--gc-sections -Wl,--no-warn-rwx-segments --specs=nano.specs"
    sources = [str(tmp_path / "model.c"), str(CHIP / "main.c")]
    command = [gcc, *words.split(), f"-I{tmp_path}", f"-T{CHIP / 'chip.ld'}", "-o", str(image), *sources, "-lm"]
    subprocess.run(command, check=True, timeout=120)
    order = "-M lm3s6965evb -icount shift=0 -nographic -semihosting-config enable=on,target=native -kernel"
    done = subprocess.run([qemu, *order.split(), str(image)], capture_output=True, text=True, timeout=120)
    said = {name: int(number) for name, number in re.findall(r"^(\w+) (\d+)$", done.stdout + done.stderr, re.M)}
    sizes = _sizes(image)
    ram, flash = (sum(sizes.get(n, 0) for n in names) for names in ((".data", ".bss", ".stack"), (".text", ".data")))
    nines = int((data.test.labels[:TESTS] == NEW).sum())
    report = {**said, "nines": nines, "others": TESTS - nines, "ram": ram, "flash": flash, "stack": sizes[".stack"]}
    for name, value in report.items():
        record_property(name, value)
    print(report)
    assert done.returncode == 0
    assert ram <= 64 * 1024 and flash <= 256 * 1024
    assert 10_000 < said["instructions"] < 10_000_000, "of a step, counted by the emulator"
    assert said["new_before"] == 0 and said["old_before"] >= 0.9 * (TESTS - nines)
    assert said["new_after"] >= 0.6 * nines, "the new digit is not learned"
    assert said["old_after"] >= 0.8 * (TESTS - nines), "the old digits are forgotten"
