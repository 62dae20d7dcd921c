"""Estimators of scikit-learn: tables and flat images classified or regressed by a network that is trained locally."""
# N rows, D columns, C classes, K targets

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, validation
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from onward import registry
from onward.algorithms import Algorithm
from onward.core import EpochDone, InputForm, Learner, LocalTrainer, Task, TrainerSettings, gradients_on
from onward.data import Samples, Splits, carve
from onward.nets import Dense
from onward.runs.environment import choose_device
from onward.runs.model import spec_for
from onward.training import Training
from onward.training.process import processor_set_up

__all__ = ["LocalClassifier", "LocalRegressor"]

_ASIDE = 0.1  # of the rows of a regression, to choose the epoch by
_ENOUGH = 100  # rows from which on some are set aside
_PATIENCE = 20  # epochs without a better one after which a training ends
_VALIDATED = 1000  # rows that rules may choose by where none are set aside


def _checked(estimator: Any, x: Any, *labels: Any, **settings: Any) -> Any:
    """Return inputs, and labels if given, as scikit-learn checks them. Raises ValueError, also for columns of text."""
    if hasattr(x, "iloc") and hasattr(x, "columns"):
        for name, column in x.items():
            if getattr(column.dtype, "kind", "O") not in "buifc" and not _holds_numbers(column):
                raise ValueError(
                    f"column {name!r} holds {column.dtype}, not numbers: encode it, for example by OneHotEncoder in a "
                    "ColumnTransformer before this estimator, or give the table to onward.from_arrays, which encodes it"
                )
    return validation.validate_data(estimator, x, *labels, **settings)


def _holds_numbers(column: Any) -> bool:
    try:
        return column.dtype.kind == "O" and column.astype(float) is not None
    except (TypeError, ValueError):
        return False


