"""A comparison that nobody has to train for: made up, with every part that a report can show."""

from typing import Any

from onward.compare.comparison import Comparison
from onward.costs.step import StepCost
from onward.storage.typed import from_json

_CATEGORIES = ("parameters", "optimizer", "gradients", "activations", "batch", "workspace")


def read(found: dict[str, Any]) -> Comparison:
    """Return the comparison that a file with this content holds."""
    return from_json(found, Comparison, "a comparison")


def costs(rows: list[dict[str, Any]]) -> list[StepCost]:
    """The same of costs."""
    return [from_json(row, StepCost, "a cost") for row in rows]


def _spread(mean: float, chips: int) -> dict[str, Any]:
    values = [mean + 0.004 * (chip - (chips - 1) / 2) for chip in range(chips)]
    deviation = 0.004 if chips > 1 else None
    return {"mean": mean, "chip_deviation": deviation, "seed_deviation": None, "values": [values]}


def cost(name: str, scale: float) -> dict[str, Any]:
    """What a step costs: `scale` times that of backprop."""
    held = {category: round(1e6 * scale * (k + 1)) for k, category in enumerate(_CATEGORIES)}
    return {
        "name": name,
        "network": "TinyCNN",
        "memory": {"peak": sum(held.values()), "by_category": held, "largest": [], "floor": 10**6},
        "step_seconds": 0.02 * scale,
        "steps": [0.02 * scale],
        "images_per_second": 3200 / scale,
        "fraction_of_peak": 0.5,
        "phases": [],
        "flops": {"total": round(3e9 * scale), "ideal": 10**9, "by_block": [round(3e9 * scale)]},
        "energy": {
            "macs": {"fp32": 10**9},
            "bytes_moved": 10**6,
            "compute_joules": 0.01 * scale,
            "memory_joules": 0.03 * scale,
            "joules": 0.04 * scale,
            "measured": None,
        },
    }


def comparison(methods: int = 3, classes: int = 10) -> dict[str, Any]:
    """Return a comparison of backprop and `methods` - 1 others, of which each next one suffers more from noise."""
    sweeps = [
        {
            "name": "mismatch",
            "title": "Device mismatch",
            "axis": "sigma",
            "levels": [0.1, 0.3],
            "from_zero": True,
            "random": True,
        },
        {
            "name": "bits",
            "title": "Weight bits",
            "axis": "bits",
            "levels": [8.0, 4.0, 3.0],
            "from_zero": False,
            "random": False,
        },
        {"name": "pcm-day", "title": "pcm-day", "axis": "", "levels": [None], "from_zero": False, "random": True},
    ]
    return {
        "methods": [_method(k, classes, sweeps) for k in range(methods)],
        "sweeps": sweeps,
        "chips": 5,
        "seeds": [0],
        "test_images": 10_000,
        "data": "digits",
        "stream": {"images": 2000, "batch_size": 16, "rate": 0.1, "seed": 0},
        "environment": {
            "device": "a processor",
            "platform": "a platform",
            "versions": {"onward": "0"},
            "threads": 1,
            "commit": None,
        },
        "controls": [cost("backprop, recompute", 0.8), cost("backprop, 4 micro-batches", 0.7)],
        "peak_rate": {"fp32": {"matmul": 1.0, "convolution": 1.0}},
        "target": 0.9,
    }


def _epoch(e: int, *, blocks: int) -> dict[str, Any]:
    accuracy = 0.3 * (e + 1)
    block_accuracy = [accuracy - 0.05 * (blocks - 1 - k) for k in range(blocks)]
    told = {"validation_accuracy": accuracy, "block_accuracy": block_accuracy, "train_seconds": 20.0 * (e + 1)}
    return {"epoch": e, "losses": {"0": 1.0}, **told}


def _method(k: int, classes: int, sweeps: list[dict[str, Any]]) -> dict[str, Any]:
    backprop, clean = k == 0, 0.95 - 0.01 * k
    noise = [
        {"sweep": sweep["name"], "level": level, **_spread(clean - 0.05 * k * (place + 1), 5 if sweep["random"] else 1)}
        for sweep in sweeps
        for place, level in enumerate(sweep["levels"])
    ]
    confusion = [
        [95 if row == column else (5 if column == (row + 1) % classes else 0) for column in range(classes)]
        for row in range(classes)
    ]
    return {
        "name": "backprop-deeper_forward-digits" if backprop else f"local{k}-digits",
        "label": "backprop" if backprop else f"local{k}",
        "description": "a <b>method</b> & more",
        "backprop": backprop,
        "network": "TinyCNN()",
        "locality": "all" if backprop else "one layer, auxiliary network",
        "data": "digits",
        "class_names": [f"class {index}" for index in range(classes)],
        "epochs": 3,
        "batch_size": 64,
        "precision": "fp32",
        "differs": ["epochs 5"] if k == 2 else [],
        "parameters": 1000 * (k + 1),
        "train_seconds": 60.0,
        "trained_on": "a processor",
        "runs": [f"runs/{k}"],
        "seeds": [0],
        "curves": [[_epoch(e, blocks=1 if backprop else 3) for e in range(3)]],
        "clean": _spread(clean, 1),
        "by_block": [clean] if backprop else [0.6, 0.8, clean],
        "confusion": confusion,
        "noise": noise,
        "recovery": [
            {
                "sweep": "mismatch",
                "level": 0.3,
                "met": _spread(0.7, 5),
                "recovered": _spread(0.9, 5),
                "memory_bytes": 10**6,
            }
        ],
        "cost": cost("", 1.0 if backprop else 0.5),
        "energy": {
            "joules_per_epoch": 2.0,
            "epochs_to_target": 3.0 if k < 2 else None,
            "joules_to_target": 6.0 if k < 2 else None,
        },
    }
