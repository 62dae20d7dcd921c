"""The training loop: resuming, orders, losses that go wrong."""

import copy
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch

from onward.algorithms import ALGORITHMS, ASGE, Algorithm, Backprop, CaFo, DeeperForward, ForwardForward, RandomFeatures
from onward.core import Goodness, gradients
from onward.data import Augmentation
from onward.nets import MLP, Airbench, CaFoCNN, TinyCNN
from onward.parts.body.direct_feedback import Detached
from onward.training import EpochDone, StepDone, Training, cascade
from onward.training.cascade import FrozenInputs, stored_per_image
from toy_trainings import same_tensors


def _finish(training: Training) -> list[EpochDone]:
    return [event for event in training if isinstance(event, EpochDone)]


def _resumed_at(make, stop: int, **settings) -> tuple[Training, list[EpochDone]]:
    """Stop a training after `stop` steps, hand its state to a new one, and finish that."""
    first, reports = make(**settings), []
    for event in first:
        if isinstance(event, EpochDone):
            reports.append(event)
        if isinstance(event, StepDone) and first.step == stop:
            break
    tensors, notes = copy.deepcopy(first.state())
    second = make(**settings)
    # As after a file: plain contiguous tensors, in no particular memory format.
    second.load_state({name: value.contiguous() for name, value in tensors.items()}, notes)
    return second, reports + _finish(second)


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 8])
def test_resumed_equals_uninterrupted_with_dropout_and_augmentation(make_training, stop: int):
    settings = {"augmentation": Augmentation(crop=1, flip=True, cutout=2), "ema_decay": 0.9, "clip_norm": 0.5}
    whole = make_training(**settings)
    reports = _finish(whole)
    resumed, resumed_reports = _resumed_at(make_training, stop, **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])
    assert [report.losses for report in reports] == [report.losses for report in resumed_reports]
    assert [report.block_accuracy for report in reports] == [report.block_accuracy for report in resumed_reports]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "adafactor", "muon"])
@pytest.mark.parametrize("algorithm", [DeeperForward(), Backprop()])
def test_resumed_equals_uninterrupted_for_every_optimizer(make_training, optimizer: str, algorithm):
    settings = {"optimizer": optimizer, "algorithm": algorithm, "precision": "bf16"}
    whole = make_training(**settings)
    _finish(whole)
    resumed, _ = _resumed_at(make_training, 5, **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("stop", [2, 9, 14, 30])
def test_resumed_equals_uninterrupted_in_cascade(make_training, cached: bool, stop: int):
    settings = {"order": "cascade", "cache_activations": cached}
    whole = make_training(**settings)
    _finish(whole)
    resumed, _ = _resumed_at(make_training, stop, **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])


def test_resumed_forward_forward_draws_the_same_negatives(make_training):
    settings = {"algorithm": ForwardForward(), "net": MLP(width=20, depth=2)}
    whole = make_training(**settings)
    _finish(whole)
    resumed, _ = _resumed_at(make_training, 5, **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])


def test_another_seed_is_another_training(make_training, toy_data):
    first, second = make_training(), make_training()
    second.trainer.draws.seed += 1
    _finish(first)
    _finish(second)
    assert not same_tensors(first.learner.state_dict(), second.learner.state_dict())


def test_cached_cascade_equals_computed_cascade(make_training):
    computed, cached = make_training(order="cascade"), make_training(order="cascade", cache_activations=True)
    losses = [[report.losses for report in _finish(training)] for training in (computed, cached)]
    assert len(losses[0]) == 4 * 2  # four spans, two epochs each
    for ours, theirs in zip(*losses, strict=True):
        assert ours.keys() == theirs.keys()
        assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=1e-4)


@pytest.mark.parametrize("stop", [2, 9])
def test_a_cached_frozen_body_is_computed_once_and_resumes_exactly(make_training, stop: int):
    settings = {"order": "cascade", "cache_activations": True, "algorithm": CaFo(), "net": CaFoCNN(width=2)}
    whole = make_training(**settings)
    calls = []
    for event in whole:
        if isinstance(event, StepDone):
            if event.step == 1:  # from here on the epoch's steps compute no body
                handles = [b.body[0].register_forward_hook(lambda *_: calls.append(0)) for b in whole.learner.blocks]
            elif event.step == event.steps:
                assert not calls
                [handle.remove() for handle in handles]
        calls.clear()
    resumed, _ = _resumed_at(make_training, stop, **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])


