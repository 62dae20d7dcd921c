"""ASGE: its three read-outs against a loop written from the method, what is trained, and how the controls differ."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onward.algorithms import ASGE, Backprop, DeeperForward
from onward.core import Learner, LocalTrainer, ObservedEvidence, Span, TrainerSettings
from onward.measure import reached_blocks
from onward.nets import MLP, VGG8, VGG11, Architecture, ResNet17, TinyCNN
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.spatial import SpatialGoodness
from onward.parts.inference.scores import BestBlock

RGB, CLASSES = (3, 16, 16), 10
RULES = ("fusion", "best", "last", "sum")
SMALL = VGG8(width=4)


def _learner(algorithm: ASGE | Backprop | None = None, net: Architecture = SMALL) -> Learner:
    torch.manual_seed(3)
    return (algorithm or ASGE())(net(RGB, CLASSES), CLASSES)


def _batch(count: int = 12) -> tuple[Tensor, Tensor]:
    return torch.rand(count, *RGB), torch.randint(0, CLASSES, (count,))


def _train(learner: Learner, steps: int = 3) -> None:
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01))
    for step in range(steps):
        trainer.step(*_batch(), step=step)


def _goodness(learner: Learner, layer: int) -> SpatialGoodness:
    goodness = learner.blocks[layer].goodness
    assert isinstance(goodness, SpatialGoodness)
    return goodness


def _by_hand(learner: Learner, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Class scores of every convolution and of fusion, for VGG8 without dropout and 16x16 images."""
    convs = [m for m in learner.modules() if isinstance(m, torch.nn.Conv2d)]
    x = images / images.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    scores, features = [], []
    for layer, (conv, cells) in enumerate(zip(convs, (4, 2, 2, 1, 1, 1, 1), strict=True)):
        y = F.conv2d(x, conv.weight, conv.bias, padding=1).clamp(min=0)
        side = y.shape[2] // cells
        encoding = y.square().unflatten(3, (cells, side)).unflatten(2, (cells, side)).mean(dim=(3, 5)).flatten(1)
        scores.append(encoding @ _goodness(learner, layer).weight + _goodness(learner, layer).bias)
        if layer in (1, 3, 4, 5):
            y = F.avg_pool2d(y, 2)
        x = y / y.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        features += [x.mean(dim=(2, 3))] if layer else []
    head = learner.blocks[-1].goodness
    assert isinstance(head, LinearHead)
    parts = zip(features, head.linear.weight.split([f.shape[1] for f in features], dim=1), strict=True)
    return scores, head.linear.bias + sum(f @ weight.T for f, weight in parts)