class _LocalEstimator(BaseEstimator):
    """Base of both estimators: settings, checks, and the training."""

    _task: Task

    def __init__(
        self,
        algorithm: str | Algorithm = "mono_forward",
        *,
        hidden: Sequence[int] = (100, 100),
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        validation_fraction: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.algorithm = algorithm
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    _trainer: LocalTrainer | None

    @property
    def loss_curve_(self) -> list[float]:
        """The mean loss of all blocks after each epoch."""
        check_is_fitted(self)
        return [float(np.mean(list(done.losses.values()))) for done in self.learner_.history]

    def _begin(self, x: np.ndarray, y: np.ndarray, names: tuple[str, ...]) -> None:
        """Build an untrained learner with the scale of these rows."""
        self.learner_, _, self._seed = self._built(self._data(x, y, names, None))
        self.learner_.double().eval()
        self._trainer, self.steps_ = None, 0

    def _train(self, x: np.ndarray, y: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None) -> None:
        x, y, weights = _in_one_order(*_repeated(x, y, weights))
        data = self._data(x, y, names, weights)
        learner, settings, self._seed = self._built(data)
        training = Training(
            learner,
            data,
            settings,
            epochs=self._count("epochs"),
            batch_size=self._count("batch_size"),
            seed=self._seed,
        )
        self._finish(training)
        self.learner_, self.n_iter_, self.steps_ = learner.double(), len(learner.history), training.step
        self._trainer = None

    @gradients_on()
    @processor_set_up()
    def _finish(self, training: Training) -> None:
        history: list[EpochDone] = []
        best, score, since = None, -np.inf, 0
        choosing = self._aside
        for event in training:
            if isinstance(event, EpochDone):
                history.append(event)
                since += 1
                if choosing and event.validation_accuracy > score:
                    best, score, since = _copied(training.learner), event.validation_accuracy, 0
                if self.verbose:
                    loss = float(np.mean(list(event.losses.values())))
                    print(f"epoch {event.epoch + 1}/{training.total_epochs}  loss {loss:.4f}")
                if best is not None and since == _PATIENCE:
                    break
        if best is not None:
            training.learner.load_state_dict(best)
        training.finish()
        training.learner.history = tuple(history)
        training.learner.eval()

    def _built(self, data: Splits) -> tuple[Learner, TrainerSettings, int]:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        net = Dense(hidden=self._sizes())
        learner = spec_for(algorithm_called(self.algorithm), net, data).build(seed=seed)
        return learner.to(choose_device(self.device)), self._settings(), seed

    def _settings(self) -> TrainerSettings:
        return TrainerSettings(learning_rate=self._number("learning_rate"), weight_decay=self._number("weight_decay"))

    def _data(self, x: np.ndarray, y: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None) -> Splits:
        labels = torch.from_numpy(y)
        samples = Samples(torch.from_numpy(x), labels, None if weights is None else torch.from_numpy(weights))
        share = self._share(len(x))
        self._aside = share > 0
        if share:
            strata = labels if labels.ndim == 1 else torch.zeros(len(labels), dtype=torch.int64)
            kept, aside = carve(strata, share, 0, class_names=names)
            train, validation = samples.subset(kept), samples.subset(aside)
        else:
            train, validation = samples, samples.subset(torch.arange(len(x))[:: -(-len(x) // _VALIDATED)])
        form = InputForm("table", (x.shape[1],))
        return Splits("table", train, validation, validation, names, "", form=form, task=self._task)

    def _share(self, rows: int) -> float:
        """Return the share of rows that is set aside to choose the epoch by; 0 of few rows unless it was named."""
        if self.validation_fraction is None:
            return _ASIDE if self._task == "values" and rows >= _ENOUGH else 0.0
        return self._number("validation_fraction")

    def _sizes(self) -> tuple[int, ...]:
        sizes = np.atleast_1d(np.asarray(self.hidden))
        if sizes.size and sizes.dtype.kind not in "iu":
            raise ValueError(f"hidden is {self.hidden!r}: give whole numbers, such as (100, 100)")
        return tuple(int(size) for size in sizes)

    def _count(self, name: str) -> int:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} is {value!r}: give a whole number of 1 or more")
        return int(value)

    def _number(self, name: str) -> float:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1e30:
            raise ValueError(f"{name} is {value!r}: give a number of 0 or more")
        return float(value)

    def _rows(self, x: Any, *, reset: bool = False) -> np.ndarray:
        return _checked(self, x, dtype=np.float64, reset=reset)

    @gradients_on()
    @processor_set_up()
    def _learn_more(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        """Go once through rows in batches, at the unscheduled `learning_rate`, as for a stream."""
        x, y, weights = _repeated(x, y, weights)
        train = Samples(
            torch.from_numpy(x), torch.from_numpy(y), None if weights is None else torch.from_numpy(weights)
        )
        learner = self.learner_
        if self._trainer is None:
            self._trainer = LocalTrainer(learner, self._settings(), seed=self._seed)
        self._trainer.set_learning_rate(self._number("learning_rate"))
        learner.train()
        for rows in torch.cat(train.order(1, self.steps_)).split(self._count("batch_size")):
            inputs, labels = train.pixels[rows].to(learner.device), train.labels[rows].to(learner.device)
            losses = self._trainer.step(inputs, labels, step=self.steps_)
            if not losses.isfinite().all():
                raise ValueError(f"the loss is not finite in step {self.steps_}: lower learning_rate")
            self.steps_ += 1
        learner.eval()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        tags.input_tags.sparse = False
        return tags


class LocalClassifier(ClassifierMixin, _LocalEstimator):
    """A classifier of rows: a network of `hidden` layers that learn locally, each by `algorithm`.

    `algorithm` is the name of a method, such as "mono_forward", "predsim", "distance_forward" or "backprop", or an
    object of one. Columns are standardized. Labels may be numbers or texts. Sample weights that are whole numbers
    repeat rows, others decide how often a row is drawn. A `validation_fraction` is set aside: the weights of the epoch
    that is best there are kept, and the training ends 20 epochs after it. Without one, as by default, rules that choose
    among blocks choose by training rows. Raises ValueError for settings and rows that cannot be learned from.
    """

    _task: Task = "classes"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "LocalClassifier":
        """Learn from rows [N, D] and their classes [N]."""
        x, y = _checked(self, X, y, dtype=np.float64)
        weights = _weights(sample_weight, x)
        _check_classes(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        self._train(x, indices.astype(np.int64), self._names(), weights)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> "LocalClassifier":
        """Learn from some rows, one pass; the first call names all `classes` and standardizes columns by its rows."""
        first = not hasattr(self, "learner_")
        x, y = _checked(self, X, y, dtype=np.float64, reset=first)
        weights = _weights(sample_weight, x)
        _check_classes(y)
        if first:
            self.classes_ = np.unique(y if classes is None else classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes is {np.unique(classes).tolist()}, but the first call had {self.classes_.tolist()}: name the "
                "same, or leave them out"
            )
        indices = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if not (self.classes_[indices] == y).all():
            odd = y[self.classes_[indices] != y].tolist()[0]
            raise ValueError(f"y holds {odd!r}, which is none of the classes: give all of them to the first call")
        if first:
            self._begin(x, indices.astype(np.int64), self._names())
        self._learn_more(x, indices.astype(np.int64), weights)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class [N, C]; they are not calibrated."""
        check_is_fitted(self)
        scores = self.learner_.predict_proba(self._rows(X)).double().cpu().numpy()[:, : len(self.classes_)]
        return scores / scores.sum(axis=1, keepdims=True)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores of the classes [N, C]; of two classes how far the second leads [N]."""
        check_is_fitted(self)
        scores = self.learner_.predict_scores(self._rows(X)).double().cpu().numpy()[:, : len(self.classes_)]
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely class of each row."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(axis=1)]

    def _names(self) -> tuple[str, ...]:
        names = tuple(str(name) for name in self.classes_)
        return names if len(names) > 1 else (*names, *(f"not {name}" for name in names))


class LocalRegressor(RegressorMixin, _LocalEstimator):
    """A regressor of rows: a network of `hidden` layers that learn locally by squared error, each by `algorithm`.

    Columns and targets are standardized; the prediction is the mean of what all layers predict. Several targets [N, K]
    are learned together. Weights and `validation_fraction` are those of `LocalClassifier`; left out, a tenth is set
    aside of 100 rows or more. Raises ValueError for
    methods that learn classes alone, and for settings and rows that cannot be learned from.
    """

    _task: Task = "values"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "LocalRegressor":
        """Learn from rows [N, D] and their targets [N] or [N, K]."""
        x, y = _checked(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        weights = _weights(sample_weight, x)
        self._flat, y = y.ndim == 1, y.astype(np.float64).reshape(len(y), -1)
        self._train(x, y, tuple(str(k) for k in range(y.shape[1])), weights)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "LocalRegressor":
        """Learn from some rows, one pass; the first call standardizes columns and targets by its rows."""
        first = not hasattr(self, "learner_")
        x, y = _checked(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=first)
        weights = _weights(sample_weight, x)
        flat, y = y.ndim == 1, y.astype(np.float64).reshape(len(y), -1)
        if first:
            self._flat = flat
            self._begin(x, y, tuple(str(k) for k in range(y.shape[1])))
        elif y.shape[1] != len(self.learner_.class_names):
            raise ValueError(f"y has {y.shape[1]} targets, the first call had {len(self.learner_.class_names)}")
        self._learn_more(x, y, weights)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the targets [N], or [N, K] where there were several."""
        check_is_fitted(self)
        values = self.learner_.predict_scores(self._rows(X)).double().cpu().numpy()
        return values[:, 0] if self._flat else values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def algorithm_called(name: str | Algorithm) -> Algorithm:
    """Return a method by its name, as in "mono_forward" or "MonoForward". Raises ValueError naming those there are."""
    if isinstance(name, Algorithm):
        return name
    wanted = registry.ALGORITHMS.spelled(name) if isinstance(name, str) else None
    if wanted is None:
        there = ", ".join(registry.ALGORITHMS.names())
        raise ValueError(f"algorithm is {name!r}: give one of {there}, or an object of one")
    if wanted in ("Backprop", "DeepSupervision"):  # controls of another method
        return registry.ALGORITHMS.find(wanted)(of=registry.ALGORITHMS.find("MonoForward")())
    return registry.ALGORITHMS.find(wanted)()


def _copied(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.state_dict().items()}


def _check_classes(y: np.ndarray) -> None:
    """Raise ValueError for labels that are no classes, and for objects that are not all texts, with their types."""
    try:
        check_classification_targets(y)
        np.unique(y)
    except (TypeError, ValueError) as error:
        if y.dtype != object:
            raise
        kinds = sorted({type(label).__name__ for label in y.ravel()})
        missing = "leave out rows without a label, and " if "NoneType" in kinds else ""
        raise ValueError(
            f"y is an array of objects of the types {', '.join(kinds)}: {missing}give labels of one type, such as "
            "y.astype(str)"
        ) from error


def _weights(sample_weight: Any, x: np.ndarray) -> np.ndarray | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (len(x),):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(len(x),)}!")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError("a sample_weight must be a finite number of 0 or more, and not every weight can be zero")
    return weights


def _repeated(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return rows repeated by their weights if all are whole; else the rows of positive weight, and the weights."""
    if weights is None:
        return x, y, None
    whole = (weights == np.round(weights)).all() and weights.sum() <= 10 * len(weights)
    counts = weights.astype(np.int64) if whole else (weights > 0).astype(np.int64)
    left = None if whole else np.repeat(weights, counts)
    return np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0), left


def _in_one_order(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the rows sorted by their numbers: their order makes no difference."""
    keys = [x, y.reshape(len(y), -1), *([] if weights is None else [weights[:, None]])]
    order = np.lexsort(np.concatenate(keys, axis=1).T[::-1])
    return x[order], y[order], None if weights is None else weights[order]