def test_a_cached_frozen_body_without_statistics_trains_as_a_computed_one(make_training):
    settings = {"order": "cascade", "algorithm": CaFo(), "net": MLP(width=8, depth=2)}
    computed, cached = make_training(**settings), make_training(cache_activations=True, **settings)
    losses = [[report.losses for report in _finish(training)] for training in (computed, cached)]
    assert cached.frozen is not None and cached.frozen.read_out
    for ours, theirs in zip(*losses, strict=True):
        assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=1e-5)


def test_the_statistics_of_a_cached_frozen_body_are_those_of_the_data(make_training):
    training = make_training(order="cascade", cache_activations=True, algorithm=CaFo(), net=CaFoCNN(width=2), epochs=1)
    _finish(training)
    conv, relu, pool, norm = training.learner.blocks[0].body
    pixels = torch.stack([training.data.train.pixels[k] for k in range(len(training.data.train))])
    with torch.no_grad():
        before = pool(relu(conv(training.learner.prepare(pixels))))
    torch.testing.assert_close(norm.running_mean, before.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_what_a_frozen_blocks_read_out_reads_trains_it_as_the_whole_activity_does(
    make_training, monkeypatch: pytest.MonkeyPatch
):
    settings = {"order": "cascade", "cache_activations": True, "algorithm": CaFo(features=8), "net": CaFoCNN(width=2)}
    small, large = make_training(**settings), make_training(**settings)
    assert _values_stored_first(small) == 2 * 2 * 2
    _finish(small)
    monkeypatch.setattr(Detached, "reduced", Goodness.reduced)
    assert _values_stored_first(large) == 2 * 4 * 4
    _finish(large)
    assert same_tensors(small.learner.state_dict(), large.learner.state_dict())


def _values_stored_first(training: Training) -> int:
    """Return how many values of an image are stored in the first step."""
    next(iter(training))
    assert training.frozen is not None
    return training.frozen.stream[0][0].numel()


def test_no_frozen_body_computes_an_image_twice(make_training):
    training = make_training(order="cascade", cache_activations=True, algorithm=CaFo(), net=CaFoCNN(width=2))
    learner, images, seen, below = training.learner, training.data.train, [0, 0, 0], None
    for k, block in enumerate(learner.blocks):
        block.body[0].register_forward_hook(
            lambda module, inputs, _, k=k: seen.__setitem__(k, seen[k] + len(inputs[0]))
        )
    for k in range(3):
        entering = None if below is None else below.entering(k)
        below = FrozenInputs(training.trainer, images, stop=k, read_out=True, entering=entering)
    assert seen == [len(images)] * 3


def test_all_that_is_stored_at_one_time_counts(make_training, monkeypatch: pytest.MonkeyPatch):
    settings = {"order": "cascade", "cache_activations": True, "algorithm": CaFo(), "net": CaFoCNN(width=2)}
    training = make_training(**settings)
    needed = stored_per_image(training.learner, training.settings, training.data.train) * len(training.data.train)
    monkeypatch.setattr(cascade, "MOST_BYTES", needed)
    _finish(make_training(**settings))
    monkeypatch.setattr(cascade, "MOST_BYTES", needed - 1)
    with pytest.raises(ValueError, match="stored for block"):
        _finish(make_training(**settings))


def test_more_activations_than_memory_are_refused(make_training, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cascade, "MOST_BYTES", 1000)
    training = make_training(order="cascade", cache_activations=True)
    with pytest.raises(ValueError, match="are stored: leave out cache_activations"):
        _finish(training)


def test_cascade_freezes_what_it_has_trained(make_training):
    training = make_training(order="cascade", epochs=1)
    before = copy.deepcopy(training.learner.state_dict())
    for event in training:
        if isinstance(event, EpochDone) and event.epoch == 1:
            break
    after = training.learner.state_dict()
    names = [name for name in after if name.startswith("blocks") and not torch.equal(before[name], after[name])]
    changed = {int(name.split(".")[1]) for name in names}
    assert changed == {0, 1}
    assert training.learner.blocks[0].training is False or training.epoch == 2


def test_cascade_of_one_span_is_joint(make_training):
    joint = make_training(algorithm=Backprop(), net=TinyCNN(width=6, dropout=0.0))
    cascade = make_training(algorithm=Backprop(), net=TinyCNN(width=6, dropout=0.0), order="cascade")
    _finish(joint)
    _finish(cascade)
    assert same_tensors(joint.learner.state_dict(), cascade.learner.state_dict())


def test_caching_refuses_what_changes_from_epoch_to_epoch(make_training):
    with pytest.raises(ValueError, match="augmentation off"):
        make_training(order="cascade", cache_activations=True, augmentation=Augmentation(flip=True))
    with pytest.raises(ValueError, match="LabelInInput"):
        make_training(order="cascade", cache_activations=True, algorithm=ForwardForward(), net=MLP(width=8, depth=2))


def test_a_loss_that_is_not_finite_names_block_and_step(make_training):
    training = make_training()
    with pytest.raises(ValueError, match=r"block 2 .* step 5 \(epoch 1\)"):
        for event in training:
            if isinstance(event, StepDone) and training.step == 5:
                with torch.no_grad():
                    next(training.learner.blocks[2].parameters()).fill_(float("nan"))


def test_reports_count_epochs_blocks_and_time(make_training):
    reports = _finish(make_training(epochs=2))
    assert [report.epoch for report in reports] == [0, 1]
    for report in reports:
        assert set(report.losses) == {0, 1, 2, 3}
        assert len(report.block_accuracy) == 4
        assert report.images_per_second > 0
        assert report.peak_memory_bytes > 0
    assert 0 < reports[0].train_seconds < reports[1].train_seconds


def test_reported_loss_is_the_mean_over_steps(make_training):
    training, losses = make_training(epochs=1), []
    update = training.trainer.update_pieces
    training.trainer.update_pieces = lambda *a, **k: losses.append(update(*a, **k)) or losses[-1]
    (report,) = _finish(training)
    assert list(report.losses.values()) == pytest.approx(torch.tensor(losses).double().mean(dim=0).tolist())


def test_averaged_weights_are_validated_and_adopted_but_not_trained_on(make_training):
    plain, averaged = make_training(), make_training(ema_decay=0.9)
    _finish(plain)
    _finish(averaged)
    assert same_tensors(plain.learner.blocks.state_dict(), averaged.learner.blocks.state_dict())
    averaged.finish()
    assert not same_tensors(plain.learner.blocks.state_dict(), averaged.learner.blocks.state_dict())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checkpoint_of_another_network_is_refused(make_training, algorithm):
    tensors, notes = make_training(algorithm=algorithm(), net=MLP(width=12, depth=2)).state()
    with pytest.raises(ValueError, match="does not fit"):
        make_training(algorithm=algorithm(), net=MLP(width=15, depth=2)).load_state(tensors, notes)


@pytest.mark.parametrize("algorithm", [RandomFeatures(), ASGE(random_features=True, alpha=0.0)])
def test_statistics_of_layers_that_are_never_trained_follow_the_data(make_training, algorithm: Algorithm):
    """Else batch norm would leave everything as it is, and a read-out of random layers would see hardly anything."""
    training = make_training(algorithm=algorithm, net=Airbench(width=4), epochs=1)
    drawn = {name: value.clone() for name, value in training.learner.named_parameters()}
    _finish(training)
    steps, norms = training.step, [m for m in training.learner.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 6 and all(norm.num_batches_tracked == steps for norm in norms)
    bodies = [name for name, _ in training.learner.named_parameters() if ".body." in name]
    assert bodies and all(torch.equal(drawn[name], training.learner.get_parameter(name)) for name in bodies)


def test_a_clock_that_stands_still_ends_no_training(make_training, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.perf_counter", lambda: 1.0)
    assert {report.images_per_second for report in _finish(make_training())} == {0.0}


@pytest.mark.parametrize(("around", "wanted"), [(nullcontext, 0), (torch.no_grad, 1)])
def test_a_step_switches_the_modes_of_a_training_on_at_most_once(
    make_training, around: Callable, wanted: int, monkeypatch: pytest.MonkeyPatch
):
    switched_on, count = gradients._switched_on, []
    monkeypatch.setattr(gradients, "_switched_on", lambda: (count.append(1), switched_on())[1])
    steps = iter(make_training())
    next(steps)
    with around():
        count.clear()
        assert isinstance(next(steps), StepDone)
    assert len(count) == wanted
