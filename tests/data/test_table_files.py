"""Tables in files: which column is predicted, what becomes of the others, and what is refused."""

import warnings
from typing import Any

import numpy as np
import pandas
import pytest
import torch

from onward.core import InputForm
from onward.data import Columns, DataSettings, labeled_rows, load, rows_to_predict, table_files

COUNT = 60


def _frame() -> pandas.DataFrame:
    generator = np.random.default_rng(0)
    age = generator.integers(1, 80, COUNT)
    return pandas.DataFrame(
        {
            "age": age,
            "port": generator.choice(["S", "C", "Q"], COUNT),
            "paid": generator.random(COUNT),
            "label": np.where(age > 40, "old", "young"),
        }
    )


def _load(path, **said: Any):
    said = {"label": "label"} | said
    return load(DataSettings(name=str(path), **said))


def _write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep={".tsv": "\t"}.get(path.suffix, ","))
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_of_any_ending_is_the_same_data(tmp_path, ending):
    data = _load(_write(_frame(), tmp_path / f"people.{ending}"))
    assert data.name == "people" and data.task == "classes" and data.class_names == ("old", "young")
    assert [column.name for column in data.inputs.columns] == ["age", "port", "paid"]
    assert data.inputs.columns[1].categories == ("C", "Q", "S") and data.shape == (5,)
    assert (len(data.train), len(data.validation), len(data.test)) == (43, 5, 12)
    assert data.checksum == _load(_write(_frame(), tmp_path / "same.csv")).checksum


def test_separators_are_found_and_numbers_of_rows_left_out(tmp_path):
    plain = _load(_write(_frame(), tmp_path / "plain.csv"))
    _frame().to_csv(tmp_path / "semicolons.csv", index=False, sep=";")
    _frame().to_csv(tmp_path / "numbered.csv")
    for name in ("semicolons", "numbered"):
        assert _load(tmp_path / f"{name}.csv").checksum == plain.checksum


@pytest.mark.parametrize(
    ("column", "task", "names"),
    [
        ([7, 3, 10], "classes", ("3", "7", "10")),
        ([True, False, True], "classes", ("False", "True")),
        ([1.0, 2.0, 1.0], "classes", ("1", "2")),
        ([0.5, 1.5, 2.0], "values", ("last",)),
        (range(60), "values", ("last",)),
        (["b", "a", "b"], "classes", ("a", "b")),
    ],
)
def test_the_last_column_is_predicted_as_its_type_says_with_a_note(tmp_path, column, task, names):
    frame = _frame().drop(columns="label")
    frame["last"] = np.resize(np.array(column), COUNT)
    _write(frame, tmp_path / "x.csv")
    with pytest.warns(UserWarning, match="the column 'last' .* is predicted, as a"):
        data = load(DataSettings(name=str(tmp_path / "x.csv")))
    assert (data.task, data.class_names) == (task, names)


def test_numbers_may_be_classes_or_values_and_columns_left_out(tmp_path):
    frame = _frame()
    frame["name"] = [f"person {k}" for k in range(COUNT)]
    path = _write(frame, tmp_path / "people.csv")
    data = _load(path, label="age", task="values", ignore=("name", "label"))
    assert data.task == "values" and [column.name for column in data.inputs.columns] == ["port", "paid"]
    assert sorted(torch.cat([data.train.labels, data.validation.labels, data.test.labels])[:, 0].tolist()) == sorted(
        frame["age"].tolist()
    )
    with pytest.raises(ValueError, match=r"a different text in every row.*ignore leaves it out"):
        _load(path)
    with pytest.raises(ValueError, match=r"'label' of .* holds '(old|young)', which is no number"):
        _load(path, task="values", ignore=("name",))


def test_files_of_splits_in_a_folder(tmp_path):
    frame = _frame()
    for name, rows in (("train", frame[:40]), ("val", frame[40:50]), ("test", frame[50:])):
        _write(rows, tmp_path / f"{name}.csv")
    data = _load(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 10, 10)
    assert data.test.labels.tolist() == [["old", "young"].index(name) for name in frame["label"][50:]]
    (tmp_path / "test.csv").unlink()
    with pytest.warns(UserWarning, match="no test split"):
        assert len(_load(tmp_path).test) == 8


