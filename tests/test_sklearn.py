"""The estimators of scikit-learn: its own checks, its tools, and what they learn."""

import pickle
import warnings
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from onward.algorithms import MonoForward
from onward.sklearn import LocalClassifier, LocalRegressor

QUICK: dict[str, Any] = {"hidden": (20,), "epochs": 15, "batch_size": 16, "random_state": 0}
IRIS: Any = load_iris()
NAMES = np.array(IRIS.target_names)[IRIS.target]


@pytest.mark.slow
@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize("estimator", [LocalClassifier(), LocalRegressor()], ids=lambda each: type(each).__name__)
def test_scikit_learns_own_checks_pass(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    "estimator", [LocalClassifier(**QUICK), LocalRegressor(**QUICK)], ids=lambda each: type(each).__name__
)
def test_the_checks_pass_for_a_small_network_too(estimator):
    """How much is learned is left to the settings that scikit-learn's checks are made for."""
    found = []

    def note(check_name, exception, status, **_):
        if status == "failed":
            found.append((check_name, exception))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(estimator, on_fail=None, callback=note)
    assert not [each for each in found if each[0] not in ("check_classifiers_train", "check_regressors_train")]


def test_names_go_in_and_come_out():
    model = LocalClassifier(hidden=(50,), epochs=40, random_state=0).fit(IRIS.data[::2], NAMES[::2])
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"] and vars(model)["n_features_in_"] == 4
    assert model.score(IRIS.data[1::2], NAMES[1::2]) > 0.85
    assert np.allclose(model.predict_proba(IRIS.data).sum(1), 1) and len(model.loss_curve_) == 40
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(IRIS.data) == model.predict_proba(IRIS.data)).all()
    same: Any = clone(model)
    same.fit(IRIS.data[::2], NAMES[::2])
    assert (same.predict_proba(IRIS.data) == model.predict_proba(IRIS.data)).all()


def test_scikit_learns_tools_work():
    frame: Any = load_iris(as_frame=True)
    piped = make_pipeline(MinMaxScaler().set_output(transform="pandas"), LocalClassifier(**QUICK))
    assert cross_val_score(piped, frame.data, NAMES, cv=2).shape == (2,)
    assert piped.fit(frame.data, NAMES)[-1].feature_names_in_.tolist() == frame.data.columns.tolist()
    grid = GridSearchCV(LocalClassifier(**QUICK), {"algorithm": ["mono_forward", "backprop"], "hidden": [(8,)]}, cv=2)
    assert grid.fit(IRIS.data, NAMES).best_params_["hidden"] == (8,)


@pytest.mark.parametrize("algorithm", ["predsim", "DistanceForward", "deep_supervision", MonoForward(features=64)])
def test_methods_go_by_their_names(algorithm):
    model = LocalClassifier(algorithm, hidden=(60, 60), epochs=20, batch_size=16, random_state=0)
    assert model.fit(IRIS.data, NAMES).score(IRIS.data, NAMES) > 0.6


def test_numbers_are_predicted_one_or_several():
    table: Any = load_diabetes()
    x, y = table.data, table.target
    model = LocalRegressor(random_state=0).fit(x[::2], y[::2])
    assert model.score(x[1::2], y[1::2]) > 0.3 and model.predict(x).shape == (442,)
    assert model.n_iter_ < model.epochs and len(model.loss_curve_) == model.n_iter_  # it ends before it overfits
    both = LocalRegressor(**QUICK).fit(x, np.stack([y, -y], 1))
    assert both.predict(x).shape == (442, 2)


def test_rows_can_come_bit_by_bit():
    model = LocalClassifier(hidden=(30,), batch_size=8, random_state=0)
    for start in range(6):
        model.partial_fit(IRIS.data[start::6], NAMES[start::6], classes=np.unique(NAMES))
    before = model.steps_
    assert before == 6 * 4 and model.score(IRIS.data, NAMES) > 0.5
    with pytest.raises(ValueError, match="'rose', which is none of the classes"):
        model.partial_fit(IRIS.data[:2], ["rose", "rose"])
    fitted = LocalRegressor(**QUICK).fit(IRIS.data, IRIS.target)
    before = fitted.steps_
    assert fitted.partial_fit(IRIS.data, IRIS.target).steps_ == before + 10


