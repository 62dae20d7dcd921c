"""Tables, windows, tokens, frames and float images beyond [0, 1]: kept as given, and read alike in every container."""
# N rows, C channels, H W map, T time steps or tokens, D features

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fuzz_arrays import as_kept, check_kept, check_scores, class_names_of, row_names
from fuzz_case import Case, Target, Wrong
from fuzz_forms import Form, labels_of

from onward.algorithms import MonoForward, PredSim
from onward.core import Kind, Learner, TrainerSettings
from onward.data import from_arrays
from onward.nets import Dense
from onward.runs import spec_for
from onward.training import OnlineLearning

ROWS, CLASSES = 30, 3


@dataclass(frozen=True)
class Inputs:
    """Inputs [N, ...] of one kind, and what `from_arrays` has to be told and to find."""

    values: np.ndarray
    told: Kind | None
    found: Kind


@dataclass
class World:
    """Inputs by name, labels, and learners of each but tokens."""

    inputs: dict[str, Inputs]
    labels: np.ndarray
    learners: dict[str, list[Learner]]


def _inputs() -> dict[str, Inputs]:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(ROWS, 4, 6)).astype("f4").astype("f8")  # which every float container can hold
    return {
        "table": Inputs(normal[:, 0], None, "table"),
        "times": Inputs(1.7e9 + rng.random((ROWS, 3)), None, "table"),
        "whole numbers": Inputs(rng.integers(-100, 100, (ROWS, 5)), None, "table"),
        "windows": Inputs(normal, "windows", "windows"),
        "tokens": Inputs(rng.integers(0, 50, (ROWS, 7)), "tokens", "tokens"),
        "images beyond": Inputs(40 * normal, None, "images"),
        "color images beyond": Inputs(3 * normal.reshape(ROWS, 2, 12)[:, None].repeat(3, 1), None, "images"),
        "whole images": Inputs(rng.integers(0, 4000, (ROWS, 4, 6)), None, "images"),
        "array": Inputs(normal.reshape(ROWS, 2, 2, 2, 3), None, "array"),
        "arrays that are told": Inputs(normal, "array", "array"),
    }


_SAME: dict[str, Form] = {
    "as it is": lambda x: x,
    "tensor": lambda x: torch.from_numpy(x.copy()),
    "nested lists": lambda x: x.tolist(),
    "list of arrays": list,
    "list of tensors": lambda x: list(torch.from_numpy(x.copy())),
    "Fortran order": np.asfortranarray,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "negative strides": lambda x: x[::-1].copy()[::-1],
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "sparse": lambda x: torch.from_numpy(x.copy()).to_sparse(),
    "masked, nothing hidden": lambda x: np.ma.masked_array(x, mask=np.zeros(x.shape, dtype=bool)),
}
_SAME_WHOLE: dict[str, Form] = {
    "int32": lambda x: x.astype("i4"),
    "int16 tensor": lambda x: torch.from_numpy(x.astype("i2")),
}
_REFUSED: dict[str, Form] = {
    "a NaN": lambda x: _with(x, np.nan),
    "an infinity": lambda x: _with(x, -np.inf),
    "a NaN in lists": lambda x: _with(x, np.nan).tolist(),
    "text": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "complex": lambda x: x.astype("c16"),
    "dates": lambda x: x.astype("i8").astype("datetime64[s]"),
    "one hidden": lambda x: np.ma.masked_array(x, mask=np.arange(x.size).reshape(x.shape) == 3),
    "nothing": lambda x: None,
    "no columns": lambda x: x[:, :0],
    "one axis": lambda x: x.reshape(-1),
    "a set": lambda x: {1, 2},
    "on no device": lambda x: torch.from_numpy(x.astype("f8")).to("meta"),
}
_OF_OTHER_SHAPE: dict[str, Form] = {
    "one column more": lambda x: np.concatenate([x, x[..., :1]], axis=-1),
    "one column less": lambda x: x[..., :-1],
    "an axis more": lambda x: np.stack([x, x], axis=1),
    "flat": lambda x: x.reshape(len(x), -1) if x.ndim > 2 else np.repeat(x, 2, axis=1),
}
_NO_TOKENS: dict[str, Form] = {
    "floats": lambda x: x.astype("f8"),
    "one of -1": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 3, -1, x),
    "booleans": lambda x: x > 20,
}


