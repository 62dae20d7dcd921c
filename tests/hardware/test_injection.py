"""Injection: what is touched, what is left alone, which draws a chip repeats, and that everything is put back."""

import os
import signal
from typing import Any

import pytest
import torch
from hardware_toys import IDEAL, STRONG, batch, hooks, make_learner, names, on_site, same, train, weights
from torch import Tensor, nn

from onward.algorithms import MonoForward
from onward.core import Learner, LocalBlock, each, pairs, whole
from onward.hardware import (
    ImpulseNoise,
    Mismatch,
    NeuronMismatch,
    Noise,
    ProgrammingNoise,
    QuantizedActivities,
    QuantizedInputs,
    QuantizedWeights,
    ReadNoise,
    SensorNoise,
    ShotNoise,
    UpdateNoise,
    noisy,
    preset,
)
from onward.modules import local
from onward.parts.goodness.means import MeanSquare
from onward.parts.inference.scores import SumGoodness
from onward.parts.objective.class_scores import Threshold
from onward.parts.prepare import Standardize
from onward.parts.supervision.labels import LabelInInput

X, _ = batch()
seen_in_evaluation = on_site("pixels", "inputs", "activities", "weights")


def _scores(learner: Learner, images: Tensor = X) -> Tensor:
    return learner.score_blocks(images)


def _noisy_scores(noises, *, seed: int = 1, programming: int = 0, learner: Learner | None = None) -> Tensor:
    learner = learner or make_learner()
    with noisy(learner, noises, seed=seed, programming=programming):
        return _scores(learner)


@pytest.mark.parametrize("noise", seen_in_evaluation, ids=names(seen_in_evaluation))
def test_noise_is_there_inside_and_gone_outside(noise: Noise):
    learner = make_learner()
    clean, before, carried = _scores(learner), weights(learner), hooks(learner)
    with noisy(learner, noise, seed=1) as report:
        assert not torch.equal(_scores(learner), clean)
        assert same(weights(learner), before), "programmed weights are never written to"
    assert torch.equal(_scores(learner), clean)
    assert hooks(learner) == carried
    assert report.touched[0].uses > 0


@pytest.mark.parametrize("noise", seen_in_evaluation, ids=names(seen_in_evaluation))
def test_one_seed_is_one_chip_and_leaves_global_generators_alone(noise: Noise):
    state = torch.get_rng_state()
    first = _noisy_scores(noise, seed=1, learner=(learner := make_learner()))
    torch.manual_seed(99)
    again = _noisy_scores(noise, seed=1, learner=learner)
    assert torch.equal(first, again)
    torch.set_rng_state(state)
    _noisy_scores(noise, seed=1, learner=learner)
    assert torch.equal(torch.get_rng_state(), state)
    if "Quantized" not in type(noise).__name__:
        assert not torch.equal(first, _noisy_scores(noise, seed=2, learner=learner))


def _gains(seed: int) -> list[Tensor]:
    """What a chip makes of each weight, minus 1, for all matrices of a learner."""
    learner, seen = make_learner(), []

    def look(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        seen.append(module.weight.detach().flatten())  # pyright: ignore

    for module in learner.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(look)
    _scores(learner)
    with noisy(learner, Mismatch(0.1), seed=seed):
        _scores(learner)
    clean, disturbed = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    return [after / before - 1 for before, after in zip(clean, disturbed, strict=True)]


def _correlation(a: Tensor, b: Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1]))


def test_chips_and_the_weights_of_a_chip_are_independent():
    one, other = _gains(1), _gains(2)
    first, second = torch.cat(one), torch.cat(other)
    assert first.std().item() == pytest.approx(0.1, rel=0.2)
    assert _correlation(first, second) < 4 / len(first) ** 0.5
    big, bigger = sorted(one, key=len)[-2:]
    assert _correlation(big, bigger[: len(big)]) < 4 / len(big) ** 0.5
    assert _correlation(first, torch.cat(_gains(1))) > 0.999


def test_what_lasts_stays_and_what_does_not_changes_with_every_use():
    for noise, lasts in ((Mismatch(0.1), True), (ProgrammingNoise(0.1), True), (ReadNoise(0.1), False)):
        learner = make_learner()
        with noisy(learner, noise, seed=1):
            assert torch.equal(_scores(learner), _scores(learner)) == lasts
    one, other = [_noisy_scores(ProgrammingNoise(0.1), programming=event) for event in (0, 1)]
    assert not torch.equal(one, other)
    one, other = [_noisy_scores(Mismatch(0.1), programming=event) for event in (0, 1)]
    assert torch.equal(one, other)


def test_noise_of_another_kind_changes_no_draw():
    assert torch.equal(_noisy_scores([QuantizedWeights(None), Mismatch(0.1)]), _noisy_scores(Mismatch(0.1)))
    twice = _noisy_scores([Mismatch(0.1), Mismatch(0.1)])
    gain = make_learner()
    with torch.no_grad():
        clean = _scores(gain)
    assert not torch.equal(twice, _noisy_scores(Mismatch(0.2))), "the second of a kind is a draw of its own"
    assert not torch.equal(twice, clean)


