"""Evaluating: a learner or a run on images, whatever names them."""

from pathlib import Path
from typing import Literal

from onward.core import Learner, TrainerSettings, check_value
from onward.data import DataSettings, Source, Splits, load
from onward.runs.environment import choose_device
from onward.runs.finished import Run
from onward.runs.loading import images_again, open_model
from onward.training.evaluation import LARGEST_BATCH, Accuracy, Evaluator
from onward.training.process import processor_set_up

Split = Literal["test", "validation", "train"]


@processor_set_up()
def evaluate(
    run_or_learner: Run | Learner | Path | str,
    data: Splits | Source | DataSettings | str | None = None,
    *,
    split: Split = "test",
    data_dir: Path | str | None = None,
    device: str | None = None,
) -> Accuracy:
    """Return the accuracy of every inference rule and of every block on one split, as fractions.

    A run, or the path of its folder, is evaluated on the images it was trained on unless others are named, in the
    arithmetic of its training, on the best device. A learner, or the path of a saved model, needs images; it is
    evaluated in fp32, where it is. Raises ValueError for what is no run, no learner or no images, for images of another
    shape or with other classes, and where the images that a run was trained on are others now.
    """
    check_value("split", split, Split)
    place = None if data_dir is None else Path(data_dir)
    recipe, folder = None, Path()
    if isinstance(run_or_learner, Learner):
        learner = run_or_learner
    else:
        path = run_or_learner.path if isinstance(run_or_learner, Run) else run_or_learner
        learner, recipe, folder = open_model(path)
        device = device or "auto"
    if data is None and recipe is None:
        raise ValueError("data is missing: a learner does not know its images; give what from_arrays or load_data made")
    images = _images(images_again(folder, recipe, place) if data is None and recipe else data, split, place)
    _check_fit(learner, images)
    settings, batch_size = TrainerSettings(), LARGEST_BATCH
    if recipe is not None:
        settings, batch_size = recipe.trainer, recipe.batch_size
    before, on = learner.device, learner.device if device is None else choose_device(device)
    try:
        return Evaluator(learner.to(on), settings, batch_size=batch_size).accuracy(images)
    finally:
        learner.to(before)


def _images(data: object, split: Split, data_dir: Path | None) -> Source:
    if isinstance(data, str):
        data = DataSettings(name=data)
    if isinstance(data, DataSettings):
        data = load(data, data_dir=data_dir)
    if isinstance(data, Splits):
        return getattr(data, split)
    if not isinstance(data, Source):
        raise ValueError(
            f"data is a {type(data).__name__}: give what from_arrays or load_data made; "
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
    if classes and len(images) and int(images.labels.max()) >= classes:
        raise ValueError(f"the images have class {int(images.labels.max())}, but this network tells {classes} apart")
