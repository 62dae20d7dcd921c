"""Least squares in closed form: against scikit-learn's ridge, in whatever batches the data come."""

import copy

import pytest
import torch
from sklearn.linear_model import Ridge

from onward.algorithms import CaFo
from onward.core import LocalBlock, LocalTrainer, Target, TrainerSettings
from onward.nets import MLP
from onward.parts.goodness.least_squares import LeastSquares
from onward.parts.objective.squared_error import SquaredError


def _data(count: int = 60, features: int = 7, num_classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    return 2 * torch.rand(count, features, dtype=torch.float64) + 1, torch.arange(count) % num_classes


def _fitted(goodness: LeastSquares, x: torch.Tensor, y: torch.Tensor, batch: int) -> LeastSquares:
    goodness = goodness.double().train()
    for start in range(0, len(x), batch):
        goodness.update_statistics(x[start : start + batch], Target(y[start : start + batch]))
    return goodness.eval()


@pytest.mark.parametrize("batch", [60, 7, 1])
@pytest.mark.parametrize("ridge", [1e-6, 1.0, 50.0])
def test_it_equals_scikit_learns_ridge(batch: int, ridge: float):
    x, y = _data()
    found = _fitted(LeastSquares(3, 7, ridge=ridge), x, y, batch)(x)
    expected = Ridge(alpha=ridge).fit(x.numpy(), torch.eye(3)[y].numpy()).predict(x.numpy())
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=1e-7)


def test_fp32_sums_are_close_to_it_with_more_features_than_images():
    x, y = _data(40, 90)
    goodness = LeastSquares(3, 90, ridge=1.0).train()
    goodness.update_statistics(x.float(), Target(y))
    expected = Ridge(alpha=1.0).fit(x.numpy(), torch.eye(3)[y].numpy()).predict(x.numpy())
    torch.testing.assert_close(goodness.eval()(x.float()), torch.from_numpy(expected).float(), rtol=0.0, atol=2e-3)


def test_maps_are_averaged_in_cells():
    x, y = torch.rand(30, 2, 4, 6, dtype=torch.float64), torch.arange(30) % 3
    found = _fitted(LeastSquares(3, 2, cells=(2, 3)), x, y, 8)(x)
    cells = x.unflatten(2, (2, 2)).unflatten(4, (3, 2)).mean(dim=(3, 5)).flatten(1).numpy()
    expected = Ridge(alpha=1.0).fit(cells, torch.eye(3)[y].numpy()).predict(cells)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=1e-7)


def test_its_memory_does_not_grow_with_the_data():
    x, y = _data(400)
    few, many = (_fitted(LeastSquares(3, 7), x[:n], y[:n], 10) for n in (10, 400))
    assert [b.shape for b in few.buffers()] == [b.shape for b in many.buffers()]


def test_before_it_saw_anything_every_class_scores_zero():
    assert torch.equal(LeastSquares(3, 7).eval()(torch.rand(4, 7)), torch.zeros(4, 3))


def test_evaluation_neither_counts_nor_changes_the_state():
    x, y = _data()
    goodness = _fitted(LeastSquares(3, 7), x, y, 20)
    before = copy.deepcopy(goodness.state_dict())
    goodness.update_statistics(x, Target(y))
    goodness(x)
    assert all(torch.equal(value, before[name]) for name, value in goodness.state_dict().items())
    assert set(before) == {"products", "answers"}


def test_a_loaded_state_is_solved_again_and_goes_on():
    x, y = _data()
    other = LeastSquares(3, 7).double().eval()
    other(x)  # it has solved for nothing
    other.load_state_dict(_fitted(LeastSquares(3, 7), x[:30], y[:30], 30).state_dict())
    whole = _fitted(LeastSquares(3, 7), x, y, 60)
    _fitted(other, x[30:], y[30:], 10)
    torch.testing.assert_close(other(x), whole(x))


def test_a_block_that_nothing_teaches_by_gradient_is_trained_by_the_trainer():
    torch.manual_seed(0)
    learner = CaFo(predictor="least_squares", ridge=0.1)(MLP(width=40, depth=2)((1, 4, 4), 3), 3)
    y = torch.arange(90) % 3
    x = torch.rand(90, 1, 4, 4) * 0.3 + torch.nn.functional.one_hot(y, 4).view(90, 1, 1, 4)
    trainer = LocalTrainer(learner, TrainerSettings(micro_batches=2))
    before = [p.clone() for p in learner.parameters()]
    losses = torch.stack([trainer.step(x[k::3], y[k::3], step=k) for k in range(3)])
    assert losses.shape == (3, 2) and torch.allclose(losses, torch.ones(3, 2))  # of the map that scores zero
    assert all(torch.equal(old, new) for old, new in zip(before, learner.parameters(), strict=True))
    assert float((learner.predict(x) == y).float().mean()) == 1.0
    first = learner.blocks[0].goodness
    assert isinstance(first, LeastSquares) and float(first.products[-1, -1]) == 90


def test_squared_error_equals_a_loop():
    scores, labels = torch.rand(4, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2, 1, 1])
    found = SquaredError()(scores, Target(labels))
    for b, label in enumerate(labels.tolist()):
        expected = sum((float(scores[b, c].detach()) - (c == label)) ** 2 for c in range(3))
        assert float(found[b].detach()) == pytest.approx(expected)
    assert torch.autograd.gradcheck(lambda s: SquaredError()(s, Target(labels)), scores)


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan")])
def test_a_map_that_may_not_be_unique_is_refused(ridge: float):
    with pytest.raises(ValueError, match=f"ridge must be a finite number > 0, got {ridge}"):
        LeastSquares(3, 7, ridge=ridge)


def test_a_block_with_it_has_a_loss():
    block = LocalBlock(torch.nn.Linear(5, 7), goodness=LeastSquares(3, 7), objective=SquaredError())
    activity, _ = block(torch.rand(6, 5))
    assert not block.loss(activity, Target(torch.arange(6) % 3)).requires_grad
