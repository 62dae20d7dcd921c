"""Streamed sets as they are opened: what is checked, what is kept, and where it may come from."""

import pytest
import torch
from pyarrow import parquet

from onward.data import DataSettings, load
from onward.data.streaming.shards import PieceReader

SETTINGS = DataSettings(name="mnist", buffer=60)
SIZES = {"train": (30, 60, 40), "test": (20,)}


def test_what_was_decoded_once_is_kept(parquet_set, monkeypatch):
    data_dir = parquet_set(**SIZES)
    first = load(SETTINGS, data_dir=data_dir, workers=0)
    monkeypatch.delattr(PieceReader, "__getitem__")
    monkeypatch.delattr("onward.data.streaming.shards._scan")
    again = load(SETTINGS, data_dir=data_dir, workers=0)
    assert again.checksum == first.checksum and torch.equal(again.train.labels, first.train.labels)
    assert torch.equal(again.validation.pixels, first.validation.pixels)
    assert torch.equal(again.train.sample.pixels, first.train.sample.pixels)


def test_the_checksum_is_that_of_the_shards_whatever_the_settings_of_a_run(parquet_set, tmp_path):
    data_dir = parquet_set(**SIZES)
    one = load(SETTINGS, data_dir=data_dir, workers=0).checksum
    other = DataSettings(name="mnist", buffer=7, validation_fraction=0.3, split_seed=4)
    assert load(other, data_dir=data_dir, workers=0).checksum == one
    (tmp_path / "moved").mkdir()
    data_dir = data_dir.rename(tmp_path / "moved" / "elsewhere")
    assert load(SETTINGS, data_dir=data_dir, workers=0).checksum == one
    assert load(DataSettings(name="mnist", buffer=60, size=14), data_dir=data_dir, workers=0).checksum != one
    change(data_dir / "mnist" / "train-00001-of-00003.parquet", "label", 3, 9)
    assert load(SETTINGS, data_dir=data_dir, workers=0).checksum != one


def test_a_sample_of_training_images_stands_for_all(parquet_set, monkeypatch):
    monkeypatch.setattr("onward.data.streaming.splits.SAMPLE", 50)
    train = load(SETTINGS, data_dir=parquet_set(**SIZES), workers=0).train
    assert len(train.sample) == 50
    whole = {image.numpy().tobytes() for image in train.subset(torch.arange(len(train))).pixels}
    assert {image.numpy().tobytes() for image in train.sample.pixels} <= whole


def change(path, column: str, row: int, value) -> None:
    import pyarrow
    from pyarrow import parquet

    cells = parquet.read_table(path).to_pydict()
    cells[column][row] = value
    parquet.write_table(pyarrow.table(cells), path, row_group_size=10)


def label_too_large(folder):
    change(folder / "train-00001-of-00003.parquet", "label", 57, 10)


def label_missing(folder):
    change(folder / "train-00001-of-00003.parquet", "label", 57, None)


def label_is_text(folder):
    rewrite(folder / "train-00001-of-00003.parquet", lambda cells: {**cells, "label": list(map(str, cells["label"]))})


def other_columns(folder):
    rewrite(folder / "test-00000-of-00001.parquet", lambda cells: {"picture": cells["image"], "label": cells["label"]})


def no_rows(folder):
    rewrite(folder / "test-00000-of-00001.parquet", lambda cells: {name: column[:0] for name, column in cells.items()})


def no_bytes(folder):
    change(folder / "test-00000-of-00001.parquet", "image", 12, {"bytes": None, "path": "a.jpg"})


def cut_short(folder):
    path = folder / "train-00002-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:-300])


def lost(folder):
    (folder / "train-00000-of-00003.parquet").unlink()


def one_large_group(folder):
    rewrite(
        folder / "train-00000-of-00003.parquet", lambda cells: {name: column * 150 for name, column in cells.items()}
    )


