"""Tables in files: numbers and labels as other programs write them."""

from typing import Any

import numpy as np
import pandas
import pytest
import torch

from onward.data import Columns, DataSettings, Splits, labeled_rows, load, rows_to_predict, table_files

COUNT = 60
DRAW = np.random.default_rng(0)
NUMBERS = DRAW.normal(size=COUNT).round(2)
KINDS = np.where(NUMBERS > 0, "up", "down")


def _load(path, **said: Any) -> Splits:
    said = {"label": "kind"} | said
    return load(DataSettings(name=str(path), **said))


def _files(path):
    files = table_files(path)
    assert files is not None
    return files


def _names(data: Splits) -> list[Any]:
    return [column.categories for column in data.inputs.columns]


def test_decimal_commas_are_numbers(tmp_path):
    frame = pandas.DataFrame({"a": NUMBERS, "b": 1000 * NUMBERS, "kind": KINDS})
    frame.to_csv(tmp_path / "dot.csv", index=False)
    frame.to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    ours, plain = _load(tmp_path / "comma.csv"), _load(tmp_path / "dot.csv")
    assert torch.equal(ours.train.sample.pixels, plain.train.sample.pixels) and _names(ours) == [None, None]
    (tmp_path / "one.csv").write_text("a;b\n1,250;-2\n")  # may be 1250 for itself, but a was learned with decimals
    assert rows_to_predict(_files(tmp_path / "one.csv"), ours.inputs, Columns()).pixels.tolist() == [[1.25, -2.0]]


@pytest.mark.parametrize(
    ("written", "separator", "noun"),
    [
        (lambda value: f"{int(1000 * value) + 50_000:,}", ",", "numbers"),
        (lambda value: f"{int(1000 * value) + 50_000:,}", ";", "numbers"),
        (lambda value: f"{value:.2f}%", ",", "numbers"),
        (lambda value: f"${abs(value):.2f}", ",", "numbers"),
        (lambda value: f"2024-0{int(abs(value)) % 9 + 1}-{int(100 * abs(value)) % 28 + 1:02d}", ",", "dates"),
    ],
)
def test_numbers_and_dates_as_texts_are_no_categories(tmp_path, written, separator, noun):
    frame = pandas.DataFrame({"a": NUMBERS, "b": [written(value) for value in NUMBERS], "kind": KINDS})
    frame.to_csv(tmp_path / "t.csv", index=False, sep=separator)
    with pytest.raises(ValueError, match=rf"column 'b' of .*t\.csv holds {noun} as texts"):
        _load(tmp_path / "t.csv")
    assert _load(tmp_path / "t.csv", ignore=("b",)).shape == (1,)
    few = frame.assign(b=np.resize(list(dict.fromkeys(frame["b"]))[:2], COUNT))
    few.to_csv(tmp_path / "few.csv", index=False, sep=separator)
    assert _load(tmp_path / "few.csv").shape == (3,)  # two texts may be categories, whatever they look like


def test_labels_are_those_of_the_training_whatever_a_file_holds(tmp_path):
    for number, (trained, later, expected) in enumerate(
        (
            (["01", "02", "A1"], ["02", "01"], [1, 0]),
            (["1.5", "1", "2"], ["2", "1"], [2, 0]),
            (["1", "2", "3"], ["3.0", "1.0"], [2, 0]),
        )
    ):
        path = tmp_path / f"{number}.csv"
        pandas.DataFrame({"a": NUMBERS, "kind": np.resize(trained, COUNT)}).to_csv(path, index=False)
        data = _load(path, task="classes")
        other = tmp_path / f"other{number}.csv"
        pandas.DataFrame({"a": NUMBERS[:2], "kind": later}).to_csv(other, index=False)
        seen = labeled_rows(_files(other), data.inputs, "classes", data.class_names, Columns("kind"))
        assert seen.labels.tolist() == expected


def test_what_is_text_in_one_file_of_a_set_is_text_in_all(tmp_path):
    for split, codes in (("train", ["01", "02", "A1"]), ("test", ["02", "01"]), ("val", ["7", "01"])):
        frame = pandas.DataFrame({"zip": np.resize(codes, COUNT), "a": NUMBERS, "kind": KINDS})
        frame.to_csv(tmp_path / f"{split}.csv", index=False)
    data = _load(tmp_path)
    assert _names(data)[0] == ("01", "02", "7", "A1")
    assert data.test.pixels[0, :4].tolist() == [0, 1, 0, 0] and data.validation.pixels[0, :4].tolist() == [0, 0, 1, 0]


def test_bars_separate_columns_and_blanks_behind_separators_do_not_count(tmp_path):
    frame = pandas.DataFrame({"a": NUMBERS, "b": DRAW.choice(["u, v", "w"], COUNT), "kind": KINDS})
    frame.to_csv(tmp_path / "bar.csv", index=False, sep="|")
    assert _load(tmp_path / "bar.csv").shape == (3,)
    (tmp_path / "blank.csv").write_text("a, kind\n" + "".join(f"{a}, {k}\n" for a, k in zip(NUMBERS, KINDS)))  # noqa: B905
    assert _load(tmp_path / "blank.csv").class_names == ("down", "up")


def test_texts_that_count_as_none_are_told(tmp_path):
    frame = pandas.DataFrame({"a": NUMBERS, "b": np.where(NUMBERS > 0, "None", "some"), "kind": KINDS})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ValueError, match=r"no value in b .*NA, None, null and nan count as none: fill them in"):
        _load(tmp_path / "t.csv")


@pytest.mark.parametrize("mark", ["?", "-", "unknown"])
def test_a_mark_for_missing_numbers_makes_no_categories_of_them(tmp_path, mark: str):
    numbers = [str(value) for value in NUMBERS]
    frame = pandas.DataFrame({"a": NUMBERS, "b": [*numbers[:-1], mark], "kind": KINDS})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        ValueError, match=r"column 'b' of .*t\.csv holds numbers, and '.*' beside them: leave the entry"
    ):
        _load(tmp_path / "t.csv")
    assert _load(tmp_path / "t.csv", ignore=("b",)).shape == (1,)
    frame.assign(b=[*numbers[:-1], "1,234"]).to_csv(tmp_path / "thousand.csv", index=False)
    with pytest.raises(ValueError, match=r"holds numbers as texts.*: write them as plain numbers"):
        _load(tmp_path / "thousand.csv")
    frame.assign(b=[f"{value}?" if k % 2 else value for k, value in enumerate(numbers)]).to_csv(
        tmp_path / "tickets.csv", index=False
    )
    assert _load(tmp_path / "tickets.csv").shape[0] > 20  # as many texts as numbers are names of something
