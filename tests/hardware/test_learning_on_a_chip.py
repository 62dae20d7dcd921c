"""Learning on a chip: gradients, updates, resuming, recomputing, and integers instead of reals."""

import copy

import pytest
import torch
from hardware_toys import STRONG, batch, make_learner, names, on_site, same, train, weights
from torch import Tensor, nn

from onward.core import Learner, LocalTrainer, TrainerSettings, each, pairs, whole
from onward.hardware import (
    Mismatch,
    Noise,
    ProgrammingNoise,
    QuantizedMemory,
    QuantizedUpdates,
    ReadNoise,
    StuckCells,
    UpdateNoise,
    low_precision,
    noisy,
)

SGD = TrainerSettings(optimizer="sgd", momentum=0.0, learning_rate=0.1)
every_noise = pytest.mark.parametrize("noise", STRONG, ids=names(STRONG))


def _first(learner: Learner) -> nn.Conv2d:
    layer = learner.blocks[0].body.get_submodule("0")
    assert isinstance(layer, nn.Conv2d)
    return layer


def _watch(learner: Learner) -> list[Tensor]:
    """Collect the weights that the first layer computes with, pass by pass."""
    seen: list[Tensor] = []

    def look(module: nn.Conv2d, args: tuple[Tensor, ...], out: Tensor) -> None:
        seen.append(module.weight.detach().clone())

    _first(learner).register_forward_hook(look)
    return seen


def _moved(learner: Learner, before: list[Tensor]) -> list[Tensor]:
    return [after - old for after, old in zip(weights(learner), before, strict=True)]


@every_noise
def test_every_noise_changes_what_is_learned_and_leaves_parameters_in_place(noise: Noise):
    plain, chip = make_learner(), make_learner()
    held = list(chip.parameters())
    train(plain, range(3))
    with noisy(chip, noise, seed=1) as report:
        train(chip, range(3))
    assert report.touched[0].uses > 0
    assert not same(weights(chip), weights(plain))
    assert all(a is b for a, b in zip(chip.parameters(), held, strict=True))
    assert all(p.isfinite().all() for p in chip.parameters())


