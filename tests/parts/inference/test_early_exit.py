"""Early exits: who leaves where against a loop, thresholds against a search, and the compute that is really saved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evidence import made_up
from onward.algorithms import CaFo, EarlyExits, ForwardForward, MonoForward
from onward.core import LocalTrainer, TrainerSettings
from onward.nets import MLP, TinyCNN
from onward.parts.inference.early_exit import EarlyExit, block_costs, confidence, predict_early, trade_off


def _made_up(seed: int, exits: int = 3, count: int = 60, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Scores whose later blocks know more, rounded so that confidences tie."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    noise = torch.randn(exits, count, classes, generator=generator)
    told = torch.nn.functional.one_hot(labels, classes) * torch.arange(1.0, exits + 1)[:, None, None]
    return ((told + noise) * 2).round() / 2, labels


def _margin(scores: list[float]) -> tuple[float, int]:
    probabilities = torch.tensor(scores).softmax(dim=0).tolist()
    best = max(range(len(scores)), key=lambda c: (probabilities[c], -c))
    return probabilities[best] - max(p for c, p in enumerate(probabilities) if c != best), best


def _loop(scores: Tensor, labels: Tensor, margin: float) -> tuple[list[list[float]], list[int]]:
    """Thresholds by trying every confidence that occurs, and the exit of every image."""
    exits, count, classes = scores.shape
    seen = [[_margin(scores[: k + 1, n].sum(dim=0).tolist()) for n in range(count)] for k in range(exits)]
    inside, left, thresholds = set(range(count)), [exits - 1] * count, []
    for k in range(exits - 1):
        row = []
        for c in range(classes):
            final = [n for n in range(count) if seen[-1][n][1] == c]
            wanted = sum(labels[n] == c for n in final) / len(final) - margin if final else 1.0
            here = [n for n in inside if seen[k][n][1] == c]
            fine = [float("inf")]
            for t in {seen[k][n][0] for n in here}:
                above = [n for n in here if seen[k][n][0] >= t]
                if sum(int(labels[n] == c) for n in above) / len(above) >= wanted:
                    fine.append(t)
            row.append(min(fine))
        for n in sorted(inside):
            if seen[k][n][0] >= row[seen[k][n][1]]:
                inside.discard(n)
                left[n] = k
        thresholds.append(row)
    return thresholds, left


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.05, 0.3]))
def test_thresholds_and_exits_equal_a_search(seed: int, margin: float):
    scores, labels = _made_up(seed)
    rule = EarlyExit(3, 3, margin=margin)
    rule.calibrate(scores, labels)
    thresholds, left = _loop(scores, labels, margin)
    torch.testing.assert_close(rule.thresholds[:2], torch.tensor(thresholds), rtol=1e-5, atol=1e-6)
    assert rule.exits(scores).tolist() == left


def test_scores_are_those_of_the_exit_summed_up_to_it():
    scores, labels = _made_up(1)
    rule = EarlyExit(3, 3, margin=0.3)
    rule.fit(lambda: [], lambda: [(made_up(block_scores=scores[:, :20]), labels[:20])])
    left = rule.exits(scores)
    assert len(set(left.tolist())) == 3
    found = rule(made_up(block_scores=scores))
    for n in range(60):
        torch.testing.assert_close(found[n], scores[: int(left[n]) + 1, n].sum(dim=0))


def test_before_it_is_fitted_everyone_stays_to_the_end():
    scores, _ = _made_up(0)
    assert EarlyExit(3, 3).exits(scores).tolist() == [2] * 60


def test_a_larger_margin_saves_more_and_the_curve_says_so():
    (known, known_labels), (counted, counted_labels) = _made_up(0, count=4000), _made_up(1, count=4000)
    labels, margins = (known_labels, counted_labels), [0.0, 0.05, 0.2]
    curve = trade_off((known, counted), labels, [1.0, 2.0, 3.0], margins)
    assert [margin for margin, _, _ in curve] == margins
    shares = [share for _, _, share in curve]
    assert 1 / 6 <= shares[2] < shares[1] < shares[0] < 1
    whole = float((counted.sum(dim=0).argmax(dim=1) == counted_labels).double().mean())
    for margin, accuracy, _ in curve:
        assert accuracy > whole - margin - 0.02  # thresholds keep what they promise on other images, nearly


@pytest.mark.parametrize("net", [MLP(width=16, depth=3), TinyCNN(width=8, dropout=0.0)])
def test_images_that_left_are_not_computed_any_further(net):
    torch.manual_seed(0)
    learner = EarlyExits(of=MonoForward(features=64), margin=0.0)(net((1, 8, 8), 4), 4)
    y = torch.arange(128) % 4
    bars = torch.nn.functional.one_hot(y, 4).repeat_interleave(2, dim=1)[:, None, :, None]
    x = 0.8 * torch.rand(128, 1, 8, 8) + 0.2 * bars
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01))
    for step in range(8):
        trainer.step(x, y, step=step)
    rule = learner.rules["early_exit"]
    assert isinstance(rule, EarlyExit)
    sure, _ = confidence(learner.score_blocks(x).cumsum(dim=0))
    rule.thresholds.copy_(sure.median(dim=1).values[:, None])  # half of all, if nobody had left
    rows: list[int] = []
    for block in learner.blocks:
        block.body.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    scores, left = predict_early(learner.eval(), x, rule)
    assert rows == [int((left >= k).sum()) for k in range(len(rows))] and rows[-1] < 128
    torch.testing.assert_close(scores, learner.predict_scores(x), rtol=1e-4, atol=1e-4)
    assert torch.equal(left, rule.exits(learner.score_blocks(x)))


def test_costs_are_operations_block_by_block():
    learner = MonoForward()(MLP(width=16, depth=2)((1, 4, 4), 3), 3)
    assert block_costs(learner, torch.rand(5, 1, 4, 4)) == [2 * 5 * (16 * 16 + 16 * 3)] * 2


def test_below_zero_only_those_leave_who_are_right_more_often_than_the_whole():
    torch.manual_seed(0)
    labels = torch.arange(400) % 2
    scores = torch.randn(2, 400, 2)
    scores[0, torch.arange(400), labels] += 1.0
    right = []
    for margin in (0.0, -0.1):
        rule = EarlyExit(2, 2, margin=margin)
        rule.calibrate(scores, labels)
        early = rule.exits(scores) == 0
        right.append((int(early.sum()), float((scores[0].argmax(dim=1) == labels)[early].double().mean())))
    assert right[1][0] < right[0][0] and right[1][1] > right[0][1]


def test_it_lets_gradients_through_where_its_algorithm_does():
    assert EarlyExits(of=MonoForward()).passes_gradients and not EarlyExits(of=CaFo()).passes_gradients


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 1 exit and a margin in"):
        EarlyExit(3, 3, margin=1.5)
    with pytest.raises(ValueError, match=r"\(3, 3\) exits and classes given, but the thresholds are for \(2, 3\)"):
        EarlyExit(2, 3).calibrate(*_made_up(0))
    with pytest.raises(ValueError, match="which ForwardForward does not have"):
        EarlyExits(of=ForwardForward())(MLP(width=8, depth=3)((1, 4, 4), 4), 4)
    with pytest.raises(ValueError, match="at least 2 blocks"):
        EarlyExits()(MLP(width=8, depth=1)((1, 4, 4), 4), 4)
