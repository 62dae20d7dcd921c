"""Run folders whose files are damaged, edited, mixed or replaced: the same answers as before, or refused by name."""

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from fuzz_case import Case, Target, Unclear, Wrong, told
from fuzz_images import damaged
from fuzz_json import changed, sealed
from PIL import Image

from onward.algorithms import DeeperForward
from onward.cli import main
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import Recipe
from onward.runs import RunFolder, RunOptions, RunResult, export_model, load_model, resume, train
from onward.runs.finished import open_run

_TIMES = ("seals", "seconds", "memory", "commit", "per_second", "sha256", "written", "date")
"""Parts of the names of what differs between two runs of one training."""

_MACHINE = ("versions", "device", "threads", "platform", "cpu", "started", "host", "deterministic")


@dataclass
class World:
    """A finished run, a stopped one, those of another seed and of another recipe, and what they answer undamaged."""

    finished: Path
    stopped: Path
    others: tuple[Path, ...]
    images: torch.Tensor
    answers: dict[str, Any]
    data: Path


def class_folders(root: Path, names: tuple[str, ...] = ("a", "b", "c"), each: int = 8) -> Path:
    """Write small images of classes; return their folder."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 90, (8, 8), dtype="u1")
            pixels[:, 2 * label : 2 * label + 2] += 150
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def recipe_on(data: Path, name: str = "toy", seed: int = 0) -> Recipe:
    """Return a recipe of two short epochs."""
    return Recipe(
        name=name,
        description="a toy",
        algorithm=DeeperForward(),
        net=MLP(width=6, depth=2),
        data=DataSettings(name=str(data), validation_fraction=0.2),
        trainer=TrainerSettings(learning_rate=0.02),
        epochs=2,
        batch_size=4,
        seed=seed,
    )


def prepare(folder: Path) -> World:
    data = class_folders(folder / "images")
    place = RunOptions(runs_dir=folder / "runs", device="cpu", checkpoint_every=0)
    recipe = recipe_on(data)
    stopped, save = folder / "stopped", RunFolder.save_checkpoint

    def saving(run: RunFolder, *given: Any, **more: Any) -> None:
        save(run, *given, **more)
        if not stopped.exists() and run.metrics():  # in the second epoch
            shutil.copytree(run.path, stopped)

    with patch.object(RunFolder, "save_checkpoint", saving), contextlib.redirect_stderr(io.StringIO()):
        finished = train(recipe, place)[0].path
    with contextlib.redirect_stderr(io.StringIO()):
        others = [train(replace(recipe, seed=1), place)[0].path]
        others.append(train(replace(recipe, name="other", net=MLP(width=9, depth=2)), place)[0].path)
    images = torch.randint(0, 256, (5, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    world = World(finished, stopped, tuple(others), images, {}, data)
    for name, (source, ask) in _QUESTIONS.items():
        run = folder / "asked"
        shutil.copytree(getattr(world, source), run)
        world.answers[name] = ask(run, world)
        shutil.rmtree(run)
    return world


def case(case: Case, world: World) -> None:
    name = case.draw.choices(tuple(_QUESTIONS), (8, 3, 2, 3, 3, 2, 1))[0]
    source, ask = _QUESTIONS[name]
    run = case.folder / "run"
    shutil.copytree(getattr(world, source), run)
    case.note(name)
    victim = case.draw.choice(sorted(path for path in run.rglob("*") if path.is_file()))
    case.names = (str(run), "run")
    meaning = case.draw.choices((_raw, _edited, _mixed, _replaced), (6, 6, 2, 2))[0](case, world, run, victim)
    before = _content(case.folder)
    try:
        found = ask(run, world)
    except (ValueError, OSError):
        after = _content(case.folder)
        lost = [path for path, digest in before.items() if after.get(path) != digest]
        if lost:
            raise Wrong(f"refused, but {lost[0]} changed") from None
        raise
    wanted = world.answers[name]
    if found == wanted:
        return
    if meaning == "another model" and name in ("load", "export") and found is not None:
        return  # whoever writes both files of a model and their checksums makes another model
    raise Wrong(f"another answer in {_difference(found, wanted)}")


def _difference(found: Any, wanted: Any, place: str = "") -> str:
    """Return the first places where two values differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
        return "; ".join(_difference(found.get(key), wanted.get(key), f"{place}.{key}") for key in keys[:3])
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        keys = [key for key in range(len(found)) if found[key] != wanted[key]]
        return "; ".join(_difference(found[key], wanted[key], f"{place}[{key}]") for key in keys[:3])
    return f"{place}: {told(found)[:60]}, not {told(wanted)[:60]}"


