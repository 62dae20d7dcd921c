"""The model file: safetensors plus JSON, from which the same learner is built again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onward.algorithms import Algorithm
from onward.core import Description, InputForm, Learner, common_defaults, derive_seed, gradients_on, seeded
from onward.core.former_names import with_current_names
from onward.data import Data, Splits, as_splits, weights_of
from onward.nets import Architecture
from onward.parts.prepare import Standardize, StandardizeValues
from onward.parts.tasks import check_untouched, for_task, weigh_classes
from onward.parts.whiten import Whiten, patch_covariance
from onward.recipes import Recipe
from onward.runs.argument_checks import check_kinds
from onward.runs.codec import decode, encode
from onward.runs.input_form import TargetForm, decode_forms, encode_forms
from onward.runs.model_form import (
    Form,
    blocks_of,
    check_forms,
    check_sizes,
    forms_of,
    prepared_forms,
    without_numbers,
)
from onward.runs.result import read_result
from onward.storage.disk import replace_all
from onward.storage.files import json_digest, json_writer, read_header, read_json, read_tensors, tensor_writer
from onward.storage.forms import check_object, naming, shown
from onward.training.finite import check_finite

FORMAT = "onward-model-1"
_FORM: Mapping[str, Any] = {
    "algorithm": dict[str, Any],
    "net": dict[str, Any],
    "shape": list[int],
    "class_names": list[str],
    "mean": list[float],
    "deviation": list[float],
    "covariance": list[list[float]],
    "class_weights": list[float],
    "blocks": int | None,
    "rule": str | None,
}
_NEWER: Mapping[str, Any] = {
    "covariance": [],
    "class_weights": [],
    "blocks": None,
    "rule": None,
}
"""Fields that older models lack; left out where they have this default."""


@dataclass(frozen=True)
class ModelSpec(Description):
    """How to build a learner: everything but its weights. Image values are in [0, 1] before they are standardized."""

    algorithm: Algorithm
    net: Architecture
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...] = ()
    """Covariance of the patches that the network whitens, in standardized images; empty: that of white noise."""
    blocks: int | None = None
    """Number of blocks of a truncated model; None: all."""
    rule: str | None = None
    """The one inference rule of a truncated model; None: all."""
    form: InputForm | None = None
    """The form of the inputs; None: images with values in [0, 1]."""
    target: TargetForm | None = None
    """The form of the predictions; None: one class for each input."""
    class_weights: tuple[float, ...] = ()
    """Factors of the losses of each class, in training and in `partial_fit`; empty: all equal."""

    @gradients_on()
    def build(self, *, seed: int = 0) -> Learner:
        """Build the learner with fresh weights drawn from `seed`. Raises ValueError if the parts do not fit."""
        try:
            with seeded(derive_seed(seed, "weights"), torch.device("cpu")):
                learner = self._network()
        except ValueError as error:
            raise ValueError(f"{error}{self._fitting()}") from None
        learner.prepare = self._preparation()
        learner.description = self
        return learner

    def save(self, learner: nn.Module, folder: Path | str) -> None:
        """Write a learner that was built from this description into a folder; raises as `save_model` does."""
        assert isinstance(learner, Learner)
        save_model(folder, learner, self)

    def push_to_hub(self, learner: nn.Module, repo: str, *, private: bool, token: str | None) -> str:
        """Push a learner that was built from this description to the hub; raises as `onward.runs.hub.push` does."""
        from onward.runs.hub import push  # which saves by this module

        assert isinstance(learner, Learner)
        return push(learner, self, repo, private=private, token=token)

    def shortened(self, blocks: int, rule: str) -> "ModelSpec":
        """Return the description of the first blocks of the same learner, with one inference rule."""
        return replace(self, blocks=blocks, rule=rule)

    def forms(self, stored: Mapping[str, Form]) -> dict[str, Form]:
        """Return the form of every tensor of the learner, without making any.

        Raises ValueError if the parts do not fit, or need far more than a file of the tensors `stored` holds.
        """
        for settings in (self.algorithm, self.net):
            check_sizes(settings, stored)
        with without_numbers(stored):
            learner = self._network()
        return forms_of(blocks_of(learner)) | prepared_forms(
            self.shape, self.net.whiten, kind=None if self.form is None else self.form.kind
        )

    def _network(self) -> Learner:
        shape, side, classes = self.shape, self.net.whiten, len(self.class_names)
        kind = "images" if self.form is None else self.form.kind
        if kind not in self.net.takes:
            raise ValueError(
                f"{type(self.net).__name__} takes {' or '.join(self.net.takes)}, but the data are {kind} of shape "
                f"{list(shape)}: use MLP or Dense, which flatten all but tokens, or a network of your own"
            )
        if side:
            shape = (2 * shape[0] * side**2, shape[1] - side + 1, shape[2] - side + 1)
        learner = self.algorithm(self.net(shape, classes), classes)
        if self.form is not None:
            check_untouched(learner, self.form)
        if self.target is not None:
            learner = for_task(learner, self.target.task, self.target.mean, self.target.deviation)
        if self.class_weights:
            weigh_classes(learner, self.class_weights)
        return learner if self.blocks is None else learner.shortened(self.blocks, rule=self.rule)

    def _fitting(self) -> str:
        """Return the flag that repairs a width which does not fit the classes; "" for other errors."""
        net: Any = self.net
        width, classes = getattr(net, "width", None), len(self.class_names)
        if not isinstance(width, int) or not classes or width % classes == 0:
            return ""
        fitting = width + -width % classes
        try:
            with torch.device("meta"):
                replace(self, net=replace(net, width=fitting))._network()
        except (ValueError, NotImplementedError):
            return ""
        return f": a width of {fitting} fits {classes} classes (--net.width {fitting})"

    def _preparation(self) -> nn.Module:
        """Return the module that turns images into the network's input."""
        standardize, side = Standardize(self.shape, self.mean, self.deviation), self.net.whiten
        if self.form is not None:
            standardize = StandardizeValues(self.form, self.mean, self.deviation)
        if not side:
            return standardize
        channels = self.shape[0]
        return nn.Sequential(
            standardize, Whiten(channels, side, self.covariance or torch.eye(channels * side**2).tolist())
        )