def test_weights_are_disturbed_in_the_order_given():
    """A chip of mismatch that was quantized first is not one that was quantized last."""
    assert not torch.equal(
        _noisy_scores([Mismatch(0.3), QuantizedWeights(3)]), _noisy_scores([QuantizedWeights(3), Mismatch(0.3)])
    )


def test_the_body_computes_with_the_disturbed_weights():
    learner = make_learner()
    with noisy(learner, QuantizedWeights(3), seed=0):
        inside = _scores(learner)
    with torch.no_grad():
        for parameter in learner.blocks.parameters():  # pyright: ignore[reportAttributeAccessIssue]
            if parameter.ndim >= 2:
                parameter.copy_(QuantizedWeights(3)(parameter, torch.Generator()))
    assert torch.equal(inside, _scores(learner))


def test_the_report_names_what_is_touched():
    learner = make_learner()
    noises = [Mismatch(0.1), NeuronMismatch(0.0), ShotNoise(9.0), QuantizedInputs(8), UpdateNoise(0.1)]
    with noisy(learner, noises, seed=1) as report:
        _scores(learner)
    by_site = {entry.noise.site: entry for entry in report.touched}
    matrices = {name: p for name, p in learner.named_parameters() if p.ndim >= 2}
    assert by_site["weights"].names == tuple(matrices)
    assert by_site["weights"].values == sum(p.numel() for p in matrices.values())
    assert by_site["updates"].names == tuple(matrices)
    assert by_site["inputs"].names == ("blocks.0.body", "blocks.1.body", "blocks.2.body")
    assert by_site["pixels"].names == ("prepare",)
    assert [entry.uses for entry in report.touched] == [6, 0, 1, 3, 0]
    assert "Mismatch(sigma=0.1) on weights: blocks.0.body.0.weight" in str(report)
    assert "acted 6 times" in str(report)


def test_pixels_are_disturbed_before_they_are_standardized():
    learner = make_learner()
    with noisy(learner, ImpulseNoise(1.0), seed=1):
        seen = learner.prepare(X)
    for value in ((0 - 0.5) / 0.3, (1 - 0.5) / 0.3):
        assert torch.isclose(seen, torch.tensor(value)).any()
    assert seen.unique().numel() == 2


@pytest.mark.parametrize("noise", [ShotNoise(30.0), ImpulseNoise(0.3), SensorNoise(0.1)])
def test_bytes_are_brought_to_the_same_range_first(noise: Noise):
    images = (X * 255).to(torch.uint8)
    learner = make_learner()
    from_bytes = _noisy_scores_of(learner, noise, images)
    assert torch.equal(from_bytes, _noisy_scores_of(learner, noise, images.float() / 255))
    assert not torch.equal(from_bytes, _scores(learner, images))


def _noisy_scores_of(learner: Learner, noise: Noise, images: Tensor) -> Tensor:
    with noisy(learner, noise, seed=1):
        return _scores(learner, images)


def test_pixels_outside_their_range_are_refused():
    learner = make_learner()
    with (
        pytest.raises(ValueError, match=r"float images must lie in \[0, 1\] but reach from"),
        noisy(learner, ShotNoise(9.0), seed=1),
    ):
        _scores(learner, X - 0.5)


@pytest.mark.parametrize(("spans", "steps"), [(each, 100), (pairs, 10), (whole, 10)])
def test_ideal_noise_is_plain_training_bit_for_bit(spans, steps: int):
    plain, ideal = make_learner(spans, dropout=0.3), make_learner(spans, dropout=0.3)
    expected = train(plain, range(steps))
    state = torch.get_rng_state()
    with noisy(ideal, IDEAL, seed=1) as report:
        assert hooks(ideal) == 0
        losses = train(ideal, range(steps))
    assert same(losses, expected)
    assert same(weights(ideal), weights(plain))
    assert torch.equal(torch.get_rng_state(), state)
    assert [entry.uses for entry in report.touched] == [0] * len(IDEAL)


class _Fails(nn.Module):
    """Passes on its input, until it is told to fail."""

    def __init__(self):
        super().__init__()
        self.failure = None

    def forward(self, x: Tensor) -> Tensor:
        if self.failure is not None:
            self.failure()
        return x


def _error() -> None:
    raise KeyError("a body failed")


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("failure", "kind"), [(_error, KeyError), (_interrupt, KeyboardInterrupt)])
def test_everything_is_back_after_a_failure_inside_a_body(failure, kind, request: pytest.FixtureRequest):
    before_us = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before_us))
    learner = make_learner()
    fails = _Fails()
    assert isinstance(learner.blocks[1].body, nn.Sequential)
    learner.blocks[1].body.append(fails)
    clean, before, held = _scores(learner), weights(learner), list(learner.parameters())
    with pytest.raises(kind), noisy(learner, STRONG, seed=1):
        fails.failure = failure
        _scores(learner)
    fails.failure = None
    assert hooks(learner) == 0
    assert all(a is b for a, b in zip(learner.parameters(), held, strict=True))
    assert same(weights(learner), before)
    assert torch.equal(_scores(learner), clean)


