"""Evaluation of a learner or a run on images."""

from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from onward.core import Learner, TrainerSettings, check_value
from onward.data import (
    Columns,
    Data,
    DataSettings,
    Source,
    Splits,
    array_files,
    as_splits,
    is_dataset,
    is_folder,
    labeled_rows,
    load,
    own_shards,
    read_labeled,
    read_own_labeled,
    rows_in,
    rows_of,
    table_files,
)
from onward.recipes import Recipe
from onward.runs.environment import choose_device
from onward.runs.finished import Run, check_measured
from onward.runs.folder import RunFolder
from onward.runs.loading import images_again, open_model
from onward.training.evaluation import Accuracy, Evaluator, Watch, unwatched
from onward.training.process import processor_set_up

Split = Literal["test", "validation", "train"]
_GIVE = "give what from_arrays or load_data made"


@processor_set_up()
def evaluate(
    run_or_learner: Run | Learner | Path | str,
    data: Any = None,
    *,
    split: Split = "test",
    data_dir: Path | str | None = None,
    device: str | None = None,
) -> Accuracy:
    """Return the accuracy of every inference rule and of every block on one split, as fractions.

    A run, or the path of its folder, is evaluated on the images it was trained on unless others are named, in the
    arithmetic of its training, on the best device. A learner, or the path of a saved model, needs images; it is
    evaluated in fp32, where it is. Data are also a pair (inputs, labels), a loader of such, or a Hugging Face dataset.
    Raises ValueError for other objects than runs, learners and data, for images of another shape or with other
    classes, and where the images that a run was trained on have changed.
    """
    check_value("split", split, Split)
    root = None if data_dir is None else Path(data_dir)
    if isinstance(run_or_learner, Learner):
        learner, recipe = run_or_learner, None
    else:
        path = run_or_learner.path if isinstance(run_or_learner, Run) else run_or_learner
        if data is None:
            return evaluate_again(path, split=split, data_dir=root, device=device or "auto")[2]
        learner, recipe, _ = open_model(path)
        device = device or "auto"
    if data is None:
        raise ValueError(f"data is missing: {_GIVE}")
    if isinstance(data, str | Path) and split == "test" and is_folder(str(data)):
        images = _others(learner, str(data), root, Columns() if recipe is None else recipe.data.columns)[0]
    else:
        images = _images(learner, data, split, root)
    _check_fit(learner, images)
    before, on = learner.device, learner.device if device is None else choose_device(device)
    try:
        return _evaluator(learner.to(on), recipe, unwatched).accuracy(images)
    finally:
        learner.to(before)


def evaluate_again(
    path: Path | str, *, split: Split, data_dir: Path | None, device: str, watch: Watch = unwatched
) -> tuple[Recipe, Splits, Accuracy]:
    """Evaluate a run on the images that it was trained on; return its recipe and them too.

    Raises ValueError for what is no run, and where its files or images are those of another.
    """
    learner, recipe, folder = open_model(path)
    if recipe is None:
        raise ValueError(f"{folder} is a saved model, which holds no images: {_GIVE}")
    data = images_again(folder, recipe, data_dir)
    evaluator, run = _evaluator(learner.to(choose_device(device)), recipe, watch), RunFolder.open(folder)
    accuracy = evaluator.accuracy(getattr(data, split))
    if run.untied():
        check_measured(run, accuracy if split == "test" else evaluator.accuracy(data.test), len(data.test))
    return recipe, data, accuracy


def evaluate_others(
    path: Path | str, others: str, *, data_dir: Path | None, device: str, watch: Watch = unwatched
) -> tuple[Recipe, Source, str, Learner, Accuracy]:
    """Evaluate a run on other data of its classes: a user's folder or table, or the test split of a named set.

    Return its recipe, these samples, what they are called, the learner, and the accuracy. Raises ValueError for data of
    other classes.
    """
    learner, recipe, folder = open_model(path)
    if recipe is None:
        raise ValueError(f"{folder} is a saved model without a recipe: use onward.evaluate(path, data)")
    images, name = _others(learner, others, data_dir, recipe.data.columns)
    accuracy = _evaluator(learner.to(choose_device(device)), recipe, watch).accuracy(images)
    return recipe, images, name, learner, accuracy


def _others(learner: Learner, others: str, data_dir: Path | None, columns: Columns) -> tuple[Source, str]:
    """Return other samples of a learner's classes, and their name; `columns` are those of its training."""
    form, names, path = learner.input_form, learner.class_names, Path(others).expanduser()
    own = is_folder(others)
    assert form is not None
    if own and (arrays := array_files(path)) is not None:
        return rows_in(arrays, form, learner.task, names), path.resolve().stem
    if own and (tables := table_files(path)) is not None:
        if form.kind != "table":
            raise ValueError(f"{others} is a table, but the model takes {form.kind} of shape {list(form.shape)}")
        return labeled_rows(tables, form, learner.task, names, columns), path.resolve().stem
    if form.kind != "images":
        raise ValueError(f"{others} holds images, but the model takes {form.kind} of shape {list(form.shape)}")
    channels, height, width = form.shape
    if own and (shards := own_shards(path)) is not None:
        return read_own_labeled(shards, names, channels=channels, size=(height, width)), path.resolve().stem
    if own:
        return read_labeled(path, names, channels=channels, size=(height, width)), path.resolve().name
    images = load(DataSettings(name=others, size=height), data_dir=data_dir)
    if images.class_names != names or images.shape != form.shape:
        raise ValueError(
            f"{others} has images {images.shape} of the classes {', '.join(images.class_names[:8])}, the model takes "
            f"{form.shape} of {', '.join(names[:8])}: name images of the same kind"
        )
    return images.test, images.name


def _evaluator(learner: Learner, recipe: Recipe | None, watch: Watch) -> Evaluator:
    if recipe is None:
        return Evaluator(learner, TrainerSettings(), watch=watch)
    return Evaluator(learner, recipe.trainer, batch_size=recipe.batch_size, watch=watch)


def _images(learner: Learner, data: object, split: Split, data_dir: Path | None) -> Source:
    if isinstance(data, str):
        data = DataSettings(name=data)
    if isinstance(data, DataSettings):
        data = load(data, data_dir=data_dir)
    if isinstance(data, Data):
        return getattr(as_splits(data), split)
    batches = hasattr(data, "__iter__") and not isinstance(data, Source | Tensor) and not hasattr(data, "dtype")
    if (batches or is_dataset(data)) and learner.input_form is not None:
        return rows_of(data, (learner.input_form, learner.task, learner.class_names))
    if not isinstance(data, Source):
        raise ValueError(
            f"data is a {type(data).__name__}: {_GIVE}; "
            "for images and labels by themselves there is learner.score(images, labels)"
        )
    return data


def _check_fit(learner: Learner, images: Source) -> None:
    shape, classes = learner.image_shape, len(learner.class_names)
    if shape is not None and images.shape != shape:
        raise ValueError(
            f"the images are {images.shape} (channels, height, width), but this network takes {shape}: "
            "bring them to one size"
        )
    if learner.task == "classes" and classes and len(images) and int(images.labels.max()) >= classes:
        raise ValueError(f"the images have class {int(images.labels.max())}, but this network has {classes} classes")
