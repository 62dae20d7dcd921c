"""Trainer settings: the learning rate at every step, and values that are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.core import TrainerSettings


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("schedule_every", ["step", "epoch"])
@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.35])
def test_the_learning_rate_follows_its_formula(schedule, schedule_every, warmup):
    """Steps count from 0. Warmup rises along the line from 0 that would reach the peak one step after its last."""
    steps_per_epoch, epochs, peak, final = 4, 5, 0.8, 0.1
    settings = TrainerSettings(
        learning_rate=peak, final_learning_rate=final, schedule=schedule, schedule_every=schedule_every, warmup=warmup
    )
    for step in range(steps_per_epoch * epochs):
        now, end = (step, steps_per_epoch * epochs) if schedule_every == "step" else (step // steps_per_epoch, epochs)
        warm = warmup * end
        if now < warm:
            expected = np.interp(now + 1, [0, warm + 1], [0, peak])
        elif schedule == "cosine":
            expected = final + (peak - final) * np.cos(np.pi / 2 * (now - warm) / (end - warm)) ** 2
        elif schedule == "linear":
            expected = np.interp(now, [warm, end], [peak, final])
        else:
            expected = peak
        assert settings.learning_rate_at(step, steps_per_epoch, epochs) == pytest.approx(expected)


@given(
    st.sampled_from(["cosine", "linear", "constant"]),
    st.sampled_from(["step", "epoch"]),
    st.floats(0, 0.99),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_the_learning_rate_stays_between_its_ends_and_falls_after_warmup(schedule, every, warmup, steps, epochs):
    settings = TrainerSettings(learning_rate=1.0, schedule=schedule, schedule_every=every, warmup=warmup)
    rates = [settings.learning_rate_at(step, steps, epochs) for step in range(steps * epochs)]
    assert all(0 < rate <= 1 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("final_learning_rate", -1.0),
        ("weight_decay", -1e-9),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("warmup", 1.0),
        ("warmup", float("nan")),
        ("clip_norm", 0.0),
        ("clip_norm", -1.0),
        ("ema_decay", 0.0),
        ("ema_decay", 1.0),
        ("cache_activations", True),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        TrainerSettings(**{field: value})


def test_steps_are_captured_or_compiled():
    with pytest.raises(ValueError, match="captured or compiled, not both"):
        TrainerSettings(capture="auto", compile=True)


def test_activities_can_be_cached_when_earlier_blocks_are_frozen():
    assert TrainerSettings(order="cascade", cache_activations=True).cache_activations


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_decides_the_arithmetic_of_matrix_products(precision, dtype):
    with TrainerSettings(precision=precision).arithmetic(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_final_rate_far_above_the_first_does_not_round_the_first_away(schedule):
    settings = TrainerSettings(learning_rate=0.002, final_learning_rate=1e38, schedule=schedule)
    assert settings.learning_rate_at(0, 10, 1) == 0.002