def test_an_error_inside_a_body_leaves_the_chip_usable():
    learner = make_learner()
    before = weights(learner)
    with noisy(learner, Mismatch(0.2), seed=1):
        expected = _scores(learner)
        with pytest.raises(RuntimeError):
            learner.blocks[1].body(torch.rand(2, 5))
        assert same(weights(learner), before), "a body that failed has given its parameters back"
        assert torch.equal(_scores(learner), expected)


def test_a_learner_is_noisy_once_at_a_time():
    learner, other = make_learner(), make_learner()
    with noisy(learner, Mismatch(0.1), seed=1):
        with pytest.raises(ValueError, match="noisy already"), noisy(learner, ReadNoise(0.1), seed=1):
            pass
        with noisy(other, ReadNoise(0.1), seed=1):
            _scores(other)
    with noisy(learner, ReadNoise(0.1), seed=1):
        _scores(learner)


def test_no_noise_is_refused():
    with pytest.raises(ValueError, match=r"one or several of .*, got none"), noisy(make_learner(), [], seed=1):
        pass


def _without_weights() -> Learner:
    blocks = [LocalBlock(nn.Flatten(), goodness=MeanSquare(), objective=Threshold(1.0, 1.0))]
    return Learner(
        blocks,
        supervision=LabelInInput(3),
        spans=each(1),
        rules={"sum": SumGoodness()},
        prepare=Standardize((1, 4, 4), [0.0], [1.0]),
    )


@pytest.mark.parametrize(("noise", "site"), [(Mismatch(0.1), "weights"), (UpdateNoise(0.1), "updates")])
@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_touching_nothing_is_refused(noise, site: str, strength: float):
    noise = type(noise)(strength)
    with (
        pytest.raises(ValueError, match=f"acts on {site}, but this learner has no"),
        noisy(_without_weights(), noise, seed=1),
    ):
        pass


def test_a_learner_without_weights_still_has_activities():
    learner = _without_weights()
    with noisy(learner, NeuronMismatch(0.3), seed=1):
        assert not torch.equal(learner.blocks[0].body(X), X.flatten(1))
    assert torch.equal(learner.blocks[0].body(X), X.flatten(1))


def test_shared_weights_are_one_device():
    learner = make_learner()
    first, second = (learner.blocks[k].goodness for k in (1, 2))
    first.linear.weight = second.linear.weight  # pyright: ignore
    with noisy(learner, Mismatch(0.2), seed=1) as report:
        seen = []
        for goodness in (first, second):
            goodness.linear.register_forward_hook(lambda m, args, out: seen.append(m.weight.clone()))  # pyright: ignore
        _scores(learner)
    assert torch.equal(*seen)
    assert len(report.touched[0].names) == 5


def test_a_larger_batch_gets_the_same_chip():
    learner = make_learner()
    with noisy(learner, [Mismatch(0.2), NeuronMismatch(0.2), QuantizedActivities(5)], seed=1):
        torch.testing.assert_close(_scores(learner)[:, :5], _scores(learner, X[:5]))


@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_noise_learner_or_seed_is_refused_with_what_was_meant():
    wrong: list[tuple[Any, Any, Any, str]] = [
        (make_learner(), "pcm-day", 0, r"a device by name is preset\('pcm-day'\)\.noises"),
        (make_learner(), preset("pcm-day"), 0, r"a device by name is preset\('pcm-day'\)\.noises"),
        (make_learner(), Mismatch, 0, "such as Mismatch\\(0\\.1\\), got Mismatch"),
        (make_learner(), [Mismatch(0.1), 3], 0, "got 3"),
        ("runs/x", Mismatch(0.1), 0, r"got str: give onward\.load"),
        (make_learner(), Mismatch(0.1), "a", "seed"),
        (make_learner(), Mismatch(0.1), -1, "seed"),
        (make_learner(), Mismatch(0.1), 1.5, "seed"),
    ]
    for learner, noises, seed, message in wrong:
        with pytest.raises(ValueError, match=message), noisy(learner, noises, seed=seed):
            pass


def test_words_are_not_converted():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.inner, self.out = nn.Embedding(1000, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.inner(self.words(x)).relu().mean(1))

    model, x = Reader(), torch.randint(1000, (6, 5))
    seen: list[Tensor] = []
    model.words.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    learner = local(model, (x, torch.arange(6) % 4), MonoForward()).as_learner((x, torch.arange(6) % 4)).eval()
    clean = learner.predict_scores(x)
    seen.clear()
    with noisy(learner, QuantizedInputs(4), seed=0):
        changed = learner.predict_scores(x)
    assert all(torch.equal(ids, x) for ids in seen) and not torch.equal(changed, clean)  # the second block's are