def _with(x: np.ndarray, value: float) -> np.ndarray:
    copy = x.astype("f8")
    copy.reshape(-1)[copy.size // 2] = value
    return copy


def prepare(folder: Path) -> World:
    labels = np.arange(ROWS) % CLASSES
    inputs = _inputs()
    learners: dict[str, list[Learner]] = {}
    for name, given in inputs.items():
        if given.found == "tokens":
            continue  # they take a network of one's own
        data = from_arrays(given.values, labels, kind=given.told)
        learners[name] = [
            spec_for(algorithm, Dense(hidden=(12, 8)), data).build(seed=1).eval()
            for algorithm in (MonoForward(), PredSim())
        ]
    data = from_arrays(_frame(inputs["table"].values), labels)
    learners["frame"] = [spec_for(MonoForward(), Dense(hidden=(12,)), data).build(seed=1).eval()]
    return World(inputs, labels, learners)


def case(case: Case, world: World) -> None:
    case.draw.choices((_splits, _reading, _learning, _frames), (4, 4, 2, 2))[0](case, world)


def _form(case: Case, given: Inputs, rows: int, *, read: bool) -> tuple[Any, bool]:
    """Return some form of the first rows, and whether it has to be refused."""
    refused = case.chance(0.4)
    if refused:
        more = (_OF_OTHER_SHAPE if read else {}) | (_NO_TOKENS if given.found == "tokens" else {})
        forms = _REFUSED | more
    else:
        forms = _SAME | (_SAME_WHOLE if given.values.dtype.kind == "i" else {})
    name = case.pick(sorted(forms))
    return forms[name](given.values[:rows]), refused


@contextmanager
def _taken(wanted: bool) -> Iterator[None]:
    """Raise Wrong if something is refused that has to be taken: here each form holds the very same numbers."""
    try:
        yield
    except ValueError as error:
        if wanted:
            raise Wrong(f"refused: {error}") from None
        raise


def _splits(case: Case, world: World) -> None:
    given = world.inputs[case.pick(sorted(world.inputs))]
    inputs, refused = _form(case, given, ROWS, read=False)
    labels, label_kind = labels_of(case, world.labels)
    kind = given.told
    if case.chance(0.1):
        kind = case.pick(("pictures", "", 3, "images\n", b"table"))
        refused = True
    with _taken(not refused and label_kind != "refused"):
        splits = from_arrays(inputs, labels, kind=kind)
    if refused or label_kind == "refused":
        raise Wrong("from_arrays took it")
    named = label_kind == "named"
    names = class_names_of(labels, named=named)
    if (splits.inputs.kind, splits.inputs.unit, splits.class_names) != (given.found, False, names):
        raise Wrong(f"taken for {splits.inputs.kind}, in [0, 1]: {splits.inputs.unit}, of {splits.class_names}")
    wanted = torch.int64 if given.found == "tokens" else None
    if wanted is not None and splits.train.pixels.dtype != wanted:
        raise Wrong(f"tokens are kept as {splits.train.pixels.dtype}")
    kept = as_kept(given.values, unit=False, images=given.found == "images")
    check_kept(splits, [(kept, row_names(labels, names, named=named))])


def _reading(case: Case, world: World) -> None:
    name = case.pick(sorted(world.inputs.keys() & world.learners.keys()))
    learner, given = case.draw.choice(world.learners[name]), world.inputs[name]
    what, rows = case.pick(("predict", "predict_scores", "score_blocks")), case.draw.randrange(2, 6)
    inputs, refused = _form(case, given, rows, read=True)
    with _taken(not refused):
        found = getattr(learner, what)(inputs)
    if refused:
        raise Wrong(f"{what} took it")
    check_scores(found, getattr(learner, what)(given.values[:rows]), 0.0, exact=True)


def _learning(case: Case, world: World) -> None:
    name = case.pick(sorted(world.inputs.keys() & world.learners.keys()))
    learner, given = case.draw.choice(world.learners[name]), world.inputs[name]
    rows = case.draw.randrange(4, 9)
    inputs, refused = _form(case, given, rows, read=True)
    labels, label_kind = labels_of(case, world.labels[:rows])
    before = {key: value.clone() for key, value in learner.state_dict().items()}
    settings = TrainerSettings(learning_rate=0.01)
    try:
        try:
            with _taken(not refused and label_kind == "same"):
                OnlineLearning(learner, settings).partial_fit(inputs, labels)
        except Exception:
            _check_equal(learner.state_dict(), before, "refused, but")
            raise
        if refused or label_kind == "refused":
            raise Wrong("partial_fit took it")
        if label_kind == "named":
            row_names(labels, learner.class_names, named=True)
        after = {key: value.clone() for key, value in learner.state_dict().items()}
        if all(torch.equal(value, before[key]) for key, value in after.items()):
            raise Wrong("nothing was learned")
        learner.load_state_dict(before)
        OnlineLearning(learner, settings).partial_fit(given.values[:rows], world.labels[:rows])
        _check_equal(learner.state_dict(), after, "learned from another container,")
    finally:
        learner.load_state_dict(before)
        learner.eval()


def _check_equal(found: dict[str, Any], wanted: dict[str, Any], when: str) -> None:
    for key, value in wanted.items():
        if not torch.equal(found[key], value):
            raise Wrong(f"{when} {key} differs")


def _frame(table: np.ndarray) -> pd.DataFrame:
    """Return rows of numbers, truth values, texts and categories."""
    place = np.arange(len(table))
    return pd.DataFrame(
        {
            "size": table[:, 0],
            "old": place % 2 == 1,
            "town": np.array(["north", "south", "west"])[place % 3],
            "hue": pd.Categorical(np.array(["red", "blue"])[place % 2], categories=["red", "blue", "green"]),
            "count": place * 3,
        }
    )


_FRAMES_SAME: dict[str, Callable[[pd.DataFrame], Any]] = {
    "as it is": lambda f: f,
    "columns turned": lambda f: f[f.columns[::-1]],
    "numbers turned": lambda f: f[["count", "old", "town", "hue", "size"]],
    "other index": lambda f: f.set_index(np.arange(len(f))[::-1] + 7),
    "categories as texts": lambda f: f.astype({"hue": str}),
    "texts as categories": lambda f: f.astype({"town": "category"}),
    "truth as numbers": lambda f: f.astype({"old": int}),
    "numbers as objects": lambda f: f.astype({"count": object}),
    "categories in another order": lambda f: f.assign(hue=f["hue"].cat.reorder_categories(["green", "blue", "red"])),
    "nullable numbers": lambda f: f.astype({"count": "Int64", "old": "boolean"}),
}
_FRAMES_REFUSED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "a column less": lambda f: f.drop(columns="old"),
    "a column more": lambda f: f.assign(new=1),
    "another name": lambda f: f.rename(columns={"old": "Old"}),
    "a column twice": lambda f: pd.concat([f, f[["size"]]], axis=1),
    "a new text": lambda f: f.assign(town="east"),
    "a missing number": lambda f: f.assign(size=f["size"].where(f["count"] != 3)),
    "a missing text": lambda f: f.assign(town=f["town"].where(f["count"] != 3)),
    "an infinity": lambda f: f.assign(size=np.inf),
    "a text among numbers": lambda f: f.assign(size="x"),
    "times": lambda f: f.assign(size=pd.Timestamp("2026-01-01")),
    "an array": lambda f: f.to_numpy(),
    "numbers alone": lambda f: f[["size", "count"]].to_numpy(),
}


def _frames(case: Case, world: World) -> None:
    frame = _frame(world.inputs["table"].values[: case.draw.randrange(2, 8)])
    refused = case.chance(0.5)
    forms = _FRAMES_REFUSED if refused else _FRAMES_SAME
    given = forms[case.pick(sorted(forms))](frame.copy())
    learner = world.learners["frame"][0]
    with _taken(not refused):
        found = learner.predict_scores(given)
    if refused:
        raise Wrong("predict_scores took it")
    check_scores(found, learner.predict_scores(frame), 0.0, exact=True)


TARGET = Target("kinds", 15, prepare, case)
