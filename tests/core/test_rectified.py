"""ReLU in place: torch's values and gradients, and readers that skip its gradient."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from onward.core import rectify_, unrectified
from onward.nets.pool import MaxPool
from onward.nets.relu import InPlaceReLU
from onward.parts.goodness.means import ClassMean, MeanSquare, MeanSquareByPosition
from onward.parts.goodness.spatial import SpatialGoodness

READERS = [MeanSquare(), MeanSquareByPosition(), SpatialGoodness(3, 16, 4), MaxPool(2)]
"""Of which a gradient is zero at silent units."""


def _gradient(relu: nn.Module, read: nn.Module, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    out = read(relu(leaf * 1))
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape))
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "read", [*READERS, ClassMean(2, 16), SpatialGoodness(3, 16, 4, power=1), nn.MaxPool2d(2)], ids=str
)
def test_every_reader_has_torchs_gradient_bit_for_bit(read, dtype):
    x = torch.randn(8, 16, 12, 14).to(dtype)
    x[0], x[1, :, :4] = -1, 0  # windows that are silent as a whole
    assert torch.equal(_gradient(InPlaceReLU(), read, x), _gradient(nn.ReLU(inplace=True), read, x))


@pytest.mark.parametrize("second", [MeanSquare(), nn.Sigmoid()])
def test_what_is_read_twice_has_the_sum_of_both_gradients(second):
    x = torch.randn(8, 16, 12, 14)
    gradients = []
    for relu in (InPlaceReLU(), nn.ReLU()):
        leaf = x.clone().requires_grad_()
        activity = relu(leaf * 1)
        (MaxPool(2)(activity).sum() + second(activity).sum()).backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


def test_what_was_written_since_has_its_own_graph():
    x = torch.randn(8, 16, 12, 14, requires_grad=True)
    activity = rectify_(x * 1)
    assert unrectified(activity) is not activity
    activity.add_(1)
    assert unrectified(activity) is activity


def test_it_is_plain_relu_without_a_graph_and_for_small_tensors():
    assert type(rectify_(torch.randn(2, 3, requires_grad=True) * 1).grad_fn).__name__ == "ReluBackward0"
    x = torch.randn(8, 16, 12, 14)
    assert rectify_(x) is x and not (x < 0).any()


class _LargestMasked(TorchDispatchMode):
    """The most numbers that a ReLU's gradient was computed for."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.threshold_backward.default:
            self.numbers = max(self.numbers, args[0].numel())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("read", READERS, ids=str)
def test_no_masked_copy_of_the_gradient_is_made(read):
    x = torch.randn(8, 16, 12, 14)
    with _LargestMasked() as masked:
        _gradient(InPlaceReLU(), read, x)
    assert masked.numbers <= x.numel() // 4  # of what was pooled
    with _LargestMasked() as masked:
        _gradient(nn.ReLU(), read, x)
    assert masked.numbers == x.numel()


def test_a_program_of_a_body_has_plain_relu():
    body = nn.Sequential(nn.Conv2d(1, 8, 1), InPlaceReLU())
    program = torch.export.export(body, (torch.randn(8, 1, 64, 64),))
    assert any("relu" in str(node.target) for node in program.graph.nodes)


@pytest.mark.parametrize("read", READERS, ids=str)
def test_activities_of_inference_mode_are_read_too(read):
    x = torch.randn(8, 16, 12, 14)
    with torch.inference_mode():
        activity = InPlaceReLU()(x.clone())
        found = read(activity)
    assert torch.equal(found, read(x.relu()))
