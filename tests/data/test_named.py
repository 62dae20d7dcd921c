"""Named sets from look-alike parquet shards; the hub is never asked."""

import pytest
import torch

from onward.data import NAMED_SETS, DataSettings, load
from onward.data.parquet import check_rows

NAMED = {named.name: named for named in NAMED_SETS}


@pytest.fixture
def look_alike(tmp_path, shard):
    """A folder with the shards of one set, two images of each class in train and one in test."""

    def make(name: str, *, own_columns: bool = True, test_split: str | None = None):
        named = NAMED[name]
        columns = {"image": named.image_column, "label": named.label_column} if own_columns else {}
        names = [f"class {index}" for index in range(named.num_classes)]
        shape = (named.default_size, named.default_size, 3) if named.channels == 3 else (named.default_size,) * 2
        train = list(range(named.num_classes)) * 2
        folder = tmp_path / "data" / name
        for part, labels in enumerate((train[: len(train) // 3], train[len(train) // 3 :])):
            path = folder / f"{named.train_split}-{part:05}-of-00002.parquet"
            shard(path, labels, names=names, shape=shape, **columns)
        test = folder / f"{test_split or named.test_split}-00000-of-00001.parquet"
        shard(test, train[: named.num_classes], names=names, shape=shape, **columns)
        return tmp_path / "data"

    return make


@pytest.fixture
def offline(monkeypatch):
    import datasets

    def unreachable(*arguments, **options):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)


@pytest.mark.parametrize("own_columns", [True, False])
@pytest.mark.parametrize("name", ["cifar100", "svhn", "imagenette", "tiny_imagenet"])
def test_look_alikes_load(look_alike, name, own_columns):
    named = NAMED[name]
    made = load(DataSettings(name=name), data_dir=look_alike(name, own_columns=own_columns))
    assert made.shape == (3, named.default_size, named.default_size)
    assert made.num_classes == named.num_classes and made.class_names[1] == "class 1"
    few = f"({2 * named.num_classes} train images, {named.num_train:,} expected)"
    assert made.note == f"not the images of {name} {few}"
    assert (len(made.train), len(made.validation), len(made.test)) == (named.num_classes,) * 3
    assert made.test.labels.tolist() == list(range(named.num_classes))


def test_the_test_split_may_simply_be_called_test(look_alike):
    made = load(DataSettings(name="imagenette", size=16), data_dir=look_alike("imagenette", test_split="test"))
    assert made.shape == (3, 16, 16) and len(made.test) == 10


def test_onward_data_is_the_default(look_alike, monkeypatch):
    monkeypatch.setenv("ONWARD_DATA", str(look_alike("mnist")))
    assert load(DataSettings(name="mnist")).shape == (1, 28, 28)


@pytest.mark.parametrize("layout", ["data/{}-00000-of-00001.parquet", "cropped_digits/{}/0000.parquet", "{}.parquet"])
def test_other_layouts_of_the_hub(tmp_path, shard, layout):
    shard(tmp_path / "svhn" / layout.format("train"), [0, 0, 1, 1])
    shard(tmp_path / "svhn" / layout.format("test"), [1, 0])
    made = load(DataSettings(name="svhn"), data_dir=tmp_path)
    assert made.test.labels.tolist() == [1, 0] and made.class_names == tuple("0123456789")


def test_shards_are_read_once_then_cached(look_alike, monkeypatch, cache):
    import pyarrow.parquet

    data = look_alike("svhn")
    first = load(DataSettings(name="svhn"), data_dir=data)
    monkeypatch.delattr(pyarrow.parquet, "ParquetFile")
    again = load(DataSettings(name="svhn"), data_dir=data)
    assert torch.equal(first.train.pixels, again.train.pixels) and first.checksum == again.checksum
    assert len(list(cache.iterdir())) == 1
    # Touching a shard makes it another source, which has to be read again.
    next((data / "svhn").iterdir()).touch()
    with pytest.raises(ValueError, match="ParquetFile"):
        load(DataSettings(name="svhn"), data_dir=data)


def test_unreachable_names_folder_and_hub(tmp_path, offline, monkeypatch):
    with pytest.raises(ValueError, match="ONWARD_DATA is not set"):
        load(DataSettings(name="cifar100"))
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"uoft-cs/cifar100 .*no route.*cifar100 is not in .*cifar100 either; put train-"
    ):
        load(DataSettings(name="cifar100"))


def test_the_hub_is_asked_for_the_right_repository(tmp_path, shard, monkeypatch):
    import datasets

    path = shard(tmp_path / "x.parquet", [0, 0, 1, 1, 2, 2])
    real, asked = datasets.load_dataset, []

    def answer(*arguments, **options):
        asked.append((arguments, options))
        return real("parquet", data_files=str(path), split="train", streaming=True)

    monkeypatch.setattr(datasets, "load_dataset", answer)
    assert len(load(DataSettings(name="svhn")).test) == 6
    assert len(load(DataSettings(name="imagenette", size=8)).test) == 6
    both = {"streaming": True, "revision": None, "name": "cropped_digits"}
    assert asked[:2] == [(("ufldl-stanford/svhn",), {**both, "split": split}) for split in ("train", "test")]
    exported = {"streaming": True, "revision": "refs/convert/parquet", "data_dir": "160px", "split": "validation"}
    assert asked[3] == (("frgfm/imagenette",), exported)


GLOBS = ["{a,b}", "x[1]", "x*", "x?", "**", "a::b", "[!x]", "{x}"]


@pytest.mark.parametrize("buffer", [None, 16])
@pytest.mark.parametrize("name", GLOBS)
def test_characters_of_patterns_in_a_path_are_just_characters(tmp_path, shard, name, buffer):
    def make(place: str, labels: list[int]):
        for split in ("train", "test"):
            shard(tmp_path / "new" / "svhn" / f"{split}-00000-of-00001.parquet", labels)
        (tmp_path / "new").rename(tmp_path / place)

    make("x1", [0, 1, 2] * 4)
    make(name, [2, 1, 0, 0] * 4)
    settings = DataSettings(name="svhn", size=6, buffer=buffer)
    assert load(settings, data_dir=tmp_path / name, workers=0).test.labels.tolist() == [2, 1, 0, 0] * 4


def test_a_folder_called_like_the_repository_is_not_taken_for_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ufldl-stanford" / "svhn").mkdir(parents=True)
    for buffer in (None, 16):
        with pytest.raises(ValueError, match="ufldl-stanford/svhn would be read in place of the hub: rename it"):
            load(DataSettings(name="svhn", buffer=buffer), workers=0)


def corrupt(folder, shard):
    path = folder / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-300])


