"""Replicas and a stream: each decodes its share of every batch, and the training is that of one process."""

from dataclasses import replace
from pathlib import Path

import pytest
from comparing import assert_equal_training
from launcher import Launcher
from test_pipelined_equals_sequential import toy

from onward.algorithms import SCFF, DeeperForward
from onward.data import Augmentation, DataSettings
from onward.nets import TinyCNN
from onward.parts.supervision.label_pattern import LabelPattern
from onward.parts.supervision.labels import LabelInInput, LabelInLoss
from onward.parts.supervision.other_images import HybridImages, SelfContrast
from onward.pipeline.run import Pipelining
from onward.runs import RunOptions, train

STREAMED = DataSettings(
    name="mnist", size=8, buffer=50, augmentation=Augmentation(resized_crop=0.5, flip=True, cutout=2)
)


@pytest.mark.parametrize(
    "algorithm",
    [DeeperForward(), pytest.param(SCFF(grid=1), marks=pytest.mark.slow)],
    ids=["label_in_loss", "mixes_images"],
)
def test_two_replicas_give_the_bits_of_two_micro_batches(
    algorithm, launcher: Launcher, tmp_path: Path, place: dict, parquet_set, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))
    data_dir = parquet_set()
    recipe = replace(toy(algorithm, TinyCNN(width=10, dropout=0.3)), data=STREAMED, batch_size=32, epochs=1)
    pieces = replace(recipe, trainer=replace(recipe.trainer, micro_batches=2))
    whole, _ = train(pieces, RunOptions(data_dir=data_dir, runs_dir=tmp_path / "whole", device="cpu", workers=0))
    how = Pipelining(stages=(2, 2), replicas=2)
    environment = {str(rank): {"ONWARD_CACHE": str(tmp_path / "cache")} for rank in range(4)}
    launch = launcher.start(recipe, {**place, "data_dir": data_dir, "workers": 1}, 4, how=how, environment=environment)
    launch.succeeds()
    assert_equal_training(tmp_path / "runs" / "toy" / "seed-0", whole.path)


def test_it_is_known_which_views_are_made_of_several_images():
    assert not (LabelInLoss.mixes_images or LabelInInput.mixes_images or LabelPattern.mixes_images)
    assert HybridImages.mixes_images and SelfContrast.mixes_images
