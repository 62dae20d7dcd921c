"""Advice for a model in which no cut was found: names that work, tried out, or why there are none."""

from collections import Counter
from typing import Any

from torch import nn

from onward.modules.plan import make_plan
from onward.nets.recorded_pass import Call, Feed, watch

_TRIES = 16


def advise(model: nn.Module, inputs: Any, *, num_classes: int | None, task: str | None, feed: Feed) -> str:
    """Return what to do where no cut was found; every name in it was tried."""
    if sum(weight.ndim > 1 for weight in model.parameters()) < 2:
        return "it has a single layer of weights: ask for that block with cut=1"
    calls = [call for call in watch(model, inputs, feed).calls if call.name and _weighs(call)]
    times = Counter(call.name for call in calls)
    chosen: list[str] = []
    once = [call.name for call in calls if times[call.name] == 1]
    for name in sorted(once, key=lambda name: name.count("."))[:_TRIES]:
        if any(name.startswith(f"{outer}.") for outer in chosen):
            continue
        try:
            make_plan(model, inputs, cut=[*chosen, name], num_classes=num_classes, task=task, feed=feed)
        except ValueError:
            continue
        chosen.append(name)
    if chosen:
        chosen = [name for name in once if name in chosen]
        return f"name them, where these work: cut={chosen!r}; or ask for a single block with cut=1"
    repeated = {call.name: call.module for call in calls if times[call.name] > 1}
    if repeated:
        outer = next((name for name, module in repeated.items() if any(module.children()) and "." not in name), None)
        return (
            f"its layers are called several times in a pass ({', '.join([*repeated][:4])}), so that none is a single "
            "position; ask for a single block with cut=1"
            + (f", or train that part on a task of its own: onward.local(model.{outer}, ...)" if outer else "")
        )
    if not once:
        return (
            "its weights belong to no module that is called (nn.ParameterList, nn.functional): write each layer as a "
            "module of its own, or ask for a single block with cut=1"
        )
    return "ask for it with cut=1"


def _weighs(call: Call) -> bool:
    return call.activity.is_floating_point() and any(p.ndim > 1 for p in call.module.parameters())