def rewrite(path, changed) -> None:
    import pyarrow
    from pyarrow import parquet

    cells = pyarrow.table(changed(parquet.read_table(path).to_pydict()))
    parquet.write_table(cells, path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (label_too_large, r"train-00001-of-00003.parquet, row 57, column 'label': label 10, but mnist has .* 0..9"),
        (label_missing, r"train-00001-of-00003.parquet, row 57, column 'label': label None"),
        (label_is_text, r"train-00001-of-00003.parquet, row 0, column 'label': label '1'"),
        (other_columns, r"test-00000-of-00001.parquet has the columns \['label', 'picture'\] but not 'image'"),
        (no_rows, r"test-00000-of-00001.parquet has no rows"),
        (no_bytes, r"test-00000-of-00001.parquet, row 12 has no encoded image bytes"),
        (cut_short, r"train-00002-of-00003.parquet cannot be read .*: copy the shard again"),
        (lost, r"train-00000-of-00003.parquet is missing \(2 of 3 shards\)"),
        (one_large_group, r"train-00000-of-00003.parquet, row group 0 holds 4500 images.*row groups of about 100"),
    ],
)
def test_a_fault_of_a_shard_is_named_before_training(parquet_set, spoil, message):
    data_dir = parquet_set(**SIZES)
    spoil(data_dir / "mnist")
    with pytest.raises(ValueError, match=message):
        load(SETTINGS, data_dir=data_dir, workers=0)


def test_only_named_sets_are_streamed():
    with pytest.raises(ValueError, match=r"'digits' cannot be streamed, only mnist, .*imagenet: leave --data.buffer"):
        load(DataSettings(name="digits", buffer=10))
    with pytest.raises(ValueError, match=r"buffer of DataSettings must be .*, got 0"):
        DataSettings(name="mnist", buffer=0)


def test_a_stream_says_that_it_holds_no_pixels(parquet_set):
    data = load(SETTINGS, data_dir=parquet_set(**SIZES), workers=0)
    with pytest.raises(ValueError, match="holds no pixels in memory"):
        _ = data.train.pixels


def test_the_hub_is_streamed_by_the_addresses_that_datasets_finds(parquet_set, tmp_path, monkeypatch):
    import datasets
    import fsspec

    data_dir, asked = parquet_set(**SIZES), []
    memory = fsspec.filesystem("memory")
    files = {"train": [], "test": []}
    for path in sorted((data_dir / "mnist").iterdir()):
        memory.pipe_file(f"/mnist@1234/{path.name}", path.read_bytes())
        files[path.name.partition("-")[0]].append(f"memory://mnist@1234/{path.name}")

    class Builder:
        class config:
            data_files = files

    def found(*arguments, **options):
        asked.append((arguments, options))
        return Builder

    local = load(SETTINGS, data_dir=data_dir, workers=0)
    monkeypatch.setattr(datasets, "load_dataset_builder", found)
    data = load(SETTINGS, workers=1)
    assert asked == [(("ylecun/mnist",), {"revision": None, "name": "mnist"})]
    assert data.checksum == local.checksum
    ours, theirs = (split.train.subset(torch.arange(30)).pixels for split in (data, local))
    assert torch.equal(ours, theirs)


def test_unreachable_names_folder_and_hub(tmp_path, monkeypatch):
    import datasets

    def unreachable(*arguments, **options):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"ILSVRC/imagenet-1k .*no route.*imagenet is not in .*imagenet either; put"):
        load(DataSettings(name="imagenet", buffer=100))


@pytest.mark.parametrize("buffer", [None, 16])
@pytest.mark.parametrize("change", ["doubled", "float", "metadata"])
def test_a_shard_in_a_folder_with_braces_is_named_in_one_line(parquet_set, buffer, change):
    data_dir = parquet_set(**SIZES)
    root = data_dir.rename(data_dir.with_name(f"{data_dir.name}-{{a,b}}"))
    shard = root / "mnist" / "train-00001-of-00003.parquet"
    table = parquet.read_table(shard)
    if change == "doubled":
        table = table.append_column("label", table["label"])
    if change == "float":
        table = table.set_column(1, "label", table["label"].cast("double"))
    if change == "metadata":
        table = table.replace_schema_metadata({"huggingface": '{"info": {"features": 3}}'})
    parquet.write_table(table, shard)
    with pytest.raises(ValueError, match=r"a,b.*train-00001") as refused:
        load(DataSettings(name="mnist", buffer=buffer), data_dir=root, workers=0)
    assert "\n" not in str(refused.value) and "iterable" not in str(refused.value)
    says = {"doubled": "two columns are called 'label'", "float": "label ", "metadata": "cannot be read"}
    assert says[change] in str(refused.value)