def damaged_pages(folder, shard):
    path = folder / "train-00001-of-00002.parquet"
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)


def lost_train_shard(folder, shard):
    (folder / "train-00000-of-00002.parquet").unlink()


def lost_test(folder, shard):
    (folder / "test-00000-of-00001.parquet").unlink()


def other_columns(folder, shard):
    shard(folder / "test-00000-of-00001.parquet", [0, 1], label="category")


def label_too_large(folder, shard):
    shard(folder / "test-00000-of-00001.parquet", [0, 10])


def label_missing(folder, shard):
    shard(folder / "test-00000-of-00001.parquet", [0, None])


def wrong_set(folder, shard):
    shard(folder / "train-00000-of-00002.parquet", [0, 1], names=["a", "b"])


def no_rows(folder, shard):
    shard(folder / "test-00000-of-00001.parquet", [])


def many_shards(folder, shard):
    (folder / "test-00000-of-00001.parquet").rename(folder / "test-00000-of-99999999999.parquet")


def two_series(folder, shard):
    shard(folder / "train-00000-of-00001.parquet", [0, 1])


def not_of_the_series(folder, shard):
    shard(folder / "train-extra.parquet", [0, 1])


def one_number_twice(folder, shard):
    shard(folder / "train-00001-of-00002-0123456789abcdef.parquet", [0, 1])


def beyond_the_series(folder, shard):
    (folder / "test-00000-of-00001.parquet").rename(folder / "test-00001-of-00001.parquet")


