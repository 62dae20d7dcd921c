"""Windows: spans that train during a part of the training."""

import re

import pytest
from core_toys import make_learner
from hypothesis import given
from hypothesis import strategies as st

from onward.core import Span, each, interleaved


def test_a_span_without_a_window_trains_in_every_epoch():
    assert Span(0, 1).window(7) == range(7)
    assert each(2) == (Span(0, 0, False, 0.0, 1.0), Span(1, 1, False, 0.0, 1.0))


@pytest.mark.parametrize(
    ("begin", "end", "epochs", "expected"),
    [(0.0, 0.22, 50, range(11)), (0.3, 0.6, 10, range(3, 6)), (0.0, 0.01, 5, range(1)), (0.99, 1.0, 5, range(4, 5))],
)
def test_windows_are_rounded_to_epochs_and_never_empty(begin: float, end: float, epochs: int, expected: range):
    assert Span(0, 0, begin=begin, end=end).window(epochs) == expected


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_neighboring_windows_leave_no_epoch_out(epochs: int, cut: float):
    covered = {*Span(0, 0, end=cut).window(epochs), *Span(1, 1, begin=cut).window(epochs)}
    assert covered == set(range(epochs))


def test_interleaved_spans_end_evenly_one_after_the_other():
    spans = interleaved(4, first_end=0.2, last_end=0.5, last_begin=0.3)
    assert [(span.first, span.last) for span in spans] == [(k, k) for k in range(4)]
    assert [span.end for span in spans] == pytest.approx([0.2, 0.3, 0.4, 0.5])
    assert [span.begin for span in spans] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert interleaved(1, first_end=1.0, last_end=1.0) == each(1)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ((Span(0, 2, begin=0.5, end=0.5),), "must begin before it ends"),
        ((Span(0, 2, end=1.5),), "must begin before it ends"),
        ((Span(0, 0), Span(1, 1, begin=-0.1)), "must begin before it ends"),
        ((Span(0, 2, begin=0.2),), "no span trains after 0% of the training"),
        ((Span(0, 0, end=0.25), Span(1, 1, begin=0.5)), "no span trains after 25% of the training"),
        ((Span(0, 0, end=0.5),), "no span trains after 50% of the training"),
    ],
)
def test_a_learner_refuses_windows_that_leave_a_gap(spans: tuple[Span, ...], message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_learner(lambda _: spans)
