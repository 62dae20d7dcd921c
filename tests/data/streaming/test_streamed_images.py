"""Streams: the images of memory in an order of their own, in every number of processes, from any batch on."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch

from onward.data import Augmentation, DataSettings, Splits, Streamed, TrainLoader, batches, load
from onward.data.streaming.images import _journey
from onward.data.streaming.shards import PieceReader

AUGMENTED = Augmentation(crop=2, alternate_flip=True)
SETTINGS = DataSettings(name="mnist", buffer=60)


@pytest.fixture(scope="module")
def sets(parquet_set, tmp_path_factory) -> Iterator[tuple[Splits, Splits]]:
    """The same set in memory and streamed."""
    datasets = pytest.importorskip("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("huggingface"))
        patch.setenv("ONWARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        data_dir = parquet_set()
        in_memory = load(DataSettings(name="mnist"), data_dir=data_dir)
        yield in_memory, load(SETTINGS, data_dir=data_dir, workers=0)


@pytest.fixture
def in_memory(sets) -> Splits:
    return sets[0]


@pytest.fixture
def streamed(sets):
    def make(workers: int = 0) -> Splits:
        train = sets[1].train
        again = Streamed(train.reader, train.rows, buffer=train.buffer, workers=workers, sample=train.sample)
        return replace(sets[1], train=again)

    return make


@pytest.fixture
def own_shards(parquet_set):
    """A small set that a test may spoil, and the folder of its shards."""

    def make(workers: int) -> tuple[Splits, Path]:
        data_dir = parquet_set(train=(20, 40), test=(10,))
        return load(SETTINGS, data_dir=data_dir, workers=workers), data_dir / "mnist"

    return make


def loader(data: Splits, **options) -> TrainLoader:
    return TrainLoader(data.train, batch_size=16, device="cpu", seed=5, **options)


def same(left, right) -> bool:
    pairs = list(zip(left, right, strict=True))
    return all(torch.equal(x, x_too) and torch.equal(y, y_too) for (x, y), (x_too, y_too) in pairs)


def test_a_stream_has_the_splits_and_statistics_of_memory(in_memory, streamed):
    data = streamed()
    assert isinstance(data.train, Streamed) and len(data.train) == len(in_memory.train) == 260
    assert torch.equal(data.train.subset(torch.arange(260)).pixels, in_memory.train.pixels)
    for ours, theirs in ((data.validation, in_memory.validation), (data.test, in_memory.test)):
        assert torch.equal(ours.pixels, theirs.pixels) and torch.equal(ours.labels, theirs.labels)
    assert torch.equal(data.train.labels, in_memory.train.labels)
    assert data.shape == in_memory.shape and data.class_names == in_memory.class_names
    assert all(map(torch.equal, data.channel_statistics(), in_memory.channel_statistics()))


@pytest.mark.parametrize("epoch", [0, 1])
def test_batches_are_the_images_that_the_order_names(in_memory, streamed, epoch):
    stream = loader(streamed())
    order = stream.order(epoch)
    found = list(stream.epoch(epoch))
    assert len(found) == len(stream) == 16
    for rows, (x, y) in zip(order, found, strict=True):
        assert torch.equal(x, in_memory.train.pixels[rows] / 255) and torch.equal(y, in_memory.train.labels[rows])


def test_an_epoch_sees_every_image_once_and_epochs_differ(streamed):
    stream = loader(streamed())
    first, again, second = (torch.cat(stream.order(epoch)) for epoch in (0, 0, 1))
    assert len(first.unique()) == len(first) == 256
    assert torch.equal(first, again) and not torch.equal(first, second)


def test_any_number_of_processes_gives_the_same_bits(streamed):
    none, one, three = (list(loader(streamed(workers), augmentation=AUGMENTED).epoch(1)) for workers in (0, 1, 3))
    assert same(none, one) and same(none, three)


@pytest.mark.parametrize("start", [0, 1, 9, 15, 16])
def test_resumed_anywhere_the_same_samples_follow(streamed, start):
    data = streamed()
    whole = list(loader(data, augmentation=AUGMENTED).epoch(2))
    assert same(whole[start:], list(loader(data, augmentation=AUGMENTED).epoch(2, start=start)))


def test_resuming_decodes_nothing_that_has_been_used(streamed, monkeypatch):
    stream, asked = loader(streamed()), []
    decode = PieceReader.__getitem__
    monkeypatch.setattr(PieceReader, "__getitem__", lambda self, r: asked.append(len(r[1])) or decode(self, r))
    list(stream.epoch(0, start=10))
    assert sum(asked) == 6 * 16


def test_a_replica_gets_its_own_rows_and_decodes_no_others(streamed, monkeypatch):
    data, asked = streamed(), []
    whole = list(loader(data, augmentation=AUGMENTED).epoch(0))
    decode = PieceReader.__getitem__
    monkeypatch.setattr(PieceReader, "__getitem__", lambda self, r: asked.append(len(r[1])) or decode(self, r))
    for own in (slice(0, 8), slice(8, 16)):
        mine = list(loader(data, augmentation=AUGMENTED, own=own).epoch(0))
        assert same([(x[own], y) for x, y in whole], [(x[own], y) for x, y in mine])
        assert all(y.shape == (16,) and x.shape == (16, 1, 28, 28) for x, y in mine)
    assert sum(asked) == 16 * 16


def test_evaluation_sees_the_whole_split_in_order(in_memory, streamed):
    ours, theirs = (list(batches(data.train, batch_size=100, device="cpu")) for data in (streamed(1), in_memory))
    assert same(ours, theirs) and [len(y) for _, y in ours] == [100, 100, 60]


def test_what_waits_is_bounded_by_the_buffer_however_long_the_stream(sets):
    train, rows = sets[1].train, torch.arange(200_000)
    shards = replace(
        train.reader.shards,
        pieces=torch.zeros(20_000, 2, dtype=torch.int64),
        first=torch.arange(20_000) * 10,
        labels=rows % 10,
    )
    stream = Streamed(replace(train.reader, shards=shards), rows, buffer=1000, workers=0)
    order = stream.order(16, seed=0)
    journey = _journey([batch.numpy() for batch in order], stream)
    assert len(order) == 12_500 and journey.capacity < 1000 + 8 * 2 * 10
    assert (np.sort(np.concatenate(journey.positions)) == np.arange(200_000)).all()


def test_a_few_images_of_a_few_pieces_keep_many_processes_busy_or_idle(parquet_set):
    data_dir = parquet_set(train=(30,), test=(10,), group=100)
    data = load(DataSettings(name="mnist", buffer=1000), data_dir=data_dir, workers=3)
    x, _ = next(TrainLoader(data.train, batch_size=64, device="cpu").epoch(0))
    assert len(x) == len(data.train) == 20


def test_processes_end_with_the_epoch(streamed):
    stream = loader(streamed(2))
    list(stream.epoch(0))
    assert active_children() == []
    half = stream.epoch(0)
    next(half)
    assert len(active_children()) == 2
    del half
    assert active_children() == []


def damage(path, row: int) -> None:
    """Cut one JPEG of a shard short."""
    import pyarrow
    from pyarrow import parquet

    cells = parquet.read_table(path).to_pydict()
    cells["image"][row]["bytes"] = cells["image"][row]["bytes"][:100]
    parquet.write_table(pyarrow.table(cells), path, row_group_size=10)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named_and_the_processes_end(own_shards, workers):
    data, folder = own_shards(workers)
    row = int(data.train.rows[30] - 20)  # training image 30 lies in the second shard
    damage(folder / "train-00001-of-00002.parquet", row)
    with pytest.raises(
        ValueError, match=rf"train-00001-of-00002.parquet, row {row} cannot be read as an image"
    ) as fault:
        list(loader(data).epoch(0))
    assert fault.tb is not None and active_children() == []  # though the traceback holds on to every frame


def test_a_damaged_test_image_is_named_at_once(parquet_set):
    data_dir = parquet_set(train=(20,), test=(20,))
    damage(data_dir / "mnist" / "test-00000-of-00001.parquet", 17)
    with pytest.raises(ValueError, match=r"test-00000-of-00001.parquet, row 17 cannot be read as an image"):
        load(SETTINGS, data_dir=data_dir, workers=1)


def test_a_shard_that_vanishes_is_named(own_shards):
    data, folder = own_shards(1)
    (folder / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(ValueError, match=r"train-00001-of-00002.parquet cannot be read .*: copy the shard again"):
        list(loader(data).epoch(0))


def test_a_killed_process_is_named(streamed):
    epoch = loader(streamed(1)).epoch(0)
    next(epoch)
    (process,) = active_children()
    with pytest.raises((OSError, RuntimeError), match=rf"{process.pid}.*Killed|gone.*{process.pid}"):
        os.kill(process.pid or 0, signal.SIGKILL)
        list(epoch)
    del epoch
    assert active_children() == []


def test_ctrl_c_is_left_to_the_trainer(streamed):
    epoch = loader(streamed(1)).epoch(0)
    found = [next(epoch)]
    for process in active_children():
        os.kill(process.pid or 0, signal.SIGINT)
    assert len([*found, *epoch]) == 16


def test_no_process_outlives_a_trainer_that_is_killed(streamed, tmp_path):
    data, told = streamed(2), tmp_path / "pids"
    trainer = os.fork()
    if not trainer:
        try:
            epoch = loader(data).epoch(0)
            next(epoch)
            (tmp_path / "draft").write_text(" ".join(str(process.pid) for process in active_children()))
            (tmp_path / "draft").rename(told)
            time.sleep(60)
        finally:
            os._exit(1)
    while not told.exists():
        time.sleep(0.01)
    os.kill(trainer, signal.SIGKILL)
    os.waitpid(trainer, 0)
    left, since = [int(pid) for pid in told.read_text().split()], time.monotonic()
    assert len(left) == 2
    while left and time.monotonic() - since < 10:
        left = [pid for pid in left if running(pid)]
        time.sleep(0.05)
    assert left == []


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