def other_files(folder, shard):
    lost_test(folder, shard)
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (corrupt, r"train-00001-of-00002.parquet cannot be read .*copy the shard again"),
        (damaged_pages, r"train-00001-of-00002.parquet"),
        (lost_train_shard, r"train-00000-of-00002.parquet is missing \(1 of 2 shards\)"),
        (lost_test, r"mnist has no test-\*.parquet: copy the test shards of ylecun/mnist"),
        (other_columns, r"test-00000-of-00001.parquet has the columns \['category', 'image'\] but not 'label'"),
        (
            label_too_large,
            r"test-00000-of-00001.parquet, row 1, column 'label': label 10, but mnist has the classes 0..9",
        ),
        (label_missing, r"row 1, column 'label': label None"),
        (wrong_set, "names 2 classes but mnist has 10"),
        (no_rows, r"test-00000-of-00001.parquet has no rows"),
        (many_shards, r"test-00001-of-99999999999.parquet is missing \(1 of 99999999999 shards\)"),
        (two_series, r"train-00000-of-00002.parquet is not of the series of train-00000-of-00001.parquet"),
        (not_of_the_series, r"train-extra.parquet is not of the series of"),
        (one_number_twice, r"train-00001-of-00002-0123456789abcdef.parquet is there twice under one number"),
        (beyond_the_series, r"test-00001-of-00001.parquet is numbered beyond its 1 shards"),
        (other_files, r"no test-\*.parquet \(there is t10k-images-idx3-ubyte, but .* parquet files alone\)"),
    ],
)
def test_damaged_shards_are_named(look_alike, shard, damage, message):
    data = look_alike("mnist")
    damage(data / "mnist", shard)
    with pytest.raises(ValueError, match=message):
        load(DataSettings(name="mnist"), data_dir=data)


@pytest.mark.parametrize("buffer", [None, 16])
def test_labels_that_are_no_numbers_are_refused(tmp_path, shard, buffer):
    import pyarrow
    from pyarrow import parquet

    path = shard(tmp_path / "svhn" / "train-00000-of-00001.parquet", [0, 1] * 4)
    shard(tmp_path / "svhn" / "test-00000-of-00001.parquet", [0, 1])
    table = parquet.read_table(path)
    for labels, shown in (([True, False] * 4, "True"), ([0.0, 1.0] * 4, "0.0"), (["0", "1"] * 4, "'0'")):
        parquet.write_table(pyarrow.table({"image": table["image"], "label": labels}), path)
        with pytest.raises(ValueError, match=rf"row 0, column 'label': label {shown}, but svhn has the classes 0..9"):
            load(DataSettings(name="svhn", buffer=buffer), data_dir=tmp_path, workers=0)


@pytest.mark.parametrize("buffer", [None, 16])
@pytest.mark.parametrize("root", ["data", "{a,b}"])
def test_two_columns_of_one_name_and_a_wrong_label_in_a_braced_folder(tmp_path, shard, buffer, root):
    import pyarrow
    from pyarrow import parquet

    path = shard(tmp_path / root / "svhn" / "train-00000-of-00001.parquet", [0, 1] * 4)
    shard(tmp_path / root / "svhn" / "test-00000-of-00001.parquet", [0, 1])
    table = parquet.read_table(path)
    parquet.write_table(table.append_column("label", table["label"].take([1, 0] * 4)), path)
    with pytest.raises(ValueError, match="two columns are called 'label'"):
        load(DataSettings(name="svhn", buffer=buffer), data_dir=tmp_path / root, workers=0)
    parquet.write_table(pyarrow.table({"image": table["image"], "label": [10, 1] * 4}), path)
    with pytest.raises(ValueError, match="row 0, column 'label': label 10"):
        load(DataSettings(name="svhn", buffer=buffer), data_dir=tmp_path / root, workers=0)


@pytest.mark.parametrize("buffer", [None, 16])
def test_a_flipped_bit_in_a_page_that_has_a_checksum_is_found(tmp_path, shard, buffer):
    from pyarrow import parquet

    path = shard(tmp_path / "svhn" / "train-00000-of-00001.parquet", list(range(10)) * 4)
    shard(tmp_path / "svhn" / "test-00000-of-00001.parquet", [0, 1])
    table = parquet.read_table(path)
    parquet.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    labels = table["label"].to_numpy().astype("<i8").tobytes()
    place = content.index(labels)
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train-00000-of-00001.parquet cannot be read .*copy the shard again"):
        load(DataSettings(name="svhn", buffer=buffer), data_dir=tmp_path, workers=0)


@pytest.mark.parametrize(("told", "found"), [(3, 2), (0, 1)])
def test_rows_are_counted(told, found):
    check_rows(found, found)
    with pytest.raises(OSError, match=rf"its metadata declare {told} rows, but it has {found}"):
        check_rows(told, found)


def test_the_table_is_consistent():
    assert list(NAMED) == [
        "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn", "imagenette", "tiny_imagenet", "imagenet",
    ]  # fmt: skip
    assert [named.num_classes for named in NAMED_SETS] == [10, 10, 10, 100, 10, 10, 200, 1000]
    assert all(named.channels in (1, 3) and "/" in named.hub_id for named in NAMED_SETS)
