"""DeeperForward's weight gradient, derived by hand, equals what autograd gives through a block.

d L / d pre = (p - y) / B * G / (C H W) * mask * [pre > 0], and no normalization lies on the path of the loss.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onward.core import LocalBlock, Target
from onward.nets.net import Carry
from onward.parts.goodness.means import ClassMean
from onward.parts.handoff.norms import ClassNorm, Handoff
from onward.parts.objective.class_scores import CrossEntropy

B, G, C, H, W = 5, 4, 12, 6, 7


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_closed_form_equals_autograd(dropout: float):
    conv = nn.Conv2d(3, C, 3, padding=1, bias=False, dtype=torch.float64)
    body = nn.Sequential(conv, nn.ReLU(), nn.Dropout(dropout))
    handoff = Handoff(ClassNorm(G, C), Carry())
    block = LocalBlock(body, goodness=ClassMean(G, C), objective=CrossEntropy(), handoff=handoff)
    x, labels = torch.randn(B, 3, H, W, dtype=torch.float64), torch.randint(0, G, (B,))
    before, dropped = [], []
    body[1].register_forward_pre_hook(lambda _, args: before.append(args[0].detach()))
    body[2].register_forward_hook(lambda _, args, out: dropped.append(out.detach()))
    activity, _ = block(x)
    block.loss(activity, Target(labels)).backward()

    (pre,), (out,) = before, dropped
    mask = torch.where(pre > 0, out / pre, 0.0)  # 1 / (1 - p) where a unit is kept, 0 where it is dropped
    scores = out.reshape(B, G, -1).mean(dim=2)
    error = (scores.softmax(dim=1) - F.one_hot(labels, G)) / B
    d_pre = error.repeat_interleave(C // G, dim=1).view(B, C, 1, 1) * G / (C * H * W) * mask * (pre > 0)
    expected = torch.zeros_like(conv.weight)
    padded = F.pad(x, (1, 1, 1, 1))
    for u in range(3):
        for v in range(3):
            expected[:, :, u, v] = torch.einsum("bchw,bkhw->ck", d_pre, padded[:, :, u : u + H, v : v + W])

    assert conv.weight.grad is not None
    assert float(expected.abs().max()) > 1e-6
    torch.testing.assert_close(conv.weight.grad, expected, rtol=0.0, atol=1e-12)
