"""The file of a user's model: weights, heads, optimizer state, and its cuts."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from onward.algorithms import Algorithm
from onward.core import TrainerSettings
from onward.modules.local_model import LocalModel
from onward.modules.plan import Part, Plan, check_model
from onward.nets.recorded_pass import Feed
from onward.runs.codec import decode, encode
from onward.storage.disk import make_folder
from onward.storage.files import read_tensors, write_tensors
from onward.storage.forms import check_object, naming

FORMAT = "onward-local-1"
_FORM: Mapping[str, Any] = {
    "format": str,
    "plan": dict[str, Any],
    "algorithm": dict[str, Any],
    "settings": dict[str, Any],
    "heads": str,
    "seed": int,
    "class_weights": list[float] | None,
    "ignore_index": int,
}


def save(local: LocalModel, path: Path) -> None:
    """Write a model with the state of its training. Raises OSError if it cannot be written."""
    notes = {
        "format": FORMAT,
        "plan": asdict(local.plan),
        "algorithm": encode(local.algorithm),
        "settings": encode(local.settings),
        "heads": local.head_kind,
        "seed": local.seed,
        "class_weights": None if local.class_weights is None else list(local.class_weights),
        "ignore_index": local.ignore_index,
    }
    make_folder(path.parent)
    write_tensors(path, _apart(local.state_dict()), notes)


def load(path: Path, model: nn.Module, *, feed: Feed) -> LocalModel:
    """Read what `save` wrote into `model`. Raises ValueError for another file, or a file of another model."""
    tensors, notes = read_tensors(path)
    if notes.get("format") != FORMAT:
        raise ValueError(f"{path} holds no model that LocalModel.save wrote")
    check_object(notes, _FORM, f"the notes in {path}")
    check_model(model)
    with naming(f"{path}"):
        plan = _plan(notes["plan"])
        _check_fits(plan, model)
        local = LocalModel(
            model,
            plan,
            decode(notes["algorithm"], Algorithm, "the algorithm"),
            heads=notes["heads"],
            settings=decode(notes["settings"], TrainerSettings, "the settings"),
            seed=notes["seed"],
            class_weights=notes["class_weights"],
            ignore_index=notes["ignore_index"],
            feed=feed,
        )
        local.load_state_dict(tensors)
    return local


def is_local(path: Path | str) -> bool:
    """Whether a path is a file that `save` wrote."""
    try:
        return Path(path).is_file() and read_tensors(Path(path))[1].get("format") == FORMAT
    except ValueError:
        return False


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory: tied weights are written once for each name."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.detach().clone() if address in seen else tensor
        seen.add(address)
    return apart


def _plan(content: Mapping[str, Any]) -> Plan:
    try:
        parts = tuple(
            Part(part["cut"], tuple(part["shape"]), part["layout"], tuple(part["weights"]), tuple(part["tied"]))
            for part in content["parts"]
        )
        return Plan(
            content["task"],
            content["outputs"],
            parts,
            tuple(content["unreached"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the plan in this file cannot be read: {error!r}") from None


def _check_fits(plan: Plan, model: nn.Module) -> None:
    modules, weights = dict(model.named_modules()), dict(model.named_parameters())
    for part in plan.parts:
        missing = [name for name in part.weights if name not in weights]
        if part.cut not in modules or missing:
            what = f"module {part.cut!r}" if part.cut not in modules else f"weight {missing[0]}"
            raise ValueError(f"the file is of another model: {type(model).__name__} has no {what}")
