"""Supervised contrast: against loops, its gradient, its temperature, and whom it brings together."""

import math

import pytest
import torch
import torch.nn.functional as F

from onward.core import Target, seeded
from onward.parts.auxiliary.contrastive import SupervisedContrastive, contrast, grid_of, pooled_class_norm

LABELS = [0, 2, 1, 2, 0, 0, 3]  # 1 and 3 have no other of their class
SHAPES = [(7, 12), (7, 12, 1, 1), (7, 12, 5, 6), (7, 12, 8, 4)]


def _cosine(left: list[float], right: list[float]) -> float:
    lengths = math.sqrt(sum(a * a for a in left)) * math.sqrt(sum(b * b for b in right))
    return sum(a * b for a, b in zip(left, right, strict=True)) / lengths


def test_contrast_equals_a_loop():
    vectors = torch.randn(7, 5, dtype=torch.float64)
    expected = []
    for i, label in enumerate(LABELS):
        weights = {a: math.exp(_cosine(vectors[i].tolist(), vectors[a].tolist()) / 0.3) for a in range(7) if a != i}
        positives = [p for p in weights if LABELS[p] == label]
        terms = [-math.log(weights[p] / sum(weights.values())) for p in positives]
        expected.append(sum(terms) / len(terms) if terms else 0.0)
    found = contrast(vectors, torch.tensor(LABELS), 0.3)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert found[2] == found[6] == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_pooled_class_norm_equals_group_norm_and_then_the_mean_of_each_cell(shape: tuple[int, ...]):
    activity = torch.rand(*shape, dtype=torch.float64)
    normed = F.group_norm(activity, 4)
    expected = F.adaptive_avg_pool2d(normed, 2).flatten(1) if normed.ndim == 4 else normed
    torch.testing.assert_close(pooled_class_norm(activity, 4, 2), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_contrast_of_projected_features_times_its_weight(shape: tuple[int, ...]):
    torch.manual_seed(0)
    part = SupervisedContrastive(4, 12, maps=len(shape) > 2, weight=0.7, features=6).double()
    activity, labels = torch.rand(*shape, dtype=torch.float64), torch.tensor(LABELS)
    projected = pooled_class_norm(activity, 4, part.cells) @ part.project.weight.T
    normed = (projected - projected.mean(dim=0)) / (projected.var(dim=0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(part(activity, Target(labels)), 0.7 * contrast(normed, labels, 0.2))


@pytest.mark.parametrize("shape", [(7, 12), (7, 12, 2, 3), (7, 12, 4, 4)])
def test_the_gradients_are_right(shape: tuple[int, ...]):
    torch.manual_seed(1)
    part = SupervisedContrastive(4, 12, maps=len(shape) > 2, features=3).double()
    activity = torch.rand(*shape, dtype=torch.float64).requires_grad_()
    target = Target(torch.tensor(LABELS))
    assert torch.autograd.gradcheck(lambda a, _: part(a, target), (activity, part.project.weight), fast_mode=True)


def test_the_temperature_falls_along_a_line_and_then_along_a_cosine():
    part = SupervisedContrastive(2, 4, maps=False, warm_steps=10, steps=30)
    expected = {0: 0.8, 5: 0.5, 10: 0.2, 20: 0.15, 30: 0.1, 99: 0.1}
    activity, target = torch.rand(4, 4), Target(torch.tensor([0, 1, 0, 1]))
    for step in range(100):
        if step in expected:
            assert float(part.temperature()) == pytest.approx(expected[step], abs=1e-6)
        part(activity, target)
    other = SupervisedContrastive(2, 4, maps=False, warm_steps=10, steps=30)
    other.load_state_dict(part.state_dict())
    assert float(other.temperature()) == pytest.approx(0.1)
    part.eval()(activity, target)
    assert part.taken == 100
    assert float(SupervisedContrastive(2, 4, maps=False).temperature()) == pytest.approx(0.2)


def test_descending_it_brings_images_of_a_class_together_and_leaves_goodness_alone():
    with seeded(2, torch.device("cpu")):
        activity = torch.rand(12, 16).requires_grad_()
        part = SupervisedContrastive(4, 16, maps=False, features=6)
    labels = torch.arange(12) % 3
    optimizer = torch.optim.Adam([activity, *part.parameters()], lr=0.05)
    losses = []
    for _ in range(60):
        loss = part(activity, Target(labels)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 1.2 < 2.0 < losses[0]  # log 3, the least there can be with three positives, is 1.1
    assert activity.grad is not None
    groups = activity.grad.unflatten(1, (4, 4)).mean(dim=2)
    torch.testing.assert_close(groups, torch.zeros_like(groups), atol=1e-5, rtol=0)


def test_a_single_image_and_dead_groups_have_finite_terms():
    part = SupervisedContrastive(4, 8, maps=True, features=6)
    assert torch.equal(part(torch.rand(1, 8, 4, 4), Target(torch.tensor([1]))), torch.zeros(1))
    dead = torch.zeros(4, 8, 4, 4).requires_grad_()
    part(dead, Target(torch.tensor([0, 0, 1, 1]))).mean().backward()
    assert dead.grad is not None and dead.grad.isfinite().all()


def test_bf16_activities_give_fp32_terms_close_to_those_of_fp32():
    torch.manual_seed(3)
    part, target = SupervisedContrastive(4, 8, maps=True), Target(torch.tensor(LABELS))
    activity = torch.rand(7, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    exact = part(activity, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = part(activity.bfloat16(), target)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.1)


def test_narrow_layers_are_seen_in_more_cells():
    assert [grid_of(width) for width in (40, 100, 101, 400, 401)] == [4, 4, 2, 2, 1]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="10 channels cannot be split into 4"):
        SupervisedContrastive(4, 10, maps=True)
    with pytest.raises(ValueError, match=r"no more warm_steps than steps, got 1\.0, 5 and 4"):
        SupervisedContrastive(4, 8, maps=True, warm_steps=5, steps=4)
    with pytest.raises(ValueError, match=r"weight > 0 .* got -1\.0"):
        SupervisedContrastive(4, 8, maps=True, weight=-1.0)