@common_defaults()
def spec_for(
    algorithm: Algorithm,
    net: Architecture,
    data: Data,
    class_weights: str | Mapping[Any, float] | Sequence[float] | None = None,
) -> ModelSpec:
    """Describe a learner for a data set, `Splits` or any other `Data`; the statistics of its training rows are kept.

    `class_weights` are "balanced", a number for each class, or a mapping from names or indices.
    Raises ValueError, with the remedy, for other objects than algorithms, architectures and data sets.
    """
    check_kinds(algorithm, net, data)
    data = as_splits(data)
    weights = () if class_weights is None else weights_of(class_weights, data)
    mean, deviation = _scale(algorithm, data)
    covariance = patch_covariance(data.train.sample.pixels, mean, deviation, net.whiten) if net.whiten else []
    return ModelSpec(
        algorithm,
        net,
        data.shape,
        data.class_names,
        tuple(mean),
        tuple(deviation),
        tuple(tuple(row) for row in covariance),
        form=None if data.inputs.unit else data.inputs,
        target=_target(data),
        class_weights=weights,
    )


def prepared(recipe: Recipe, data: Splits, device: torch.device) -> Learner:
    """Build the learner of a recipe on a device, as its training begins: weights drawn from its seed.

    Raises ValueError as `spec_for` does, and if the parts do not fit.
    """
    spec = spec_for(recipe.algorithm, recipe.net, data, recipe.class_weights)
    return spec.build(seed=recipe.seed).laid_out(recipe.trainer, device)


def _scale(algorithm: Algorithm, data: Splits) -> tuple[list[float], list[float]]:
    """Return the mean and the divisor with which each channel of the inputs is standardized."""
    if data.inputs.kind == "tokens":
        return [0.0], [1.0]
    mean, deviation = (statistic.tolist() for statistic in data.channel_statistics())
    if algorithm.standardize:
        return mean, deviation
    if data.inputs.unit:
        return [0.0] * len(mean), [1.0] * len(deviation)
    low, reach = data.channel_range()  # to scale inputs to [0, 1]
    return low.tolist(), reach.tolist()