def _raw(case: Case, world: World, run: Path, victim: Path) -> str:
    case.note(victim.name)
    victim.write_bytes(damaged(case, victim.read_bytes()))
    return ""


def _edited(case: Case, world: World, run: Path, victim: Path) -> str:
    """Change a value inside a file of JSON, with or without a new checksum."""
    texts = [path for path in run.rglob("*") if path.suffix in (".json", ".jsonl")]
    victim = case.draw.choice(sorted(texts))
    case.note(victim.name)
    renewed = case.chance(0.5)
    if victim.suffix == ".jsonl":
        rows = victim.read_text().splitlines()
        at = case.draw.randrange(len(rows)) if rows else 0
        rows[at : at + 1] = [changed(case, json.loads(rows[at]) if rows else {})]
        victim.write_text("\n".join(rows) + "\n")
        return "row"
    content = json.loads(victim.read_text())
    if renewed:
        content.pop("sha256", None)
    text = changed(case, content)
    victim.write_text(sealed(text) if renewed else text)
    case.note("checksum renewed" if renewed else "checksum kept")
    return "another model" if renewed and victim.name == "model.json" else ""


def _mixed(case: Case, world: World, run: Path, victim: Path) -> str:
    other = case.draw.choice(world.others)
    theirs = [path for path in other.iterdir() if path.is_file()]
    chosen = case.draw.sample(sorted(theirs), case.draw.choice((1, 1, 1, 2, 3)))
    case.note(f"{', '.join(path.name for path in chosen)} of {other.parent.name}/{other.name}")
    for path in chosen:
        shutil.copyfile(path, run / path.name)
    return ""


def _replaced(case: Case, world: World, run: Path, victim: Path) -> str:
    """Put something else in the place of a file; a link leads to what must stay as it is."""
    way = case.pick(tuple(_INSTEAD))
    case.note(victim.name)
    precious = case.folder / "precious"
    precious.write_bytes(b"no line end")
    victim.unlink()
    _INSTEAD[way](victim, precious)
    return ""


_INSTEAD: dict[str, Callable[[Path, Path], Any]] = {
    "nothing": lambda path, precious: None,
    "a folder": lambda path, precious: path.mkdir(),
    "a named pipe": lambda path, precious: os.mkfifo(path),
    "a link to itself": lambda path, precious: path.symlink_to(path),
    "a link to nothing": lambda path, precious: path.symlink_to(precious.with_name("nothing")),
    "a link to a precious file": lambda path, precious: path.symlink_to(precious),
    "a hard link of a precious file": lambda path, precious: path.hardlink_to(precious),
    "a link to endless zeros": lambda path, precious: path.symlink_to("/dev/zero"),
    "deep lists": lambda path, precious: path.write_text("[" * 1000 + "]" * 1000),
    "deep objects": lambda path, precious: path.write_text(sealed('{"a":' * 1000 + "1" + "}" * 1000)),
    "a list": lambda path, precious: path.write_text("[1, 2]"),
    "null": lambda path, precious: path.write_text("null"),
    "an empty object": lambda path, precious: path.write_text(sealed("{}")),
    "not text": lambda path, precious: path.write_bytes(b"\xff\xfe\x00"),
    "a lone surrogate": lambda path, precious: path.write_text(sealed('{"a": "\\ud800"}')),
    "a huge header": lambda path, precious: path.write_bytes(b"\xff" * 8 + b"{}"),
}