def test_a_category_that_is_rare_has_its_feature_in_every_split(tmp_path):
    frame = _frame()
    frame.loc[3, "port"] = "rare"
    assert _load(_write(frame, tmp_path / "rare.csv")).shape == (6,)


def test_texts_that_look_like_numbers_are_predicted_as_they_were_learned(tmp_path):
    frame = _frame()
    frame["code"] = ["01" if k % 2 else "x" for k in range(COUNT)]
    data = _load(_write(frame, tmp_path / "codes.csv"))
    some = _write(frame[frame["code"] == "01"].drop(columns="label"), tmp_path / "some.csv")
    files = table_files(some)
    assert files is not None
    rows = rows_to_predict(files, data.inputs, Columns("label"))
    assert rows.pixels[:, -2].tolist() == [1.0] * (COUNT // 2)
    whole = table_files(tmp_path / "codes.csv")
    assert whole is not None
    again = labeled_rows(whole, data.inputs, data.task, data.class_names, Columns("label"))
    assert torch.equal(again.pixels[frame["code"].to_numpy() == "01"], rows.pixels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: give it a line of names"),
        ("1,2,0\n3,4,1\n", "begins with numbers"),
        ("5,5,x\n3,4,y\n", "begins with numbers, '5,5,x': write the names"),
        ("5,3,x\n3,4,y\n4,4,x\n", "begins with a row, 'x' is an entry of others too: write the names"),
        ("p,q,x\np,p,y\nq,q,x\n", "begins with a row, 'p' is an entry"),
        ("a,a,label\n1,2,x\n", "two columns called 'a'"),
        ("a,,label\n1,2,x\n", "a column without a name, number 2"),
        ("a,b\n1,2\n", "no column 'label' to predict: it has a, b"),
        ("label\nx\n", "has the column 'label' alone"),
        ("a,label\n", "has no rows"),
        ("a,b,label\n1,2,x,9\n3,4,y,9\n", "cannot be read as a table .*: give each row one entry .* in quotes"),
        ("a,b,label\n" + "1,2,x\n" * 9 + "1,2,x,9\n", "line 11, saw 4.*: give each row one entry for each column"),
        (
            "a,b,label\n1,,x\n,2,y\n3,,y\n",
            r"no value in a \(1 of 3 rows\), b \(2 of 3 rows\); NA, None, .*: fill them in",
        ),
        ("a,label\n1,x\n2,\n", r"no value in label \(1 of 2 rows\)"),
        ("a,label\n1,x\n2,x\n3,y\n4,y\n5,z\n", "class 'z' has a single"),
    ],
)
def test_what_is_no_table_to_learn_from_is_refused(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        _load(tmp_path / "x.csv")


def test_names_that_are_also_entries_are_names(tmp_path):
    rows = "".join(f"{k},{'spam' if k % 2 else 'other'}\n" for k in range(COUNT))
    (tmp_path / "x.csv").write_text(f"length,spam\n{rows}")
    assert _load(tmp_path / "x.csv", label="spam").class_names == ("other", "spam")


def test_files_in_capitals_and_an_index_with_a_name_are_read(tmp_path):
    _write(_frame(), tmp_path / "Train.csv").rename(tmp_path / "Train.CSV")
    _write(_frame(), tmp_path / "Test.csv")
    assert len(_load(tmp_path).test) == COUNT
    _write(_frame().set_index("age"), tmp_path / "x.parquet")
    assert _load(tmp_path / "x.parquet").inputs.columns[0].name == "age"


def test_settings_of_columns_need_a_table(tmp_path):
    with pytest.raises(ValueError, match="label, task and ignore are about the columns of a table, which digits"):
        load(DataSettings(name="digits", label="x"))
    with pytest.raises(ValueError, match="is a table, which has no size in pixels"):
        _load(_write(_frame(), tmp_path / "x.csv"), size=8)
    with pytest.raises(ValueError, match="task is 'labels'"):
        DataSettings(task="labels")
    with pytest.raises(ValueError, match="no column 'nothing' to leave out"):
        _load(tmp_path / "x.csv", ignore=("nothing",))
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x.parquet cannot be read as a table .*: copy it again, or save it as .csv"):
        _load(tmp_path / "x.parquet")


def test_a_label_that_was_named_needs_no_note(tmp_path):
    path = _write(_frame(), tmp_path / "x.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _load(path).inputs == InputForm("table", (5,), columns=_load(path).inputs.columns)
