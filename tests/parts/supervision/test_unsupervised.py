"""Contrastive views without labels: the mask's statistics, what is mixed with what, and learners that read no label."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.algorithms import SCFF, UnsupervisedForwardForward
from onward.core import LocalTrainer, Target, TrainerSettings
from onward.nets import MLP, TinyCNN
from onward.parts.supervision.other_images import HybridImages, SelfContrast, another, blurred_mask


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _loop_mask(height: int, width: int, blurs: int, generator: torch.Generator) -> list[list[bool]]:
    bits = torch.randint(0, 2, (1, 1, height, width), generator=generator)[0, 0].double().tolist()
    for _ in range(blurs):
        bits = [
            [row[max(j - 1, 0)] / 4 + row[j] / 2 + row[min(j + 1, width - 1)] / 4 for j in range(width)] for row in bits
        ]
        bits = [
            [bits[max(i - 1, 0)][j] / 4 + bits[i][j] / 2 + bits[min(i + 1, height - 1)][j] / 4 for j in range(width)]
            for i in range(height)
        ]
    return [[value > 0.5 for value in row] for row in bits]


@pytest.mark.parametrize("blurs", [0, 1, 6])
def test_a_mask_equals_a_loop(blurs: int):
    found = blurred_mask(torch.rand(1, 1, 9, 7, dtype=torch.float64), blurs, _generator(3))
    assert found[0, 0].tolist() == _loop_mask(9, 7, blurs, _generator(3))


def _agreement(blurs: int, distance: int) -> float:
    """How often two pixels of a row at this distance are on the same side of the mask."""
    mask = blurred_mask(torch.rand(400, 1, 28, 28), blurs, _generator())
    return float((mask[..., distance:] == mask[..., : 28 - distance]).float().mean())


def test_half_of_a_mask_is_on_and_it_has_large_regions():
    for blurs in (3, 6, 10):
        assert float(blurred_mask(torch.rand(400, 1, 28, 28), blurs, _generator()).float().mean()) == pytest.approx(
            0.5, abs=0.02
        )
    # One blur has variance 1/2 per axis, so n of them give the field a correlation exp(-d^2 / (2 n)) at distance d, and
    # its sign agrees in 1 - acos(correlation) / pi of all places.
    for blurs in (6, 10):
        for distance in (1, 3):
            correlation = math.exp(-(distance**2) / (2 * blurs))
            expected = 1 - math.acos(correlation) / math.pi
            assert _agreement(blurs, distance) == pytest.approx(expected, abs=0.03)
    assert _agreement(0, 1) == pytest.approx(0.5, abs=0.01)


def test_a_hybrid_shows_one_image_inside_the_mask_and_another_outside():
    x = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 12, 12)
    (views,), target = HybridImages().train_view(x, torch.zeros(5, dtype=torch.int64), _generator())
    assert torch.equal(views[:5], x)
    assert target.sign is not None and target.sign.tolist() == [1] * 5 + [-1] * 5 and target.views == 2
    for b in range(5):
        seen = set(views[5 + b].unique().tolist())
        assert b in seen and len(seen) == 2
        assert torch.equal(views[5 + b, 0], views[5 + b, 1])  # one mask for all channels


@given(st.integers(2, 9), st.integers(0, 99))
def test_the_other_image_is_never_the_same_one(count: int, seed: int):
    others = another(torch.arange(float(count)), _generator(seed)).tolist()
    assert sorted(others) == list(range(count))
    assert all(k != other for k, other in enumerate(others))


def test_a_real_view_is_an_image_with_itself_and_a_contrastive_one_with_another():
    x = torch.rand(4, 1, 3, 3)
    (views,), target = SelfContrast().train_view(x, torch.arange(4), _generator())
    unit = [image / math.sqrt(float(image.square().mean())) for image in x]
    shift = int(torch.randint(1, 4, (1,), generator=_generator()))
    for b in range(4):
        torch.testing.assert_close(views[b], (unit[b] + unit[b]) / 2)
        torch.testing.assert_close(views[4 + b], (unit[b] + unit[(b + shift) % 4]) / 2)
    assert target.views == 2 and target.label.tolist() == [0, 1, 2, 3] * 2
    torch.testing.assert_close(SelfContrast().neutral_view(x)[0], torch.stack(unit))


@pytest.mark.parametrize("algorithm", [SCFF(), UnsupervisedForwardForward()])
def test_labels_take_no_part_in_learning(algorithm):
    states = []
    for labels in (torch.arange(8) % 4, torch.zeros(8, dtype=torch.int64)):
        torch.manual_seed(0)
        learner = algorithm(MLP(width=8, depth=3)((1, 6, 6), 4), 4)
        LocalTrainer(learner, TrainerSettings()).step(torch.arange(288.0).view(8, 1, 6, 6) / 288, labels, step=0)
        states.append(learner.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert learner.score_blocks(torch.rand(3, 1, 6, 6)).shape == (0, 3, 0)
    with pytest.raises(ValueError, match="read-out is not fitted yet"):
        learner.predict(torch.rand(3, 1, 6, 6))


def _released_loss(maps: torch.Tensor, other: torch.Tensor) -> float:
    """The loss of SCFF's code for images, real views and contrastive ones, place by place."""
    total = 0.0
    for real, image in [*((True, image) for image in maps), *((False, image) for image in other)]:
        places = image.reshape(len(image), -1).T.tolist()
        found = [sum(value**2 for value in place) / len(place) for place in places]
        gaps = [0.7 - g if real else g - 0.4 for g in found]
        total += sum(math.log(1 + math.exp(3 * gap)) for gap in gaps) / len(gaps)
        total += 0.05 * math.sqrt(sum(g**2 for g in found)) if real else 0
    return total / (len(maps) + len(other))