def _target(data: Splits) -> TargetForm | None:
    if data.task == "classes":
        return None
    if data.task == "labels":
        return TargetForm("labels")
    mean, deviation = (tuple(statistic.tolist()) for statistic in data.target_statistics())
    return TargetForm("values", mean, deviation)


def truncate(learner: Learner, spec: ModelSpec, rule: str | None = None) -> tuple[Learner, ModelSpec]:
    """Leave out the blocks that an inference rule does not read; return the shorter learner and its description.

    With this rule, its only one, it predicts what the whole learner does. Raises ValueError for an unknown rule.
    """
    shorter = learner.shortened(learner.blocks_needed(rule) or len(learner.blocks), rule=rule)
    return shorter, spec.shortened(len(shorter.blocks), shorter.default_rule)


@common_defaults()
def save_model(
    folder: Path | str, learner: Learner, spec: ModelSpec, *, config: str | None = None, result: str | None = None
) -> None:
    """Write `model.safetensors` and `model.json` into a folder, which is made if it is not there.

    `config` and `result` are the digests of the files beside them, if any. Raises ValueError, before anything is
    written, for the folder of a finished run, for classes that are not registered, for weights that are not finite, and
    for a description that is not that of the learner; OSError if a file cannot be written: an earlier model is then
    unchanged.
    """
    folder, tensors = _new_folder(folder), learner.state_dict()
    if result is None and (folder / "result.json").exists():
        raise ValueError(f"{folder} holds a finished run with the model of its result: name another folder")
    content = content_of(spec)
    try:
        check_forms(spec.forms(forms_of(tensors)), forms_of(tensors))
    except ValueError as error:
        raise ValueError(f"learner and description do not fit ({error}): give those that belong together") from None
    check_finite(tensors)
    write, digest = tensor_writer(tensors, {"format": FORMAT})
    content |= {"weights_sha256": digest, "config_sha256": config, "result_sha256": result}
    folder.mkdir(parents=True, exist_ok=True)
    replace_all({folder / "model.safetensors": write, folder / "model.json": json_writer(content)})


def _new_folder(folder: object) -> Path:
    if not isinstance(folder, str | Path) or folder == "":
        shown = f"a {type(folder).__name__}" if folder != "" else "empty"
        raise ValueError(f"folder is {shown}: give the path of a folder to save the model in")
    file = next((path for path in (Path(folder), *Path(folder).parents) if path.is_file()), None)
    if file is not None:
        raise ValueError(f"{file} is a file: a model is saved into a folder: name another path")
    return Path(folder)


@common_defaults()
def load_model(folder: Path | str) -> tuple[Learner, ModelSpec]:
    """Read a learner back, in evaluation mode, from a folder or one of its files.

    Raises ValueError for a missing, damaged or foreign model, before anything of its size is built.
    """
    folder = model_folder(Path(folder))
    check_model_there(folder)
    weights, described = folder / "model.safetensors", folder / "model.json"
    content = read_json(described)
    header = read_header(weights)
    check_digests(folder, content, header.digest)
    _check_result(folder, content)
    spec = spec_of(content, described)
    with naming(f"{described} describes no model that can be built"):
        wanted = spec.forms(header.forms)
    try:
        check_forms(wanted, with_current_names(header.forms, wanted))
        tensors, _ = read_tensors(weights)
        check_finite(tensors)
    except ValueError as error:
        raise ValueError(f"{weights} does not fit {described}: {error}") from None
    with naming(f"{described} describes no model that can be built"):
        learner = spec.build()
        learner.load_state_dict(tensors)
    return learner.eval(), spec


def _check_result(folder: Path, content: Mapping[str, Any]) -> None:
    """Raise ValueError if the result beside a model is that of another model."""
    described, beside = folder / "model.json", folder / "result.json"
    seals = read_result(beside).seals if beside.exists() else None
    if seals is not None and seals.model != json_digest(content):
        raise ValueError(f"{described} does not belong to {beside}: it is of another run, or was made again")


def model_folder(path: Path) -> Path:
    """Return the folder of a model, given the folder or one of its files."""
    return path.parent if path.name in ("model.safetensors", "model.json") and path.is_file() else path


