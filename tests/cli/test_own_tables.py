"""A table from the command line: training, evaluation and prediction, with what was learned about its columns."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import onward
from onward import registry
from onward.algorithms import MonoForward
from onward.cli import main
from onward.nets import Dense
from onward.runs import RunFolder

SHORT = ("--epochs", 3, "--no-record")


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Carry out a command line; return its exit code, and all that was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out + err

    return run


@pytest.fixture
def table(tmp_path: Path) -> pandas.DataFrame:
    """Write people.csv: names, a number, a category, and whether both are so."""
    generator = np.random.default_rng(0)
    age, port = generator.integers(1, 80, 80), generator.choice(["S", "C"], 80)
    names = [f"person {k}" for k in range(80)]
    alive = np.where((age < 40) & (port == "S"), "yes", "no")
    frame = pandas.DataFrame({"name": names, "age": age, "port": port, "paid": 3.5 * age + 100, "alive": alive})
    frame.to_csv(tmp_path / "people.csv", index=False)
    return frame


def test_a_table_is_trained_on_evaluated_and_predicted(table, command, tmp_path: Path):
    code, said = command("train", "--data", "people.csv", "--ignore", "name", *SHORT)
    assert code == 0 and "predicts the column alive, as a class" in said and "58 rows of people" in said, said
    run = tmp_path / "runs" / "mono_forward-on-people" / "seed-0"
    settings = RunFolder.open(run).recipe().data
    assert (settings.label, settings.task, settings.ignore) == ("alive", "classes", ("name",))
    code, said = command("evaluate", run, "--data", "people.csv")
    assert code == 0 and "80 rows of people" in said and "yes" in said, said
    assert command("evaluate", run)[0] == 0
    code, said = command("predict", run, "people.csv", "--csv", "out.csv")
    assert code == 0 and "80 rows in out.csv" in said, said
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["row"] for row in rows] == [str(k) for k in range(80)] and {row["class"] for row in rows} <= {
        "no",
        "yes",
    }
    expected = onward.load(run).predict_names(table[["port", "age", "paid"]])
    assert [row["class"] for row in rows] == expected
    some = table[["port", "paid", "age"]][5:9]  # other rows, no label, and the columns in another order
    some.to_csv(tmp_path / "some.csv", index=False)
    code, said = command("predict", run, "some.csv", "--json")
    assert [json.loads(line)["class"] for line in said.splitlines()] == expected[5:9]
    accuracy = onward.evaluate(run, str(tmp_path / "people.csv")).of_default_rule
    assert accuracy == pytest.approx(np.mean(np.array(expected) == table["alive"].to_numpy()))


def test_numbers_are_predicted_in_their_unit(table, command, tmp_path: Path):
    words = ("--data", "people.csv", "--label", "paid", "--ignore", "name,alive", "--net", "Dense", "--epochs", 30)
    code, said = command("train", *words, "--no-record")
    assert code == 0 and "predicts the column paid, as a number" in said and "test R2" in said, said
    run = tmp_path / "runs" / "mono_forward-on-people" / "seed-0"
    code, said = command("predict", run, "people.csv", "--csv", "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["row", "paid"]
    errors = np.array([float(row["paid"]) for row in rows]) - table["paid"]
    assert np.abs(errors).mean() < 0.3 * np.abs(table["paid"] - table["paid"].mean()).mean()
    code, said = command("predict", run, "people.csv")
    assert code == 0 and "predicted by mean_of_blocks" in said and "paid" in said
    code, said = command("predict", run, "people.csv", "--json")
    assert json.loads(said.splitlines()[0])["values"].keys() == {"paid"}


def test_a_recipe_of_the_list_takes_a_table(table, command, tmp_path: Path):
    words = ("train", "random_features-digits", "--data", "people.csv", "--label", "alive", "--ignore", "name")
    code, said = command(*words, "--no-record")
    assert code != 0 and "CNN takes images, but the data are table of shape [4]" in said, said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "people.csv"), "a different text in every row"),
        (("--data", "people.csv", "--label", "alife"), "no column 'alife' to predict: it has name, age"),
        (("--data", "people.csv", "--task", "regression"), "--task is 'regression': give classes, or values"),
        (("--data", ".", "--label", "alive"), "--label: . is no table"),
        (("--label", "alive"), "--label goes with images or a table of your own"),
        (("--data", "none.csv"), "none.csv is not a file"),
    ],
)
def test_what_cannot_be_learned_is_refused(table, command, words, message):
    code, said = command("train", *words)
    assert code != 0 and message in said, said


def test_a_model_of_rows_refuses_other_inputs_and_answers_the_good_ones(table, command, tmp_path: Path):
    assert command("train", "--data", "people.csv", "--ignore", "name", *SHORT)[0] == 0
    run = tmp_path / "runs" / "mono_forward-on-people" / "seed-0"
    (tmp_path / "notes.txt").write_text("no table")
    table.drop(columns="age").to_csv(tmp_path / "short.csv", index=False)
    code, said = command("predict", run, "notes.txt", "short.csv", "people.csv", "--csv", "out.csv")
    assert code != 0 and "80 rows in out.csv" in said
    assert "notes.txt cannot be read: the model takes table [4]" in said and "short.csv lacks 'age'" in said
    table.assign(port="X").to_csv(tmp_path / "new.csv", index=False)
    code, said = command("predict", run, "new.csv")
    assert code != 0 and "'port' of new.csv holds 'X' in row 0: trained with C, S" in said


def test_arrays_and_several_labels_are_predicted_too(command, tmp_path: Path):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 4, generator=generator)
    several = (inputs[:, :3] > 0).float()
    learner = onward.fit(
        MonoForward(), Dense(hidden=(16,)), onward.from_arrays(inputs, several, task="labels"), epochs=3
    )
    learner.save(tmp_path / "model")
    np.savez(tmp_path / "x.npz", x=inputs.numpy())
    assert command("predict", "model", "x.npz", "--csv", "out.csv")[0] == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    found = [[k for k in range(3) if row[k]] for row in learner.predict(inputs).tolist()]
    assert [[int(name) for name in row["labels"].split(";") if name] for row in rows] == found
    code, said = command("predict", "model", "x.npz", "--json")
    assert code == 0 and [json.loads(line)["labels"] for line in said.splitlines()] == [
        list(map(str, f)) for f in found
    ]


def test_predictions_are_not_written_over_what_is_something_else(table, command, tmp_path: Path):
    assert command("train", "--data", "people.csv", "--ignore", "name", *SHORT)[0] == 0
    run = tmp_path / "runs" / "mono_forward-on-people" / "seed-0"
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    for path, reason in (
        (tmp_path / "people.csv", "is what the predictions are made for"),
        (run / "result.json", "is there and holds no predictions"),
        (tmp_path / "notes.csv", "is there and holds no predictions"),
    ):
        before = path.read_bytes()
        code, said = command("predict", run, "people.csv", "--csv", path)
        assert code == 2 and f"{path} {reason}: name another file" in said
        assert path.read_bytes() == before
    for _ in range(2):  # what it wrote itself is replaced
        assert command("predict", run, "people.csv", "--csv", "out.csv")[0] == 0


def test_a_warm_start_needs_the_same_columns(table, command, tmp_path: Path):
    assert command("train", "--data", "people.csv", "--ignore", "name", *SHORT)[0] == 0
    run = tmp_path / "runs" / "mono_forward-on-people" / "seed-0"
    for changed, message in (
        (table[["name", "port", "age", "paid", "alive"]], "column 0 is 'port', but"),
        (table.drop(columns="paid"), "column 2 is missing, but"),
        (table.replace({"port": {"S": "Q"}}), "column 'port' has C, Q, but"),
    ):
        changed.to_csv(tmp_path / "others.csv", index=False)
        code, said = command("train", "--data", "others.csv", "--ignore", "name", "--init", run, *SHORT)
        assert code == 2 and message in said, said
    assert command("train", "--data", "people.csv", "--ignore", "name", "--init", run, *SHORT)[0] == 0


def test_a_finished_run_is_trained_on_with_the_same_data_alone(table, command, tmp_path: Path):
    assert command("train", "--data", "people.csv", "--ignore", "name", *SHORT)[0] == 0
    run = tmp_path / "runs" / "mono_forward-on-people" / "seed-0"
    (tmp_path / "moved").mkdir()
    (tmp_path / "people.csv").rename(tmp_path / "moved" / "people.csv")
    code, said = command("train", "--resume", run, "--epochs", 4)
    assert code == 2 and "is not there: give its new path with --data-dir" in said
    assert command("train", "--resume", run, "--epochs", 4, "--data-dir", "moved")[0] == 0
    table[1:].to_csv(tmp_path / "people.csv", index=False)
    code, said = command("train", "--resume", run, "--epochs", 4)
    assert code == 2 and "began on data with checksum" in said


def test_a_registered_recipe_on_a_relative_path_is_listed_and_recorded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
):
    monkeypatch.chdir(tmp_path)
    for names in (registry.RECIPES, registry.DATA):
        monkeypatch.setattr(names, "_values", dict(names._values))
    request.addfinalizer(lambda: sys.modules.pop(f"{registry.FILE_PREFIX}rows_of_people", None))
    rows = "".join(f"{k},{'ab'[k % 2]}\n" for k in range(60))
    (tmp_path / "people.csv").write_text(f"x,label\n{rows}")
    (tmp_path / "rows_of_people.py").write_text(
        "from onward import DataSettings, TrainerSettings, register\n"
        "from onward.recipes import Recipe\n"
        "from onward.algorithms import MonoForward\n"
        "from onward.nets import Dense\n"
        "def people(settings, folder):\n    raise AssertionError\n"
        "register(people)\n"
        "data = DataSettings(name='people.csv', label='label')\n"
        "register(Recipe(name='of-people', description='a row', data=data, algorithm=MonoForward(), "
        "net=Dense(hidden=(4,)), trainer=TrainerSettings(), epochs=1))\n"
    )
    mine = ["--with", "rows_of_people.py"]
    assert main([*mine, "train", "of-people"]) == 0
    assert Path("results/runs/of-people/seed-0.json").is_file() and "not recorded" not in capsys.readouterr().out
    for words in (["list", "of-people"], ["list"]):  # the set of data has no docstring
        assert main([*mine, *words]) == 0
        assert "of-people" in capsys.readouterr().out