def _load(run: Path, world: World) -> Any:
    learner, spec = load_model(run)
    scores = learner.predict_scores(world.images)
    if any(not value.isfinite().all() for value in learner.state_dict().values() if value.is_floating_point()):
        raise Wrong("weights that are not finite")
    if scores.shape != (5, len(spec.class_names)) or not scores.isfinite().all():
        raise Wrong(f"scores of shape {tuple(scores.shape)} that are not finite or do not fit the class names")
    return {"scores": scores.tolist(), "names": list(spec.class_names), "rule": learner.default_rule}


def _export(run: Path, world: World) -> Any:
    out = run.parent / "out"
    export_model(run, out, rule="best_range")
    return _load(out, world)


def _open(run: Path, world: World) -> Any:
    found = open_run(run)
    return _plain({"recipe": repr(found.recipe), "result": found.result.to_json(), "metrics": found.folder.metrics()})


def _resume_finished(run: Path, world: World) -> Any:
    return _plain(_resumed(run)[1].to_json())


def _resume_stopped(run: Path, world: World) -> Any:
    folder, result, told = _resumed(run)
    found = _plain({**result.to_json(), "metrics": folder.metrics(), "model": _load(run, world)})
    if "metrics.jsonl lacks" in told:  # the training is the same all the same
        found["metrics"] = world.answers["resume stopped"]["metrics"]
    # Of a run that has not finished nothing says on which machine it began.
    known = world.answers.get("resume stopped", found)
    return {name: value for name, value in found.items() if name in known and name not in _MACHINE}


def _resumed(run: Path) -> tuple[RunFolder, RunResult, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        folder, result = resume(run, RunOptions(runs_dir=run.parent / "runs", device="cpu"))
    return folder, result, said.getvalue()


def _plain(value: Any) -> Any:
    """Return a value without what differs between two runs of one training."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not any(part in k for part in _TIMES)}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def command(words: list[str], names: tuple[str, ...] = ()) -> str:
    """Carry out a command line; return what it printed. Raises ValueError with what it says of a user's mistake."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as stop:  # after --help
            code = stop.code or 0
    said = err.getvalue()
    if code == 0:
        return out.getvalue()
    if code != 2 or not said.strip():
        raise Wrong(f"exit code {code}, said {said[-200:]!r}")
    last = said.rstrip("\n").split("\n")[-1]
    if not last.startswith("onward: "):
        raise Unclear(f"ends in {last[-300:]!r}")
    raise ValueError(last.removeprefix("onward: "))


def _evaluate(run: Path, world: World) -> Any:
    return command(["evaluate", str(run), "--device", "cpu"])


def _report(run: Path, world: World) -> Any:
    out = run.parent / "page"
    command(["report", str(run), "--no-cost", "--device", "cpu", "--out", str(out)])
    found = _plain(json.loads(out.with_suffix(".json").read_text()))
    for method in found["methods"]:
        method.pop("runs")  # where they lie
    return found


_QUESTIONS: dict[str, tuple[str, Callable[[Path, World], Any]]] = {
    "load": ("finished", _load),
    "open": ("finished", _open),
    "export": ("finished", _export),
    "resume finished": ("finished", _resume_finished),
    "resume stopped": ("stopped", _resume_stopped),
    "evaluate": ("finished", _evaluate),
    "report": ("finished", _report),
}
"""By name: the run that is asked, and how its answer is found."""


def _content(folder: Path) -> dict[str, str]:
    """Return a digest of each file below a folder; links by where they lead."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path)] = f"link to {os.readlink(path)}"
        elif path.is_file():
            found[str(path)] = hashlib.sha1(path.read_bytes()).hexdigest()
    return found


TARGET = Target("run_files", 20, prepare, case)
