"""A folder of images from the command line: training, evaluation, prediction, a start from its weights, more epochs."""

import csv
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from onward.cli import main
from onward.data import DataSettings, load
from onward.runs import RunFolder


def _image(label: int, side: int = 8) -> Image.Image:
    pixels = np.random.default_rng(label).integers(0, 60, (side, side, 3), dtype=np.uint8)
    pixels[:, label * side // 4 : (label + 1) * side // 4] += 150
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of classes, a bright bar in each of its images, and return it."""

    def write(*splits: str, classes: int = 3, count: int = 12, name: str = "bars", side: int = 8) -> Path:
        for split in splits or ("",):
            for label in range(classes):
                place = tmp_path / name / split / f"c{label}"
                place.mkdir(parents=True)
                for k in range(count):
                    _image(label, side + (k % 2 if side > 8 else 0)).save(place / f"{k}.png")
        return tmp_path / name

    return write


@pytest.fixture
def onward(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Carry out a command line; return its exit code, and all that was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))

    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out + err

    return run


SMALL = ("--epochs", 2, "--net.width", 6, "--no-record")


def test_one_command_trains_evaluates_and_predicts(folder, onward, tmp_path: Path):
    mine = folder()
    assert onward("train", "--data", mine, *SMALL)[0] == 0
    run = tmp_path / "runs" / "predsim-on-bars" / "seed-0"
    recipe = RunFolder.open(run).recipe()
    assert (recipe.epochs, type(recipe.net).__name__, recipe.data.name) == (2, "TinyCNN", str(mine))
    code, said = onward("evaluate", run, "--data", folder(name="others", classes=2))
    assert code == 0 and "24 images of others" in said and "balanced accuracy" in said and "c2" in said
    code, said = onward("evaluate", run, "--data", folder(name="strange", classes=4))
    assert code != 0 and "strange has the class 'c3', but the model was trained on c0, c1, c2" in said
    (mine / "c1" / "broken.png").write_bytes(b"no image")
    code, said = onward("predict", run, mine, "--csv", "out.csv")
    assert code != 0 and "broken.png cannot be read" in said and "36 images in out.csv" in said
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert len(rows) == 36 and {row["class"] for row in rows} <= {"c0", "c1", "c2"}
    assert all(abs(sum(float(row[f"p(c{k})"]) for k in range(3)) - 1) < 1e-4 for row in rows)
    assert onward("predict", run, mine / "c0", "--csv", tmp_path / "none" / "out.csv")[0] != 0


def _encoded(label: int) -> bytes:
    held = io.BytesIO()
    _image(label).save(held, "PNG")
    return held.getvalue()


def _answers(path: Path) -> list[list[str]]:
    """Return the rows of answers without their names."""
    return [row[1:] for row in csv.reader(path.read_text().splitlines())][1:]


def test_a_parquet_set_is_evaluated_and_predicted_as_its_image_files_are(folder, onward, tmp_path: Path):
    mine, shards = folder(), tmp_path / "shards"
    assert onward("train", "--data", mine, *SMALL)[0] == 0
    run, labels = tmp_path / "runs" / "predsim-on-bars" / "seed-0", [0, 1, 2, 2]
    shards.mkdir()
    frame = pandas.DataFrame({"picture": [_encoded(label) for label in labels], "kind": [f"c{k}" for k in labels]})
    frame.to_parquet(shards / "part.parquet")
    (shards / "assets").mkdir()
    _image(0).save(shards / "assets" / "example.png")
    code, said = onward("evaluate", run, "--data", shards)
    assert code == 0, said
    assert "4 images of shards" in said
    files = [mine / f"c{label}" / "0.png" for label in labels]
    assert onward("predict", run, *files, "--csv", "files.csv")[0] == 0
    frame.drop(columns="kind").to_parquet(shards / "part.parquet")  # what is predicted has no labels
    assert onward("predict", run, shards, "--csv", "shards.csv")[0] == 0
    assert _answers(tmp_path / "shards.csv") == _answers(tmp_path / "files.csv") != []
    frame.assign(kind=labels).to_parquet(shards / "part.parquet")
    code, said = onward("evaluate", run, "--data", shards)
    assert code != 0 and "part.parquet has the label 0, but the classes are c0, c1, c2: give them as texts" in said
    frame.assign(kind="c7").to_parquet(shards / "part.parquet")
    code, said = onward("evaluate", run, "--data", shards)
    assert code != 0 and "is 'c7', which is none of the classes c0, c1, c2" in said
    frame.iloc[:0].to_parquet(shards / "part.parquet")
    code, said = onward("predict", run, shards, "--csv", "none.csv")
    assert code != 0 and "part.parquet has no rows" in said
    frame.to_parquet(mine / "left.parquet")  # beside folders of classes it is none of the images
    assert "36 images of bars" in onward("evaluate", run, "--data", mine)[1]


@pytest.mark.parametrize("form", ["idx", "npz", "floats"])
def test_arrays_of_images_are_predicted_as_image_files_are(form: str, folder, onward, tmp_path: Path):
    mine, arrays = folder(), tmp_path / "arrays"
    assert onward("train", "--data", mine, *SMALL)[0] == 0
    run, labels = tmp_path / "runs" / "predsim-on-bars" / "seed-0", np.array([0, 1, 2], np.uint8)
    pixels = np.stack([np.asarray(_image(label)) for label in labels])
    arrays.mkdir()
    if form == "idx":
        for name, array in (("images-idx4", pixels), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (arrays / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    else:
        np.savez(arrays / "some.npz", images=pixels if form == "npz" else pixels / 255, labels=labels)
    files = [mine / f"c{label}" / "0.png" for label in labels]
    assert onward("predict", run, *files, "--csv", "files.csv")[0] == 0
    code, said = onward("predict", run, arrays, "none.png", "none.npz", files[0], "--csv", "arrays.csv")
    assert code != 0 and "none.png is not a file" in said and "none.npz is no file of arrays" in said
    them = _answers(tmp_path / "files.csv")
    if form == "floats":  # up to rounding
        assert [row[0] for row in _answers(tmp_path / "arrays.csv")] == [row[0] for row in [*them, them[0]]]
    else:
        assert _answers(tmp_path / "arrays.csv") == [*them, them[0]]


def test_an_unknown_network_is_answered_with_those_there_are(folder, onward):
    code, said = onward("train", "--data", folder(), "--net", "none")
    assert code != 0 and "unknown network 'none'; there are Airbench, CFSE" in said


def test_a_run_begins_another_one_with_new_classes_and_is_trained_on(folder, onward, tmp_path: Path):
    assert onward("train", "--data", folder(), *SMALL, "--method", "mono_forward")[0] == 0
    run = tmp_path / "runs" / "mono_forward-on-bars" / "seed-0"
    code, said = onward("train", "--data", folder(name="four", classes=4), "--epochs", 1, "--init", run, "--no-record")
    assert code == 0 and "weights of 4 blocks" in said and "heads with new weights" in said
    result = json.loads(
        (tmp_path / "runs" / "mono_forward-on-four-from-mono_forward-on-bars" / "seed-0" / "result.json").read_text()
    )
    assert result["init"] == str(run) and result["config"]["net"]["width"] == 6
    code, said = onward("train", "--resume", run, "--epochs", 3)
    assert code == 0 and "not recorded" in said
    longer = RunFolder.open(tmp_path / "runs" / "mono_forward-on-bars-to-3_epochs" / "seed-0")
    assert longer.recipe().epochs == 1
    code, said = onward("train", "--resume", run, "--epochs", 2)
    assert code != 0 and "has trained 2 epochs" in said
    code, said = onward("train", "--data", folder(name="grown"), "--init", run, "--net", "TinyCNN", "--net.width", 5)
    assert code != 0 and "name the same method, network, sizes and channels" in said


def test_widths_fit_the_classes_and_sizes_each_other(folder, onward, tmp_path: Path):
    mine = folder(side=20, classes=5, count=5)
    code, said = onward("train", "--data", mine, "--method", "deeper_forward", "--epochs", 1, "--no-record")
    assert code == 0, said
    recipe = RunFolder.open(tmp_path / "runs" / "deeper_forward-on-bars" / "seed-0").recipe()
    assert recipe.net.width % 5 == 0 and recipe.data.size == 32  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data",), "--data has no value"),
        (("--method", "predsim"), "--method goes with images or a table of your own"),
        (("--data", "bars", "--method", "predsimm"), r"unknown method 'predsimm' (did you mean PredSim?)"),
        (("--data", "bars", "--net", "resnet"), "unknown network 'resnet' (did you mean"),
        (("--data", "nowhere"), "unknown data set 'nowhere'"),
        (("predsim-mnist-fast", "--data", "bars", "--method", "x"), "cannot be combined with the recipe"),
        (("--data", "a", "--data", "b"), "--data is given twice"),
    ],
)
def test_what_does_not_belong_together_is_refused(words, message, folder, onward):
    folder(count=3)
    code, said = onward("train", *words)
    assert code != 0 and message in said


def test_validation_comes_from_its_own_folder(folder):
    data = load(DataSettings(name=str(folder("train", "val", "test"))))
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 36, 36)
    with pytest.warns(UserWarning, match="validation split but no test split"):
        data = load(DataSettings(name=str(folder("train", "val", name="two"))))
    assert (len(data.validation), len(data.train) + len(data.test)) == (36, 36) and len(data.test) == 6


def test_metadata_and_parquet_name_the_classes(folder, tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    mine = tmp_path / "listed"
    mine.mkdir()
    for k in range(24):
        _image(k % 2).save(mine / f"{k}.png")
    rows = "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(24))
    (mine / "metadata.csv").write_text(f"file_name,label\n{rows}")
    data = load(DataSettings(name=str(mine)))
    assert data.class_names == ("a", "b") and len(data.train) + len(data.validation) + len(data.test) == 24
    (mine / "metadata.csv").write_text("file_name,label\n../x.png,a\n1.png,b\n")
    with pytest.raises(ValueError, match=r"line 2: \.\./x.png is no file in"):
        load(DataSettings(name=str(mine)))
    shards = tmp_path / "shards"
    shards.mkdir()
    cells = [{"bytes": (mine / f"{k}.png").read_bytes(), "path": None} for k in range(24)]
    parquet.write_table(pyarrow.table({"img": cells, "kind": ["ab"[k % 2] for k in range(24)]}), shards / "all.parquet")
    data = load(DataSettings(name=str(shards)))
    assert data.class_names == ("a", "b") and data.shape == (3, 8, 8)
    parts = tmp_path / "parts"
    parts.mkdir()
    for split, chosen in (("train", range(20)), ("validation", range(20, 24))):
        rows = {"img": [cells[k] for k in chosen], "kind": ["ab"[k % 2] for k in chosen]}
        parquet.write_table(pyarrow.table(rows), parts / f"{split}-0.parquet")
    with pytest.warns(UserWarning, match="validation split but no test split"):
        data = load(DataSettings(name=str(parts)))
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 4)
    parquet.write_table(pyarrow.table({"img": cells, "label": [k % 2 * 2 for k in range(24)]}), shards / "all.parquet")
    with pytest.raises(ValueError, match="has the label 1, though labels reach 2"):
        load(DataSettings(name=str(shards)))


def test_splits_may_be_listed_in_a_table_each_or_in_one(folder, tmp_path: Path):
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for k in range(36):
        split = "train" if k < 24 else "test"
        (tmp_path / "listed" / split).mkdir(parents=True, exist_ok=True)
        _image(k % 2).save(tmp_path / "listed" / split / f"{k}.png")
        rows[split].append(f"{k}.png,{'ab'[k % 2]}")
    with pytest.raises(ValueError, match="holds images that are not sorted into classes"):
        load(DataSettings(name=str(tmp_path / "listed")))
    for split, lines in rows.items():
        (tmp_path / "listed" / split / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    data = load(DataSettings(name=str(tmp_path / "listed")))
    assert data.class_names == ("a", "b") and len(data.test) == 12 and len(data.train) + len(data.validation) == 24
    told = [f"{split}/{line},{split}" for split, lines in rows.items() for line in lines]
    whole = tmp_path / "listed" / "metadata.csv"
    whole.write_text("\n".join(["file_name,label,split", *told]))
    again = load(DataSettings(name=str(tmp_path / "listed")))
    assert again.checksum == data.checksum and len(again.test) == 12
    whole.write_text("\n".join(["file_name,label,split", *told, "test/30.png,c,test"]))
    with pytest.raises(ValueError, match="has the class 'c' in test, but not in train"):
        load(DataSettings(name=str(tmp_path / "listed")))
    whole.write_text("file_name,label,split\ntrain/0.png,a,some")
    with pytest.raises(ValueError, match="line 2 has the split 'some': give train, test or validation"):
        load(DataSettings(name=str(tmp_path / "listed")))


def test_a_table_in_a_file_is_trained_and_evaluated(tmp_path: Path, onward):
    labels = np.arange(60) % 3
    np.savez("rows.npz", X=np.random.default_rng(0).normal(size=(60, 4)) + 3 * labels[:, None], y=labels)
    code, said = onward("train", "--data", "rows.npz", "--epochs", "3", "--device", "cpu")
    run = "runs/mono_forward-on-rows/seed-0"
    assert code == 0 and (tmp_path / run / "result.json").exists(), said
    code, said = onward("evaluate", run, "--data", "rows.npz")
    assert code == 0 and "balanced accuracy" in said and "precision %" in said
    assert onward("evaluate", run)[0] == 0