def check_model_there(folder: Path) -> None:
    """Raise ValueError for no folder, or a run without a model, with the remedy: resuming it, or training it again."""
    if not folder.exists():
        raise ValueError(f"{folder} does not exist; name the folder of a run or of a saved model")
    if (folder / "model.json").exists() or not (folder / "config.json").exists():
        return
    if (folder / "result.json").exists():
        raise ValueError(
            f"{folder} has finished, but its model.json is gone: restore the file of this run, or train its "
            "recipe and seed again, in a new folder"
        )
    raise ValueError(f"{folder} has not finished; resume it with: onward train --resume {folder}")


def check_digests(folder: Path, content: Mapping[str, Any], weights: str) -> None:
    """Raise ValueError unless weights and configuration in a folder are those that its `model.json` was made with."""
    described = folder / "model.json"
    if content.get("weights_sha256", weights) != weights:
        raise ValueError(f"{folder / 'model.safetensors'} does not belong to {described}: it is of another run")
    config = content.get("config_sha256")
    beside = folder / "config.json"
    if config is not None and beside.exists() and json_digest(read_json(beside)) != config:
        raise ValueError(f"{beside} does not belong to {described}: it is of another run")


def check_recipe(recipe: Recipe, spec: ModelSpec, folder: Path) -> None:
    """Raise ValueError if a folder's recipe and model are of different algorithms or networks."""
    for name in ("algorithm", "net"):
        if getattr(recipe, name) != getattr(spec, name):
            raise ValueError(
                f"{folder / 'config.json'} does not belong to {folder / 'model.json'}: the {name} is another"
            )


def content_of(spec: ModelSpec) -> dict[str, Any]:
    """Return the entries of a model file that describe a learner."""
    return {
        "format": FORMAT,
        "algorithm": encode(spec.algorithm, "algorithm"),
        "net": encode(spec.net, "net"),
        "shape": list(spec.shape),
        "class_names": list(spec.class_names),
        "mean": list(spec.mean),
        "deviation": list(spec.deviation),
        "covariance": [list(row) for row in spec.covariance],
        "blocks": spec.blocks,
        "rule": spec.rule,
        **({"class_weights": list(spec.class_weights)} if spec.class_weights else {}),
        **encode_forms(spec.form, spec.target),
    }


def spec_of(content: dict[str, Any], path: Path) -> ModelSpec:
    """Return what the entries of a model file describe. Raises ValueError, with its path, where they do not fit."""
    if content.get("format") != FORMAT:
        raise ValueError(f"{path} has format {shown(content.get('format'))}, expected {FORMAT!r}")
    content = {**_NEWER, **content}
    check_object(content, _FORM, str(path))
    shape, classes = tuple(content["shape"]), content["class_names"]
    form, target = decode_forms(content, shape, len(classes), str(path))
    channels = 1 if form is not None and form.kind == "tokens" else (shape or (0,))[0]
    least = 1 if target is not None and target.task == "values" else 2
    odd = any(len(content[name]) != channels for name in ("mean", "deviation")) or (form is None and len(shape) != 3)
    if min(shape, default=0) < 1 or len(classes) < least or odd:
        raise ValueError(
            f"{path} describes inputs of shape {list(shape)} with {len(classes)} classes, {len(content['mean'])} means "
            f"and {len(content['deviation'])} deviations, which do not fit each other"
        )
    weights = tuple(map(float, content["class_weights"]))
    if weights and (len(weights) != len(classes) or not min(weights) >= 0 or not any(weights)):
        raise ValueError(f"{path} has {len(weights)} class weights {shown(weights)} for {len(classes)} classes")
    return ModelSpec(
        decode(content["algorithm"], Algorithm, f"algorithm in {path}"),
        decode(content["net"], Architecture, f"net in {path}"),
        shape,
        *(tuple(content[key]) for key in ("class_names", "mean", "deviation")),
        covariance=tuple(tuple(row) for row in content["covariance"]),
        blocks=content["blocks"],
        rule=content["rule"],
        form=form,
        target=target,
        class_weights=weights,
    )
