"""Columns of a table, and the features that a row becomes, the same in training and in prediction."""
# N rows, D features

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from onward.core.texts_as_numbers import check_texts

_MOST_CATEGORIES = 1000
_ALL_DIFFERENT = 20  # from so many rows on, texts that are all different are not taken for categories


@dataclass(frozen=True)
class Column:
    """A column of numbers, or of `categories`, each of which becomes a feature of zeros and ones."""

    name: str
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """Number of features that the column becomes."""
        return 1 if self.categories is None else len(self.categories)


def is_frame(values: Any) -> bool:
    """Whether something is a table with named columns, such as a DataFrame of pandas."""
    return hasattr(values, "columns") and hasattr(values, "dtypes") and hasattr(values, "__getitem__")


def columns_of(frame: Any, what: str) -> tuple[Column, ...]:
    """Return the columns of a table: numbers and truth values, or texts and categories.

    Raises ValueError for a name that occurs twice, and for a column that holds neither.
    """
    names = _names(frame, what)
    if not names:
        raise ValueError(f"{what} has no columns: give at least one feature")
    return tuple(_column(frame.iloc[:, k], name, what) for k, name in enumerate(names))


def numbers_of(frame: Any, columns: Sequence[Column], what: str) -> Float[Tensor, "N D"]:
    """Return the rows of a table as float64 features, in the order of `columns`, whatever their order in the table.

    Raises ValueError for a column that is missing, unknown or occurs twice, a missing entry, and an unknown
    category.
    """
    names = _names(frame, what)
    missing = [column.name for column in columns if column.name not in names]
    strange = [name for name in names if name not in {column.name for column in columns}]
    if missing or strange:
        faults = [f"lacks {missing[0]!r}"] if missing else []
        faults += [f"has {strange[0]!r}, which is not one of them"] if strange else []
        shown = ", ".join(column.name for column in columns)
        raise ValueError(
            f"{what} {' and '.join(faults)}: the columns are {shown if len(shown) < 200 else len(columns)}"
        )
    parts = [_features(frame.iloc[:, names.index(column.name)], column, what) for column in columns]
    return torch.from_numpy(np.concatenate(parts, axis=1))


def _names(frame: Any, what: str) -> list[str]:
    """Return the names of columns. Raises ValueError for one that occurs twice."""
    names = [str(name) for name in frame.columns]
    doubled = next((name for name, count in Counter(names).items() if count > 1), None)
    if doubled is not None:
        raise ValueError(f"{what} has two columns called {doubled!r}: rename one of them")
    return names


def _column(series: Any, name: str, what: str) -> Column:
    kind = getattr(series.dtype, "kind", "O")
    if getattr(series.dtype, "categories", None) is not None:
        return Column(name, _categories(category_names(series, f"column {name!r} of {what}"), name, what))
    if kind in "biuf":
        return Column(name)
    if kind in "mM":
        raise ValueError(f"column {name!r} of {what} holds times: turn them into numbers, such as .dt.dayofweek")
    values = _present(series, name, what)
    if all(isinstance(value, bool | int | float | np.number | np.bool_) for value in values):
        return Column(name)
    odd = next((k for k, value in enumerate(values) if not isinstance(value, str)), None)
    if odd is not None:
        kind = type(values[odd]).__name__
        raise ValueError(f"column {name!r} of {what} holds a {kind} in row {odd}: give numbers, or texts alone")
    if len(set(values)) == len(values) >= _ALL_DIFFERENT:
        raise ValueError(
            f"column {name!r} of {what} holds a different text in every row, such as {values[0]!r:.40}: drop it if "
            "it is a name, turn it into numbers if it is one, or a date"
        )
    check_texts(set(values), f"column {name!r} of {what}", "drop it; .astype('category') makes categories of them all")
    return Column(name, _categories(sorted(set(values)), name, what))


def category_names(values: Any, what: str) -> list[str]:
    """Return the categories of a categorical array as texts. Raises ValueError for two that are written alike."""
    categories = list(values.dtype.categories)
    names = [str(category) for category in categories]
    doubled = next((name for name, count in Counter(names).items() if count > 1), None)
    if doubled is not None:
        alike = " and ".join(repr(c) for c, name in zip(categories, names, strict=True) if name == doubled)
        raise ValueError(f"{what} has the categories {alike}, which are written alike: make one of them")
    return names


def _categories(texts: list[str], name: str, what: str) -> tuple[str, ...]:
    if not texts:
        raise ValueError(f"column {name!r} of {what} has no categories: drop it")
    if len(texts) > _MOST_CATEGORIES:
        raise ValueError(
            f"column {name!r} of {what} has {len(texts)} different texts, more than {_MOST_CATEGORIES}: drop it if it "
            "is a name, turn it into numbers if it is one"
        )
    return tuple(texts)


def _present(series: Any, name: str, what: str) -> list[Any]:
    """Return the entries. Raises ValueError where one is missing."""
    gone = np.asarray(series.isna())
    if gone.any():
        first, count = int(gone.argmax()), int(gone.sum())
        others = f", as do {count - 1} others" if count > 1 else ""
        remedy = ".fillna(0)" if getattr(series.dtype, "kind", "O") in "biuf" else ".fillna('missing')"
        raise ValueError(
            f"column {name!r} of {what} holds NaN in row {first}{others}: fill such entries, for example {remedy}, "
            "or leave these rows out"
        )
    return list(series)


def _features(series: Any, column: Column, what: str) -> np.ndarray:
    values = _present(series, column.name, what)
    if column.categories is None:
        try:
            numbers = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            odd = next(value for value in values if not isinstance(value, bool | int | float | np.number))
            raise ValueError(f"column {column.name!r} of {what} holds {odd!r}: give numbers, as in training") from None
        wrong = ~np.isfinite(numbers)
        if wrong.any():
            raise ValueError(
                f"column {column.name!r} of {what} holds an infinite value in row {int(wrong.argmax())}: replace it"
            )
        return numbers[:, None]
    index_of = {category: k for k, category in enumerate(column.categories)}
    texts = [str(value) for value in values]
    new = next((k for k, text in enumerate(texts) if text not in index_of), None)
    if new is not None:
        known = ", ".join(column.categories[:8]) + (", ..." if len(column.categories) > 8 else "")
        raise ValueError(f"column {column.name!r} of {what} holds {texts[new]!r} in row {new}: trained with {known}")
    return np.eye(len(index_of))[[index_of[text] for text in texts]].reshape(len(texts), len(index_of))