def test_other_classes_in_a_later_part_are_refused():
    fitted = LocalClassifier(**QUICK).partial_fit(IRIS.data, NAMES, classes=np.unique(NAMES))
    assert fitted.partial_fit(IRIS.data, NAMES, classes=np.unique(NAMES)[::-1]).classes_.tolist() == sorted(set(NAMES))
    with pytest.raises(ValueError, match="but the first call had"):
        fitted.partial_fit(IRIS.data, NAMES, classes=["iris"])


def test_weights_are_used():
    x, y = np.zeros((100, 1)), np.arange(100) % 2
    model = LocalClassifier(**QUICK).fit(x, y, sample_weight=np.where(y == 1, 0.9, 0.1))
    assert model.predict(x).tolist() == [1] * 100
    counted = LocalClassifier(**QUICK).fit(IRIS.data, NAMES, sample_weight=np.full(150, 2))
    twice = LocalClassifier(**QUICK).fit(np.repeat(IRIS.data, 2, 0), np.repeat(NAMES, 2))
    assert (counted.predict_proba(IRIS.data) == twice.predict_proba(IRIS.data)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "mono"}, "algorithm is 'mono': give one of ASGE"),
        ({"epochs": 0}, "epochs is 0: give a whole number"),
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"hidden": ()}, "hidden"),
        ({"hidden": (10, 1.5)}, r"hidden is \(10, 1.5\): give whole numbers"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"algorithm": "forward_forward"}, "writes the label over"),
        ({"device": "moon"}, "device 'moon'"),
    ],
)
def test_settings_that_are_none_are_refused(settings, message, types_unchecked):
    with pytest.raises(ValueError, match=message):
        LocalClassifier(**settings).fit(IRIS.data, NAMES)


def test_methods_of_classes_are_refused_for_numbers():
    with pytest.raises(ValueError, match="learns one class of each row"):
        LocalRegressor("predsim").fit(IRIS.data, IRIS.target)


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(["x", "y", "x", "y"], id="text"),
        pytest.param(pandas.Categorical(["x", "y", "x", "y"]), id="categories"),
        pytest.param(pandas.to_datetime(["2026-01-01"] * 4), id="times"),
    ],
)
def test_a_column_of_other_things_than_numbers_is_named(column):
    table = pandas.DataFrame({"a": [1.0, 2, 3, 4], "b": column})
    with pytest.raises(ValueError, match=r"column 'b' holds .*, not numbers: encode it"):
        LocalClassifier(epochs=1).fit(table, [0, 1, 0, 1])


def test_columns_of_numbers_may_be_of_any_type():
    table = pandas.DataFrame({"a": [1, 2, 3, 4], "b": [True, False, True, False], "c": [1.5, 2, 3, 4]})
    table = table.astype({"a": "Int64", "c": object})
    model = LocalClassifier(epochs=1).fit(table, [0, 1, 0, 1])
    assert model.predict(table).shape == (4,)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([None, "a"], r"of the types NoneType, str: leave out rows without a label, and give labels of one type"),
        (["a", 1], r"of the types int, str: give labels of one type, such as y\.astype\(str\)"),
        ([True, 2], r"of the types bool, int: give labels of one type"),
    ],
)
def test_labels_of_several_types_are_told_with_their_types(labels: list[Any], message: str):
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.array(labels * 20, dtype=object)
    for learn in (LocalClassifier(epochs=1).fit, LocalClassifier(epochs=1).partial_fit):
        with pytest.raises(ValueError, match=message):
            learn(x, y)
    texts = np.where(x[:, 0] > 0, "up", "down").astype(object)
    assert LocalClassifier(epochs=1, random_state=0).fit(x, texts).classes_.tolist() == ["down", "up"]