def test_the_gradient_at_the_noisy_weight_is_written_to_the_programmed_one():
    """One SGD step on a chip moves each weight as a step of the network that has the chip's weights would."""
    learner = make_learner()
    with noisy(learner, [Mismatch(0.3), StuckCells(0.2)], seed=1):
        seen = {}

        def look(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            seen.setdefault(module, module.weight.detach().clone())  # pyright: ignore

        layers = [m for m in learner.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        handles = [layer.register_forward_hook(look) for layer in layers]
        learner.predict(batch()[0])
        for handle in handles:
            handle.remove()
        effective = copy.deepcopy(make_learner())
        with torch.no_grad():
            copies = [m for m in effective.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
            for mine, theirs in zip(copies, layers, strict=True):
                mine.weight.copy_(seen[theirs])
        before, before_effective = weights(learner), weights(effective)
        losses = train(learner, range(1), trainer=LocalTrainer(learner, SGD))
    expected = train(effective, range(1), trainer=LocalTrainer(effective, SGD))
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(_moved(learner, before), _moved(effective, before_effective), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_updates_are_disturbed_for_every_optimizer_whenever_it_was_made(optimizer):
    """Noise of updates changes the change, in proportion; a trainer made before the `with` is seen as well."""
    plain, chip = make_learner(), make_learner()
    settings = TrainerSettings(optimizer=optimizer, learning_rate=0.01)
    trainers = [LocalTrainer(learner, settings) for learner in (plain, chip)]
    before = weights(plain)
    train(plain, range(1), trainer=trainers[0])
    with noisy(chip, UpdateNoise(0.5), seed=1):
        train(chip, range(1), trainer=trainers[1])
    clean, disturbed = (torch.cat([m.flatten() for m in _moved(x, before) if m.ndim >= 2]) for x in (plain, chip))
    ratio = (disturbed / clean)[clean.abs() > 1e-4]
    assert ratio.mean() == pytest.approx(1, abs=0.15)
    assert ratio.std() == pytest.approx(0.5, abs=0.1)
    biases = [[m for m in _moved(x, before) if m.ndim < 2] for x in (plain, chip)]
    assert same(*biases), "biases are digital"


def test_quantized_updates_lie_on_their_grid():
    learner = make_learner()
    before = weights(learner)
    with noisy(learner, QuantizedUpdates(4), seed=1):
        train(learner, range(1))
    for moved in (m for m in _moved(learner, before) if m.ndim >= 2):
        step = moved.abs().max() / 7
        torch.testing.assert_close(moved / step, (moved / step).round(), atol=1e-3, rtol=0)
        assert len((moved / step).round().unique()) <= 15


def test_another_networks_optimizer_is_left_alone():
    plain, bystander, chip = make_learner(), make_learner(), make_learner()
    train(plain, range(2))
    with noisy(chip, on_site("updates", "memory", "weights"), seed=1):
        train(bystander, range(2))
    assert same(weights(bystander), weights(plain))


@every_noise
@pytest.mark.parametrize("spans", [each, pairs])
def test_a_training_on_a_chip_that_stops_and_resumes_is_the_same(noise: Noise, spans):
    through, resumed = make_learner(spans, dropout=0.3), make_learner(spans, dropout=0.3)
    with noisy(through, noise, seed=1):
        expected = train(through, range(3))
    first, second = (LocalTrainer(resumed, TrainerSettings(learning_rate=0.01), seed=4) for _ in range(2))
    with noisy(resumed, noise, seed=1):
        losses = train(resumed, range(2), trainer=first)
        resumed.predict(batch()[0])  # looking in between changes nothing
    for old, new in zip(first.optimizers, second.optimizers, strict=True):
        new.load_state(old.state())
    resumed.train()
    with noisy(resumed, noise, seed=1):
        losses += train(resumed, range(2, 3), trainer=second)
    assert same(losses, expected)
    assert same(weights(resumed), weights(through))


@pytest.mark.parametrize("noise", [n for n in STRONG if n.lifetime != "chip"][:6], ids=str)
def test_a_block_that_is_computed_again_sees_the_same_noise(noise: Noise):
    """Activation checkpointing repeats the forward pass; with other draws its gradients would be of another chip."""
    plain, recomputed = make_learner(whole), make_learner(whole)
    with noisy(plain, noise, seed=1):
        train(plain, range(2))
    with noisy(recomputed, noise, seed=1):
        train(recomputed, range(2), recompute=True)
    assert same(weights(recomputed), weights(plain))


def test_each_step_and_each_micro_batch_is_a_use_of_its_own():
    learner = make_learner()
    seen = _watch(learner)
    with noisy(learner, ReadNoise(0.1), seed=1):
        train(learner, range(2), micro_batches=2, learning_rate=0.0)
    assert len(seen) == 4
    assert all(not torch.equal(a, b) for k, a in enumerate(seen) for b in seen[:k])


def test_programming_noise_is_new_after_every_write_and_fixed_without():
    learner = make_learner()
    seen = _watch(learner)
    with noisy(learner, ProgrammingNoise(0.1), seed=1):
        train(learner, range(2), learning_rate=0.0)
        learner.predict(batch()[0])
        learner.predict(batch()[0])
        learner.blocks[0].eval()  # frozen: its weights are not written to
        train(learner, range(2), learning_rate=0.0)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])
    assert torch.equal(seen[2], seen[4]) and torch.equal(seen[4], seen[5])


def test_stuck_cells_keep_their_effect_however_much_is_learned():
    learner = make_learner()
    with noisy(learner, StuckCells(off=0.5), seed=1):
        seen = _watch(learner)
        train(learner, range(5))
    stuck = seen[0] == 0
    assert stuck.any() and not stuck.all()
    assert all(torch.equal(later == 0, stuck) for later in seen)


@pytest.mark.parametrize("bits", [8, 4])
def test_kept_weights_are_integers_times_a_power_of_two(bits: int):
    learner = make_learner()
    with noisy(learner, low_precision(bits), seed=1):
        train(learner, range(4))
    for weight in (p.detach() for p in learner.parameters() if p.ndim >= 2):
        exponent = torch.frexp(weight.abs().max() / (2 ** (bits - 1) - 1)).exponent
        multiples = torch.ldexp(weight, -exponent)
        assert torch.equal(multiples, multiples.round())
        assert multiples.abs().max() <= 2 ** (bits - 1) - 1


def _final_loss(noises: tuple[Noise, ...], *, steps: int = 40) -> float:
    learner = make_learner()
    x, y = batch(48)
    y = (x.flatten(1)[:, :8].mean(1) * 6 - 1.5).clamp(0, 2).long()
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.003), seed=4)
    with noisy(learner, noises, seed=1):
        losses = [trainer.step(x, y, step=step).mean() for step in range(steps)]
    return float(torch.stack(losses[-5:]).mean() / losses[0])


def test_integers_learn_with_stochastic_rounding_where_rounding_to_the_nearest_does_not():
    stochastic = _final_loss(low_precision(4))
    nearest = _final_loss((QuantizedMemory(4, stochastic=False),))
    assert stochastic < 0.9
    assert stochastic < nearest - 0.05


def test_eight_bits_learn_nearly_as_well_as_reals():
    assert _final_loss(low_precision(8)) < _final_loss((Mismatch(0.0),)) + 0.05
