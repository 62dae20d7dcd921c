"""Random feedback: the forward pass and the weight's gradient are exact, the input's goes through the fixed weights."""

import pytest
import torch
from torch import Tensor, nn

from onward.parts.body.exact import exact
from onward.parts.body.feedback import RandomFeedback, with_random_feedback

LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (4, 6)),
    "linear without bias": (lambda: nn.Linear(6, 5, bias=False), (4, 6)),
    "conv": (lambda: nn.Conv2d(3, 4, 3, padding=1, bias=False), (2, 3, 5, 6)),
    "strided conv": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (2, 4, 7, 8)),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def _made(kind: str) -> tuple[RandomFeedback, Tensor]:
    build, shape = LAYERS[kind]
    return RandomFeedback(build()).double(), torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@every_layer
def test_the_input_gets_its_gradient_through_the_random_weights_alone(kind: str):
    """Exact gradients of the same layer with B in place of W: autograd knows nothing of feedback there."""
    layer, x = _made(kind)
    out = layer(x)
    error = torch.randn_like(out)
    with torch.no_grad():
        layer.layer.weight.normal_()  # a backward pass that read it would notice
    (received,) = torch.autograd.grad(out, x, error)
    with torch.no_grad():
        layer.layer.weight.copy_(layer.feedback)
    (expected,) = torch.autograd.grad(layer.layer(x), x, error)
    torch.testing.assert_close(received, expected)


@every_layer
def test_forward_pass_and_weight_gradients_are_exact(kind: str):
    layer, x = _made(kind)
    out, plain = layer(x), layer.layer(x)
    error = torch.randn_like(out)
    assert torch.equal(out, plain)
    ours = torch.autograd.grad(out, list(layer.parameters()), error)
    theirs = torch.autograd.grad(plain, list(layer.parameters()), error)
    torch.testing.assert_close(ours, theirs)


def test_the_gradient_inside_a_pair_by_hand():
    """delta_l = (B delta_l+1) * relu'(a_l), and dL/dW_l = delta_l x^T."""
    lower, upper = nn.Linear(4, 6).double(), RandomFeedback(nn.Linear(6, 3)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    before = lower(x)
    above = upper(before.relu())
    above.square().sum().backward()
    delta = (2 * above.detach() @ upper.feedback) * (before.detach() > 0)
    torch.testing.assert_close(lower.weight.grad, delta.T @ x)


@every_layer
def test_feedback_that_equals_the_weights_passes_gradcheck(kind: str):
    layer, x = _made(kind)
    layer.feedback.copy_(layer.layer.weight.detach())
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_autocast_reaches_the_layer(kind: str):
    layer, x = _made(kind)
    layer, x = layer.float(), x.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), layer(x), rtol=0.05, atol=0.05)
    error = torch.randn_like(out)
    half = torch.autograd.grad(out, [x, *layer.parameters()], error)
    full = torch.autograd.grad(layer(x), [x, *layer.parameters()], error.float())
    assert all(gradient.dtype == torch.float32 for gradient in half)
    torch.testing.assert_close(half, full, rtol=0.05, atol=0.2)


def test_channels_last_stays():
    layer = RandomFeedback(nn.Conv2d(3, 4, 3, padding=1)).to(memory_format=torch.channels_last)  # pyright: ignore
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = layer(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_an_input_that_needs_no_gradient_gets_none():
    layer, x = _made("conv")
    layer(x.detach()).sum().backward()
    assert layer.layer.weight.grad is not None


def test_feedback_is_saved_fixed_and_of_the_weights_deviation():
    torch.manual_seed(0)
    layer = RandomFeedback(nn.Linear(100, 100))
    assert set(layer.state_dict()) == {"feedback", "layer.weight", "layer.bias"}
    assert "feedback" not in dict(layer.named_parameters())
    assert float(layer.feedback.std()) == pytest.approx(float(layer.layer.weight.detach().std()), rel=0.03)
    assert not torch.equal(layer.feedback, layer.layer.weight)


def test_a_body_is_given_feedback_and_relieved_of_it():
    body = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.Conv2d(2, 3, 3)), nn.Flatten(), nn.Linear(3, 4))
    names = list(body.state_dict())
    changed = with_random_feedback(body)
    assert changed is body
    kinds = [type(module).__name__ for module in body.modules()]
    assert kinds.count("RandomFeedback") == 2
    assert list(exact(body).state_dict()) == names


def test_a_bare_layer_is_a_body_too():
    layer = nn.Linear(2, 2)
    changed = with_random_feedback(layer)
    assert isinstance(changed, RandomFeedback)
    assert exact(changed) is layer


@pytest.mark.parametrize("settings", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}])
def test_padding_must_be_a_number_of_zeros(settings: dict):
    with pytest.raises(ValueError, match="padding by a number of zeros"):
        RandomFeedback(nn.Conv2d(1, 1, 3, **settings))