@pytest.mark.parametrize("sides", [(3, 4), ()])
def test_goodness_by_position_is_that_of_the_released_code(sides: tuple[int, ...]):
    generator = _generator()
    activity = torch.rand(6, 8, *sides, dtype=torch.float64, generator=generator).requires_grad_()
    target = Target(torch.zeros(6, dtype=torch.int64), torch.tensor([1, 1, 1, -1, -1, -1]), 2)
    losses = {}
    for goodness in ("whole_map", "by_position"):
        scff = SCFF(real=0.7, contrastive=0.4, sharpness=3.0, decay=0.05, goodness=goodness)
        losses[goodness] = scff(TinyCNN(width=8)((1, 8, 8), 4), 4).blocks[0].loss(activity, target)
    expected = _released_loss(activity[:3].detach(), activity[3:].detach())
    assert losses["by_position"].item() == pytest.approx(expected, rel=1e-9)
    assert (losses["whole_map"].item() == pytest.approx(expected, rel=1e-9)) == (not sides)  # one place: the same
    (gradient,) = torch.autograd.grad(losses["by_position"], activity)
    nudge = torch.zeros_like(activity)
    nudge[0, 2], nudge[4, 5] = 1e-5, -1e-5
    higher, lower = (
        _released_loss(moved[:3], moved[3:]) for moved in (activity.detach() + nudge, activity.detach() - nudge)
    )
    assert float((gradient * nudge).sum()) == pytest.approx((higher - lower) / 2, rel=1e-5)


def test_labels_take_no_part_where_goodness_is_read_by_position():
    states = []
    for labels in (torch.arange(8) % 4, torch.zeros(8, dtype=torch.int64)):
        torch.manual_seed(0)
        learner = SCFF(goodness="by_position")(TinyCNN(width=8, dropout=0.0)((1, 6, 6), 4), 4)
        before = {name: value.clone() for name, value in learner.state_dict().items()}
        LocalTrainer(learner, TrainerSettings(micro_batches=2)).step(
            torch.rand(8, 1, 6, 6, generator=_generator()), labels, step=0
        )
        states.append(learner.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert any(not torch.equal(value, before[name]) for name, value in states[1].items())


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"blurs of HybridImages must be .*, got -1"):
        HybridImages(-1)
    with pytest.raises(ValueError, match="hybrid images need images"):
        HybridImages().train_view(torch.rand(3, 5), torch.arange(3), _generator())
