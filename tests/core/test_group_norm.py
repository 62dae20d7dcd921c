"""Group norms of maps with channels last are trained on the CPU, where PyTorch's own backward pass ends the process."""
# B batch, C channels, H W map

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from onward.algorithms import MonoForward
from onward.core import Learner, LocalBlock, LocalTrainer, TrainerSettings, each
from onward.core.group_norm import calls_group_norm, group_norms, trainable_norms
from onward.modules import local
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


class _Normed(nn.Module):
    """Begins with a norm, which reads the input that a block is given."""

    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(input=x)).relu()


@pytest.mark.parametrize(
    ("shape", "layout"), [((2, 4, 3, 3), torch.channels_last), ((2, 4, 3, 3, 3), torch.channels_last_3d)]
)
def test_gradients_are_those_of_the_usual_layout(shape: tuple[int, ...], layout: torch.memory_format):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    norm, other = nn.GroupNorm(2, 4), nn.GroupNorm(2, 4)
    with trainable_norms(group_norms(norm)):
        given = norm(x.contiguous(memory_format=layout))
    (given**3).sum().backward()
    (other(x) ** 3).sum().backward()
    assert given.is_contiguous(memory_format=layout)
    assert norm.weight.grad is not None and other.weight.grad is not None
    assert torch.allclose(norm.weight.grad, other.weight.grad, rtol=1e-5)
    assert "forward" not in vars(norm)


def test_blocks_that_begin_with_a_norm_learn_with_channels_last():
    x, y = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    losses = []
    for channels_last in (True, False):
        torch.manual_seed(0)
        blocks = [LocalBlock(_Normed(), goodness=LinearHead(3, 4), objective=CrossEntropy()) for _ in range(2)]
        learner = Learner(blocks, supervision=LabelInLoss(), spans=each(2), rules={"last": LastGoodness()})
        trainer = LocalTrainer(learner, TrainerSettings(channels_last=channels_last, learning_rate=0.01))
        losses.append(torch.stack([trainer.step(x, y, step=step) for step in range(3)]))
    assert torch.allclose(*losses, rtol=1e-4)
    assert (losses[0][-1] < losses[0][0]).all()


class _Calling(nn.Module):
    """Calls the function, in a function of its own."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias, self.conv = (
            nn.Parameter(torch.ones(4)),
            nn.Parameter(torch.zeros(4)),
            nn.Conv2d(4, 4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.normed(x, self)).relu()

    @staticmethod
    def normed(x: Tensor, holder: "_Calling") -> Tensor:
        return _norm(x, holder)


def _norm(x: Tensor, holder: "_Calling") -> Tensor:
    return nn.functional.group_norm(num_groups=2, input=x, weight=holder.weight, bias=holder.bias)


def test_norms_that_are_called_as_a_function_learn_with_channels_last():
    x, y = torch.randn(6, 4, 9, 9, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    assert calls_group_norm(_Calling()) and not calls_group_norm(nn.Sequential(nn.GroupNorm(2, 4), _Normed()))
    given = nn.Sequential(nn.Identity(), nn.Identity())
    vars(given[1])["norm"] = partial(nn.functional.group_norm, num_groups=2)
    assert calls_group_norm(given)
    losses = []
    for layout in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)
        blocks = [LocalBlock(_Calling(), goodness=LinearHead(3, 4), objective=CrossEntropy()) for _ in range(2)]
        learner = Learner(blocks, supervision=LabelInLoss(), spans=each(2), rules={"last": LastGoodness()})
        trainer = LocalTrainer(learner, TrainerSettings(channels_last=layout is torch.channels_last))
        model = nn.Sequential(_Calling(), _Calling(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        model.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        own = local(model, (x, y), MonoForward(), cut=["0"])
        given = x.to(memory_format=layout)
        losses.append([trainer.step(x, y, step=0), own.step((given, y)), own.step((given, y))])
    for pair in zip(*losses, strict=True):
        assert torch.allclose(*pair, rtol=1e-4)


head = np.zeros(3)  # a name of this module that the layer's forward has as an attribute


class _Named(nn.Module):
    scale = np.ones(2)

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x) * float(self.scale.sum())


def test_arrays_named_like_what_a_forward_names_are_looked_at():
    assert not calls_group_norm(_Named())
