"""Similarity matching against loops written from the paper, then gradients and behavior."""

import math

import pytest
import torch
from torch import Tensor, nn

from onward.core import Target
from onward.parts.auxiliary.similarity import SimilarityMatching, label_similarities, map_deviation, similarities

SHAPES = [(5, 6), (5, 6, 1, 1), (5, 6, 3, 4)]
CLASSES = 3


def _cosine(left: list[float], right: list[float]) -> float:
    """Of two vectors, each centered to mean 0 first."""
    a = [value - sum(left) / len(left) for value in left]
    b = [value - sum(right) / len(right) for value in right]
    lengths = math.sqrt(sum(value * value for value in a)) * math.sqrt(sum(value * value for value in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


def _features(sample: Tensor) -> list[float]:
    """The deviation of each channel over its map; a single value is its own feature."""
    found = []
    for channel in sample:
        values = channel.flatten().tolist()
        mean = sum(values) / len(values)
        spread = sum((value - mean) ** 2 for value in values)
        found.append(math.sqrt(spread / (len(values) - 1)) if len(values) > 1 else values[0])
    return found


def _one_hot(label: int) -> list[float]:
    return [float(label == c) for c in range(CLASSES)]


@pytest.mark.parametrize("shape", SHAPES)
def test_similarity_matching_equals_a_loop(shape: tuple[int, ...]):
    torch.manual_seed(0)
    matching = SimilarityMatching(CLASSES, 6, maps=len(shape) > 2, weight=0.7).double()
    activity, labels = torch.randn(*shape, dtype=torch.float64), [0, 2, 1, 2, 0]
    projected = matching.project(activity).detach()
    expected = [
        0.7 * (_cosine(_features(projected[i]), _features(projected[j])) - _cosine(_one_hot(a), _one_hot(b))) ** 2
        for i, a in enumerate(labels)
        for j, b in enumerate(labels)
    ]
    terms = matching(activity, Target(torch.tensor(labels)))
    torch.testing.assert_close(terms, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_map_deviation_equals_a_loop(shape: tuple[int, ...]):
    activity = torch.randn(*shape, dtype=torch.float64)
    expected = torch.tensor([_features(sample) for sample in activity], dtype=torch.float64)
    torch.testing.assert_close(map_deviation(activity), expected)


def test_the_projection_is_a_convolution_of_its_neighborhood_or_a_linear_layer_without_bias():
    conv, linear = SimilarityMatching(2, 4, maps=True).project, SimilarityMatching(2, 4, maps=False).project
    assert isinstance(conv, nn.Conv2d) and isinstance(linear, nn.Linear)
    assert (conv.in_channels, conv.out_channels, conv.kernel_size, conv.padding) == (4, 4, (3, 3), (1, 1))
    assert (linear.in_features, linear.out_features) == (4, 4)
    assert conv.bias is None and linear.bias is None


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_labels_are_alike_or_equally_unlike(num_classes: int):
    labels = torch.tensor([0, 1, 0, num_classes - 1])
    found = similarities(nn.functional.one_hot(labels, num_classes).double())
    same = labels[:, None] == labels[None, :]
    expected = torch.where(same, 1.0, -1 / (num_classes - 1)).double()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(label_similarities(labels, num_classes, torch.float64), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_similarity_matching_has_the_right_gradient(shape: tuple[int, ...]):
    torch.manual_seed(1)
    matching = SimilarityMatching(CLASSES, 6, maps=len(shape) > 2).double()
    target = Target(torch.tensor([0, 2, 1, 2, 0]))
    weight = matching.project.get_parameter("weight")
    activity = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, _: matching(a, target), (activity, weight))


def test_scale_and_common_shift_of_features_do_not_matter():
    features = torch.randn(4, 7, dtype=torch.float64)
    torch.testing.assert_close(similarities(3 * features + 5), similarities(features))


def test_a_dead_activity_costs_something_and_has_finite_gradients():
    """All zero: no deviation, no direction. The gradient must not become 0 / 0."""
    matching = SimilarityMatching(CLASSES, 6, maps=True)
    for activity in (torch.zeros(4, 6, 3, 3), torch.cat([torch.zeros(2, 6, 3, 3), torch.rand(2, 6, 3, 3)])):
        activity.requires_grad_()
        terms = matching(activity, Target(torch.tensor([0, 1, 1, 2])))
        terms.mean().backward()
        assert terms.isfinite().all()
        assert activity.grad is not None and activity.grad.isfinite().all()


def test_descending_it_brings_images_of_a_class_together():
    torch.manual_seed(2)
    labels = torch.arange(12) % CLASSES
    activity = torch.randn(12, 8, 4, 4)
    matching = SimilarityMatching(CLASSES, 8, maps=True)
    optimizer = torch.optim.Adam([activity.requires_grad_(), *matching.parameters()], lr=0.05)
    losses = []
    for _ in range(60):
        loss = matching(activity, Target(labels)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 < 0.3 < losses[0]
    with torch.no_grad():
        found = similarities(map_deviation(matching.project(activity)))
    same = labels[:, None] == labels[None, :]
    assert float(found[same].mean()) > 0.9
    assert float(found[~same].mean()) < -0.3


def test_bf16_activities_give_fp32_terms_close_to_those_of_fp32():
    torch.manual_seed(3)
    matching, target = SimilarityMatching(CLASSES, 6, maps=True), Target(torch.tensor([0, 2, 1, 2, 0]))
    activity = torch.rand(5, 6, 8, 8).contiguous(memory_format=torch.channels_last)
    exact = matching(activity, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = matching(activity.bfloat16(), target)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.05)


def test_a_map_in_half_precision_is_kept_as_it_is():
    held = []
    activity = torch.rand(5, 6, 8, 8, requires_grad=True).bfloat16()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append((t.numel(), t.dtype)) or t, lambda t: t):
        map_deviation(activity)
    assert (activity.numel(), torch.bfloat16) in held
    assert all(number <= 5 * 6 for number, dtype in held if dtype == torch.float32)
