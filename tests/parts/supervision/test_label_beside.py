"""The label beside the image: what enters, against a loop, and how a first layer is widened for it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onward.algorithms import Backprop, SymBa, Trifecta
from onward.core import LocalTrainer, TrainerSettings
from onward.nets import MLP, TinyCNN, Trifecta6
from onward.parts.handoff.norms import UnitLength
from onward.parts.supervision.label_beside import LabelBeside, LabelNumber, with_label_beside


def _patterns(labeled: nn.Sequential) -> torch.Tensor:
    front = labeled[0]
    assert isinstance(front, LabelBeside)
    return front.patterns


def _labeled(count: int, channels: int, size: int, num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    x, labels = torch.rand(count, channels, size, size), torch.arange(count) % num_classes
    return x, LabelNumber(num_classes).write(x, labels)


@pytest.mark.parametrize(("size", "side"), [(4, 6), (6, 6), (7, 3)])
def test_a_channel_holds_the_pattern_cut_or_repeated(size: int, side: int):
    beside = LabelBeside(3, 2, maps=True, side=side, learned=True)
    x, numbered = _labeled(5, 2, size, 3)
    found = beside(numbered)
    assert found.shape == (5, 3, size, size)
    assert torch.equal(found[:, :2], x)
    for b in range(5):
        for i in range(size):
            for j in range(size):
                assert found[b, 2, i, j] == beside.patterns[b % 3, i % side, j % side]


def test_values_follow_the_flattened_image():
    beside = LabelBeside(3, 2 * 16, maps=False, side=5, learned=False)
    x, numbered = _labeled(4, 2, 4, 3)
    found = beside(numbered)
    assert found.shape == (4, 32 + 5)
    assert torch.equal(found[:, :32], x.flatten(1))
    for b in range(4):
        assert torch.equal(found[b, 32:], beside.patterns[b % 3])


@pytest.mark.parametrize("maps", [True, False])
def test_an_image_without_a_label_gets_the_mean_pattern(maps: bool):
    beside = LabelBeside(3, 1 if maps else 16, maps=maps, side=4, learned=False)
    (x,) = LabelNumber(3).neutral_view(torch.rand(2, 1, 4, 4))
    mean = sum(beside.patterns[c] for c in range(3)) / 3
    found = beside(x)
    assert isinstance(mean, torch.Tensor)
    for b in range(2):
        torch.testing.assert_close(found[b].flatten()[16:], mean.flatten())


def test_fixed_patterns_are_bits_of_all_classes_and_learned_ones_have_a_gradient():
    fixed = LabelBeside(10, 1, maps=True, side=16, learned=False)
    assert set(fixed.patterns.unique().tolist()) == {0.0, 1.0} and not list(fixed.parameters())
    assert 0.45 < float(fixed.patterns.mean()) < 0.55
    assert len({tuple(p.flatten().tolist()) for p in fixed.patterns}) == 10
    learned = LabelBeside(3, 1, maps=True, side=4, learned=True).double()
    x = LabelNumber(3).write(torch.rand(2, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 2]))
    assert torch.autograd.gradcheck(lambda p: torch.func.functional_call(learned, {"patterns": p}, x), learned.patterns)


def test_real_views_carry_their_label_and_contrastive_ones_another():
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0, 1, 2, 1])
    (views,), target = LabelNumber(3, wrong_labels=2).train_view(torch.rand(4, 1, 3, 3), y, generator)
    assert views.shape == (12, 2, 3, 3)
    assert torch.equal(views[:, -1, 0, 0].long(), target.label)
    assert torch.equal(target.label[:4], y)
    for b in range(4):
        assert sorted(target.label[b::4].tolist()) == [0, 1, 2]
    assert target.sign is not None and target.sign.tolist() == [1] * 4 + [-1] * 8


def test_a_widened_convolution_is_one_over_image_and_pattern():
    torch.manual_seed(0)
    body = Trifecta6(width=4)((3, 8, 8), 5).bodies[0]
    assert isinstance(body, nn.Sequential)
    own = body.get_parameter("1.weight").detach().clone()
    labeled = with_label_beside(body, 5, learned=True, side=8)
    x, numbered = _labeled(6, 3, 8, 5)
    patterns = _patterns(labeled)[torch.arange(6) % 5][:, None]
    norm, conv = body[0], body[1]
    assert isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d)
    assert torch.equal(conv.weight[:, :3], own) and conv.weight.shape == (4, 4, 3, 3)
    together = F.batch_norm(torch.cat([x, patterns], dim=1), None, None, norm.weight, norm.bias, training=True)
    torch.testing.assert_close(labeled(numbered), F.relu(F.conv2d(together, conv.weight, padding=1)))


def test_a_widened_linear_layer_is_one_over_image_and_pattern():
    body = MLP(width=7, depth=1)((1, 4, 4), 3).bodies[0]
    labeled = with_label_beside(body, 3, learned=False, side=5, between=UnitLength())
    x, numbered = _labeled(4, 1, 4, 3)
    together = torch.cat([x.flatten(1), _patterns(labeled)[torch.arange(4) % 3]], dim=1)
    together = together / (together.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    torch.testing.assert_close(
        labeled(numbered), F.relu(F.linear(together, body.get_parameter("1.weight"), body.get_parameter("1.bias")))
    )


def test_new_weights_are_as_large_as_the_old_ones():
    body = MLP(width=400, depth=1)((1, 16, 16), 3).bodies[0]
    with_label_beside(body, 3, learned=False, side=256)
    assert isinstance(body, nn.Sequential)
    weight = body.get_parameter("1.weight").detach()
    assert float(weight[:, 256:].std() / weight[:, :256].std()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("body", [nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2)])
def test_a_body_that_cannot_see_the_label_is_refused(body: nn.Module):
    with pytest.raises(ValueError, match="needs a first layer that sees all of it"):
        with_label_beside(body, 3, learned=False, side=4)


def test_images_without_a_map_are_refused():
    with pytest.raises(ValueError, match=r"needs images \[B, channels, H, W\], got shape \(2, 5\)"):
        list(LabelNumber(3).test_views(torch.rand(2, 5)))


def test_a_pattern_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1 value on a side, got 0"):
        LabelBeside(3, 1, maps=True, side=0, learned=True)


@pytest.mark.parametrize("algorithm", [SymBa(), Trifecta(side=8)])
@pytest.mark.parametrize("net", [MLP(width=8, depth=3), TinyCNN(width=4)])
def test_the_control_is_trained_on_images_without_a_label(algorithm, net):
    control = Backprop(of=algorithm)(net((1, 8, 8), 4), 4)
    losses = LocalTrainer(control, TrainerSettings()).step(torch.rand(6, 1, 8, 8), torch.arange(6) % 4, step=0)
    assert losses.isfinite().all()


def test_trifecta_trains_pairs_in_turns_and_reads_the_last_layer():
    learner = Trifecta()(Trifecta6(width=2)((3, 8, 8), 4), 4)
    assert [[tuple(span)[:2] for span in turn] for turn in learner.turns] == [
        [(0, 1), (2, 3), (4, 5)],
        [(0, 0), (1, 2), (3, 4)],
    ]
    assert learner.default_rule == "last_block"
    assert all(isinstance(block.handoff.normalize, nn.Identity) for block in learner.blocks)
    plain = Trifecta(overlapping=False)(MLP(width=8, depth=3)((1, 4, 4), 4), 4)
    assert [tuple(span)[:2] for span in plain.spans] == [(0, 0), (1, 1), (2, 2)]
    assert all(isinstance(block.handoff.normalize, UnitLength) for block in plain.blocks)
