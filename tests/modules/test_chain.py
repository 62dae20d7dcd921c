"""Where cuts form a chain, the model as a learner is the same model, and trains as it does in its own pass."""

import pytest
import torch
from kinds import KINDS, Kind, Reader, UNet, ViT, Writer, counting, images, pixels, texts
from torch import Tensor, nn

from onward.algorithms import Backprop, DeepSupervision, DistanceForward, MonoForward, PredSim
from onward.core import LocalTrainer, TrainerSettings
from onward.measure import reached_blocks
from onward.modules import local
from onward.modules.batch import as_batch, check_target

CHAINS = [kind for kind in KINDS if kind.name not in ("BERT", "U-Net", "GPT")]
SETTINGS = TrainerSettings(learning_rate=0.01, schedule="constant")


def pair(make, batch, algorithm, task=None, **options):
    """Return a model in its own pass, another as a learner, and the tensors of a batch."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(local(make(), batch, algorithm, task=task, settings=SETTINGS, seed=3, **options))
    first, second = made
    x, y = as_batch(batch)
    return first, second, x, check_target(y, first.plan.task, first.plan.outputs, x, -100)


@pytest.mark.parametrize("kind", CHAINS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("algorithm", [MonoForward(), PredSim()], ids=lambda a: type(a).__name__)
def test_the_learner_trains_as_the_model_does_in_its_own_pass(kind: Kind, algorithm):
    own, other, x, y = pair(kind.make, kind.batch(), algorithm, kind.task)
    learner = other.as_learner(x[:5])
    trainer = LocalTrainer(learner, SETTINGS, seed=3)
    batch = kind.batch() if kind.task == "next_token" else (x, y)
    for step in range(4):
        assert torch.equal(own.step(batch), trainer.step(x, y, step=step))
    with torch.no_grad():  # all stretches one after the other give what the model gives, to the last bit
        activity = x
        for block in learner.eval().blocks:
            activity = block.body(activity)
    assert torch.equal(activity, own.predict_scores(x))
    first, second = own.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any("forward" in vars(module) for module in other.model.modules())


def test_dropout_and_wide_spans_are_the_same_too():
    for algorithm in (DistanceForward(collaboration="disjoint"), DeepSupervision(of=MonoForward())):
        own, other, x, y = pair(lambda: ViT(depth=4, dropout=0.2), images(), algorithm)
        trainer = LocalTrainer(other.as_learner(x[:5]), SETTINGS, seed=3)
        for step in range(3):
            assert torch.equal(own.step((x, y)), trainer.step(x, y, step=step))


def test_frozen_batch_norms_stay_so_in_a_step_and_in_a_learner():
    def make() -> nn.Module:
        model = KINDS[0].make().train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return model

    own, other, x, y = pair(make, images(), MonoForward())
    trainer = LocalTrainer(other.as_learner(x[:5]), SETTINGS, seed=3)
    for step in range(3):
        assert torch.equal(own.step((x, y)), trainer.step(x, y, step=step))
    for model in (own.model, other.model):
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms and not any(norm.training for norm in norms) and model.training
        assert all(norm.running_mean is not None and not norm.running_mean.any() for norm in norms)


def test_one_label_per_token_in_a_chain():
    batch = counting()
    own, other, x, y = pair(lambda: Writer(tied=False), batch, MonoForward(), "next_token")
    trainer = LocalTrainer(other.as_learner(x[:5]), SETTINGS, seed=3)
    for step in range(3):
        assert torch.equal(own.step(batch), trainer.step(x, y, step=step))


def test_micro_batches_of_tokens_weigh_what_counts():
    batch = counting()
    _, one, x, y = pair(lambda: Writer(tied=False), batch, MonoForward(), "next_token")
    _, many, _, _ = pair(lambda: Writer(tied=False), batch, MonoForward(), "next_token")
    y[:6, 2:] = -100
    settings = TrainerSettings(learning_rate=0.1, optimizer="sgd", momentum=0.0)
    pieces = TrainerSettings(learning_rate=0.1, optimizer="sgd", momentum=0.0, micro_batches=4)
    LocalTrainer(one.as_learner(x[:3]), settings).step(x, y, step=0)
    LocalTrainer(many.as_learner(x[:3]), pieces).step(x, y, step=0)
    first, second = one.model.state_dict(), many.model.state_dict()
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def _stepped(algorithm, x: Tensor, y: Tensor, **settings) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the losses of two steps as a learner, and the weights after them."""
    _, model, _, _ = pair(lambda: Writer(depth=3, tied=False), counting(), algorithm, "next_token")
    plain = TrainerSettings(learning_rate=0.1, optimizer="sgd", momentum=0.0, **settings)
    trainer = LocalTrainer(model.as_learner(x[:3]), plain)
    losses = [trainer.step(x, y, step=step) for step in range(2)]
    return torch.stack(losses), {name: tensor.clone() for name, tensor in model.model.state_dict().items()}


@pytest.mark.parametrize(
    "algorithm",
    [MonoForward(), PredSim(beta=0.0), Backprop(), DeepSupervision(of=MonoForward())],
    ids=lambda algorithm: type(algorithm).__name__,
)
@pytest.mark.parametrize(
    "left_out", [pytest.param(slice(0, 5), marks=pytest.mark.slow), slice(4, 8), slice(1, None)], ids=str
)
def test_a_micro_batch_without_a_label_that_counts_adds_nothing(algorithm, left_out: slice):
    _, _, x, y = pair(lambda: Writer(tied=False), counting(), MonoForward(), "next_token")
    y[left_out] = -100
    losses, trained = _stepped(algorithm, x, y)
    for settings in ({"micro_batches": 4}, {"micro_batches": 16, "recompute": True}):
        in_pieces, found = _stepped(algorithm, x, y, **settings)
        torch.testing.assert_close(in_pieces, losses, rtol=1e-5, atol=1e-6)
        assert all(torch.allclose(found[name], tensor, atol=1e-5) for name, tensor in trained.items())


def test_a_batch_without_a_label_that_counts_is_refused_in_any_number_of_pieces():
    _, model, x, y = pair(lambda: Writer(tied=False), counting(), MonoForward(), "next_token")
    before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    for pieces in (1, 4):
        trainer = LocalTrainer(model.as_learner(x[:3]), TrainerSettings(micro_batches=pieces))
        with pytest.raises(ValueError, match="every label of this batch is -100"):
            trainer.step(x, torch.full_like(y, -100), step=0)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.model.state_dict().items())


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3], KINDS[9]], ids=lambda kind: kind.name)
def test_objectives_reach_their_own_block_alone(kind: Kind):
    _, other, x, y = pair(kind.make, kind.batch(), PredSim(), kind.task)
    learner = other.as_learner(x[:5])
    assert reached_blocks(learner, x, y) == [[k] for k in range(len(learner.blocks))]
    assert torch.equal(learner.eval().predict(x), other.predict(x)) if isinstance(x, Tensor) else True


def test_what_is_no_chain_is_refused():
    with pytest.raises(ValueError, match="takes one tensor"):
        local(Reader(), texts(), MonoForward()).as_learner(texts())
    with pytest.raises(ValueError, match="is tied across blocks"):
        local(Writer(), counting(), MonoForward(), task="next_token").as_learner(counting())
    with pytest.raises(ValueError, match="form no chain"):
        local(UNet(), pixels(), MonoForward(), cut=["down1", "down2"]).as_learner(pixels())