def test_fusion_best_last_and_sum_equal_a_loop():
    learner, (images, labels) = _learner(), _batch(40)
    _train(learner)
    learner.eval()
    best = learner.rules["best"]
    assert isinstance(best, BestBlock)
    with torch.no_grad():
        best.fit(lambda: [], lambda: [(ObservedEvidence(learner, images), labels)])
        scores, fused = _by_hand(learner, images)
    correct = [int((s.argmax(dim=1) == labels).sum()) for s in scores]
    chosen = correct.index(max(correct))
    summed = torch.stack(scores[1:]).sum(dim=0)
    expected = {"fusion": fused, "best": scores[chosen], "last": scores[-1], "sum": summed}
    assert learner.default_rule == "fusion" and list(learner.rules) == list(expected)
    for rule, wanted in expected.items():
        torch.testing.assert_close(learner.predict_scores(images, rule=rule), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_that_predicts_is_a_setting(rule):
    fusion, own = (_learner(ASGE(predict=name)).eval() for name in ("fusion", rule))
    images, names = torch.rand(4, *RGB), sorted(RULES)
    assert own.default_rule == rule and sorted(own.rules) == sorted(fusion.rules) == names
    assert torch.equal(own.predict_scores(images), fusion.predict_scores(images, rule=rule))


def test_best_never_chooses_fusion():
    learner = _learner().eval()
    images, _ = _batch(30)
    labels = learner.predict(images)  # fusion is right by definition
    best = learner.rules["best"]
    assert isinstance(best, BestBlock)
    best.fit(lambda: [], lambda: [(ObservedEvidence(learner, images), labels)])
    assert int(best.chosen) < len(learner.blocks) - 1


@pytest.mark.parametrize(
    ("net", "num_classes"), [(VGG8(width=2), 2), (VGG8(width=2), 10), (VGG8(width=2), 100), (VGG11(width=2), 1000)]
)
def test_the_width_does_not_depend_on_the_number_of_classes(net: Architecture, num_classes: int):
    learner = ASGE()(net(RGB, num_classes), num_classes)
    loss = LocalTrainer(learner, TrainerSettings()).step(
        torch.rand(4, *RGB), torch.tensor([0, 1, 0, num_classes - 1]), step=0
    )
    assert loss.isfinite().all() and len(loss) == len(learner.blocks)
    for rule in learner.rules:
        assert learner.predict_scores(torch.rand(2, *RGB), rule=rule).shape == (2, num_classes)


@pytest.mark.parametrize("net", [VGG8(width=2), VGG11(width=2)], ids=lambda net: type(net).__name__)
def test_images_of_one_channel_are_learned_too(net: Architecture):
    gray = (1, *RGB[1:])
    learner = ASGE()(net(gray, 10), 10)
    assert LocalTrainer(learner, TrainerSettings()).step(torch.rand(4, *gray), torch.arange(4), step=0).isfinite().all()
    assert learner.predict_scores(torch.rand(2, *gray)).shape == (2, 10)


def test_the_released_sizes_of_maps_and_heads():
    learner = ASGE()(VGG8()((3, 32, 32), 10), 10)
    fixed = [_goodness(learner, layer) for layer in range(7)]
    assert [goodness.grid for goodness in fixed] == [4, 2, 2, 1, 1, 1, 1]
    assert sum(goodness.weight.numel() + goodness.bias.numel() for goodness in fixed) == 61_510
    head = learner.blocks[-1].goodness
    assert isinstance(head, LinearHead)
    assert head.linear.weight.numel() == 25_600


@pytest.mark.parametrize(
    ("net", "fuse_from"),
    [(SMALL, 1), (SMALL, 0), (TinyCNN(width=4), 2), (ResNet17(width=4), 1), (MLP(width=8, depth=3), 0)],
)
def test_no_objective_reaches_another_block(net: Architecture, fuse_from: int):
    learner = _learner(ASGE(fuse_from=fuse_from), net)
    assert reached_blocks(learner, *_batch()) == [[k] for k in range(len(learner.blocks))]


def test_the_random_maps_stay_as_they_were_drawn_and_are_saved():
    learner = _learner()
    before = {name: value.clone() for name, value in learner.state_dict().items() if ".goodness." in name}
    _train(learner)
    after = learner.state_dict()
    for layer in range(7):
        for name in (f"blocks.{layer}.goodness.weight", f"blocks.{layer}.goodness.bias"):
            assert torch.equal(after[name], before.pop(name))
    assert before.keys() == {"blocks.7.goodness.linear.weight", "blocks.7.goodness.linear.bias"}
    assert not any(torch.equal(after[name], value) for name, value in before.items())


def test_a_trainable_map_starts_as_the_fixed_one_and_is_trained():
    fixed, trained = _learner(), _learner(ASGE(trainable_map=True))
    drawn = _goodness(fixed, 2).weight
    assert torch.equal(_goodness(trained, 2).weight, drawn)
    _train(trained)
    assert not torch.equal(_goodness(trained, 2).weight, drawn)
    assert reached_blocks(trained, *_batch()) == [[k] for k in range(8)]


def test_random_features_train_fusion_alone():
    learner = _learner(ASGE(random_features=True))
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    _train(learner)
    changed = {name for name, value in learner.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"blocks.7.goodness.linear.weight", "blocks.7.goodness.linear.bias"}
    assert learner.spans == (Span(7, 7),)


def test_alpha_power_scale_and_start_of_fusion_are_used():
    assert [_goodness(_learner(ASGE(alpha=0.0)), k).grid for k in range(3)] == [1, 1, 1]
    activity = torch.rand(2, 4, 16, 16)
    squares, plain = _goodness(_learner(), 0), _goodness(_learner(ASGE(power=1)), 0)
    torch.testing.assert_close(plain(activity.square()), squares(activity))
    by_classes, by_entries = (_goodness(_learner(ASGE(map_scale=scale)), 0) for scale in ("classes", "features"))
    torch.testing.assert_close(by_entries.weight * (64 / CLASSES) ** 0.5, by_classes.weight)
    for fuse_from, features in ((0, 4 + 2 * 8 + 4 * 16), (1, 2 * 8 + 4 * 16), (5, 2 * 16)):
        head = _learner(ASGE(fuse_from=fuse_from)).blocks[-1].goodness
        assert isinstance(head, LinearHead) and head.linear.in_features == features


@pytest.mark.parametrize(("fuse_from", "depth"), [(1, 1), (3, 3)])
def test_a_network_must_have_a_layer_to_fuse(fuse_from: int, depth: int):
    with pytest.raises(ValueError, match=f"fuse_from {fuse_from} leaves no layer to fuse of a network with {depth}"):
        ASGE(fuse_from=fuse_from)(MLP(width=8, depth=depth)(RGB, 4), 4)


def test_the_backprop_control_trains_every_convolution_through_the_same_head():
    local, control = _learner(), _learner(Backprop(of=ASGE()))
    assert control.spans == (Span(0, 7),)
    assert reached_blocks(control, *_batch()) == [list(range(8))]
    assert [block.goodness is not None for block in control.blocks] == [False] * 7 + [True]
    images, _ = _batch()
    assert torch.equal(control.predict_scores(images), local.predict_scores(images, rule="fusion"))
    assert {name for name, _ in control.named_parameters()} == {name for name, _ in local.named_parameters()}


def test_the_backprop_control_of_a_method_without_a_head_still_gets_one():
    head = _learner(Backprop(of=DeeperForward()), VGG8(width=10)).blocks[-1].goodness
    assert isinstance(head, LinearHead) and head.linear.in_features == 40


def test_the_brightness_of_an_image_does_not_change_its_scores():
    learner, (images, _) = _learner(), _batch()
    torch.testing.assert_close(
        learner.predict_scores(0.1 * images), learner.predict_scores(images), rtol=1e-3, atol=1e-3
    )
