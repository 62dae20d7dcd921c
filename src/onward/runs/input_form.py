"""The inputs and targets in a model file; none for images and one class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from onward.core import KINDS, Column, InputForm, Kind, Task
from onward.storage.forms import check_object

_FORM: Mapping[str, Any] = {"kind": str, "unit": bool, "level": float, "columns": list[list[Any]]}
_TARGET: Mapping[str, Any] = {"task": str, "mean": list[float], "deviation": list[float]}


@dataclass(frozen=True)
class TargetForm:
    """Targets other than one class: numbers, with their mean and deviation, or several labels."""

    task: Task
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


def encode_forms(form: InputForm | None, target: TargetForm | None) -> dict[str, Any]:
    """Return the entries of a model file for inputs and targets."""
    content: dict[str, Any] = {}
    if form is not None:
        columns = [[c.name] if c.categories is None else [c.name, list(c.categories)] for c in form.columns]
        content["form"] = {"kind": form.kind, "unit": form.unit, "level": form.level, "columns": columns}
    if target is not None:
        content["target"] = {
            "task": target.task,
            "mean": list(target.mean),
            "deviation": list(target.deviation),
        }
    return content


def decode_forms(
    content: Mapping[str, Any], shape: tuple[int, ...], outputs: int, where: str
) -> tuple[InputForm | None, TargetForm | None]:
    """Read both back. Raises ValueError naming the file for other entries."""
    form = target = None
    if "form" in content:
        fields = content["form"]
        check_object(fields, _FORM, f"form in {where}")
        kind = next((kind for kind in KINDS if kind == fields["kind"]), None)
        columns = tuple(_column(each, where) for each in fields["columns"])
        if kind is None or (columns and (sum(column.width for column in columns),) != shape):
            raise ValueError(f"form in {where} describes no inputs of shape {list(shape)}")
        form = InputForm(cast(Kind, kind), shape, fields["unit"], columns, float(fields["level"]))
    if "target" in content:
        fields = content["target"]
        check_object(fields, _TARGET, f"target in {where}")
        numbers = (tuple(map(float, fields[name])) for name in ("mean", "deviation"))
        mean, deviation = numbers
        task = next((task for task in ("values", "labels") if task == fields["task"]), None)
        if task is None or (task == "values" and not len(mean) == len(deviation) == outputs):
            raise ValueError(f"target in {where} describes no targets of {outputs} numbers")
        target = TargetForm(cast(Task, task), mean, deviation)
    return form, target


def _column(value: list[Any], where: str) -> Column:
    name, *rest = value or [None]
    texts = rest[0] if rest else []
    if not isinstance(name, str) or len(rest) > 1 or not isinstance(texts, list):
        raise ValueError(f"form in {where} has something else than a column: {value!r:.80}")
    if not all(isinstance(text, str) for text in texts) or (rest and not texts):
        raise ValueError(f"form in {where} has categories of {name!r} that are not texts")
    return Column(name, tuple(texts) if rest else None)
