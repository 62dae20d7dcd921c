"""Exit heads: whom each one learns from, thresholds against a search, and the compute that is really saved."""

import pytest
import torch
from torch import Tensor

from evidence import made_up
from onward.algorithms import Backprop, EarlyExits, MonoForward
from onward.core import Evidence, LocalTrainer, ObservedEvidence, TrainerSettings
from onward.nets import MLP, TinyCNN
from onward.parts.inference.early_exit import confidence
from onward.parts.inference.exit_heads import ExitHeads, predict_through_heads
from onward.parts.inference.scores import LinearReadout

CLASSES = 3


def _made_up(seed: int, count: int = 240) -> tuple[Evidence, Tensor]:
    """Three blocks: what each hands on tells more, and their own scores most; the first hands on a map."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    told = torch.nn.functional.one_hot(labels, CLASSES).float()
    handed_on = [2.0 * k * told + torch.randn(count, CLASSES, generator=generator) for k in (0.7, 1, 2)]
    handed_on[0] = handed_on[0][..., None, None] + torch.tensor([[0.5, -0.5]])
    scores = 4 * told + torch.randn(2, count, CLASSES, generator=generator)
    return made_up(block_scores=scores, handed_on=handed_on), labels


def _fitted(margin: float = 0.1) -> ExitHeads:
    rule = ExitHeads(3, CLASSES, margin=margin, steps=200)
    rule.fit(lambda: [_made_up(0)], lambda: [_made_up(1)])
    return rule


def test_thresholds_are_the_lowest_that_keep_the_promise_for_those_still_inside():
    rule, (evidence, labels) = _fitted(), _made_up(1)
    final, inside = evidence.block_scores.sum(dim=0).argmax(dim=1), list(range(len(labels)))
    for k in range(2):
        sure, predicted = (v[0] for v in confidence(rule.head_scores(k, evidence.handed_on[k])[None]))
        for c in range(CLASSES):
            own = [n for n in range(len(labels)) if final[n] == c]
            wanted = sum(int(labels[n] == c) for n in own) / len(own) - 0.1
            here = [n for n in inside if predicted[n] == c]
            fine = [float("inf")]
            for t in {float(sure[n]) for n in here}:
                above = [n for n in here if sure[n] >= t]
                if sum(int(labels[n] == c) for n in above) / len(above) >= wanted:
                    fine.append(t)
            assert float(rule.thresholds[k, c]) == pytest.approx(min(fine))
        inside = [n for n in inside if sure[n] < rule.thresholds[k, int(predicted[n])]]
    assert 0 < len(inside) < len(labels)


def test_a_head_learns_from_those_alone_whom_earlier_ones_let_through(monkeypatch: pytest.MonkeyPatch):
    seen: list[Tensor] = []
    original = LinearReadout.learn

    def watched(self, rows, labels, among):
        seen.append(rows.take(among))
        original(self, rows, labels, among)

    monkeypatch.setattr(LinearReadout, "learn", watched)
    rule, (evidence, _) = _fitted(), _made_up(0)
    left = rule.leaves(0, rule.head_scores(0, evidence.handed_on[0]))
    assert 20 < int(left.sum()) < 220
    assert len(seen[0]) == 240
    torch.testing.assert_close(seen[1], evidence.handed_on[1][~left])


def test_scores_are_those_of_the_head_that_an_image_leaves_at():
    rule, (evidence, _) = _fitted(), _made_up(2)
    scores, left = rule(evidence), rule.exits(evidence)
    assert set(left.tolist()) == {0, 1, 2}
    for n, k in enumerate(left.tolist()):
        own = evidence.block_scores.sum(dim=0) if k == 2 else rule.head_scores(k, evidence.handed_on[k])
        torch.testing.assert_close(scores[n], own[n])


def test_before_it_is_fitted_everyone_stays_and_afterwards_it_can_be_stored():
    evidence, _ = _made_up(2)
    fresh = ExitHeads(3, CLASSES)
    torch.testing.assert_close(fresh(evidence), evidence.block_scores.sum(dim=0))
    fresh.load_state_dict(_fitted().state_dict())
    assert torch.equal(fresh(evidence), _fitted()(evidence))


@pytest.mark.parametrize("of", [MonoForward(features=64), Backprop(of=MonoForward(features=64))])
@pytest.mark.parametrize("net", [MLP(width=16, depth=3), TinyCNN(width=8, dropout=0.0)])
def test_images_that_left_are_not_computed_any_further(of, net):
    torch.manual_seed(0)
    learner = of(net((1, 8, 8), 4), 4)
    rule = learner.rules["exits"] = ExitHeads(len(learner.blocks), 4, steps=50)
    y = torch.arange(128) % 4
    bars = torch.nn.functional.one_hot(y, 4).repeat_interleave(2, dim=1)[:, None, :, None]
    x = 0.7 * torch.rand(128, 1, 8, 8) + 0.3 * bars
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01))
    for step in range(8):
        trainer.step(x, y, step=step)
    learner.eval()
    rule.fit(lambda: [(ObservedEvidence(learner, x), y)], lambda: [(ObservedEvidence(learner, x), y)])
    with torch.no_grad():
        own = rule.head_scores(0, ObservedEvidence(learner, x).handed_on[0])
        rule.thresholds[0] = confidence(own[None])[0].median()
        rule.thresholds[1:] = 0.5
    rows: list[int] = []
    for block in learner.blocks:
        block.body.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    scores, left = predict_through_heads(learner, x, rule)
    assert rows == [int((left >= k).sum()) for k in range(len(rows))] and 40 < rows[1] < 90
    torch.testing.assert_close(scores, learner.predict_scores(x, rule="exits"), rtol=1e-4, atol=1e-4)


def test_any_algorithm_can_have_them():
    for of in (MonoForward(features=64), Backprop()):
        learner = EarlyExits(of=of, heads="trained", margin=0.2)(TinyCNN(width=4)((1, 8, 8), 4), 4)
        rule = learner.rules[learner.default_rule]
        assert isinstance(rule, ExitHeads) and rule.margin == 0.2 and len(rule.heads) == 3


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"at least 2 blocks and a margin in \[-1, 1\], got 1 and 0\.01"):
        ExitHeads(1, 3)
    with pytest.raises(ValueError, match="at least 2 blocks"):
        EarlyExits(heads="trained")(MLP(width=8, depth=1)((1, 4, 4), 4), 4)
