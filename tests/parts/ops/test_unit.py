"""Unit length against its formula, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from onward.parts.ops.unit import unit_length


@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 2, 5)])
@pytest.mark.parametrize("by_feature", [False, True])
def test_equals_the_formula_in_values_and_gradients(shape: tuple[int, ...], by_feature: bool):
    ours, theirs = (torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) for _ in "ab")
    count = ours[0].numel() if by_feature else 1
    dims = tuple(range(1, len(shape)))
    found = unit_length(ours.requires_grad_(), 1e-3, count=count)
    square = theirs.requires_grad_().square().sum(dims, keepdim=True) / count
    expected = theirs / (square + 1e-3).sqrt()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn(shape, dtype=torch.float64)
    found.backward(weight)
    expected.backward(weight)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        assert torch.equal(unit_length(ours, 1e-3, count=count), found)


def test_gradcheck():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: unit_length(x, 1e-24), [x])


def test_it_is_normalize_and_stays_finite_for_a_dead_sample():
    x = torch.cat([torch.randn(3, 6), torch.zeros(1, 6)]).requires_grad_()
    torch.testing.assert_close(unit_length(x, 1e-24), F.normalize(x, dim=1))
    unit_length(x, 1e-24).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_a_graph_holds_the_sample_itself_and_one_number():
    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t.numel()) or t, lambda t: t):
        unit_length(torch.rand(8, 16, requires_grad=True), 1e-8, count=16)
    assert sorted(held) == [8, 8 * 16]


def test_bf16_is_summed_in_fp32():
    x = torch.rand(4, 4096).bfloat16()
    expected = x.float() / x.float().square().mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(unit_length(x, 1e-8, count=4096).float(), expected, rtol=2**-7, atol=0)
