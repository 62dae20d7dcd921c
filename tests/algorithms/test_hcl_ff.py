"""HCL-FF: which block learns which superclasses, its losses by hand, and a tree from its own classifier."""

from typing import Literal

import pytest
import torch
import torch.nn.functional as F

from onward.algorithms import HCLFF, Backprop
from onward.core import Learner, LocalTrainer, Target, TrainerSettings, seeded
from onward.data.named import NAMED_SETS
from onward.nets import MLP, ResNet17, TinyCNN
from onward.parts.auxiliary.contrastive import SupervisedContrastive
from onward.parts.goodness.class_tree import levels_of, tree_of
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean
from onward.parts.goodness.superclasses import Superclasses
from onward.parts.inference.scores import BestRange
from onward.recipes import class_trees

SHAPE, CLASSES, TREE = (1, 8, 8), 4, "[[0, 2], [1, 3]]"


def _superclasses(algorithm: HCLFF, depth: int) -> list[tuple[int, ...] | None]:
    """The superclass of each class in every block; None where classes are told apart."""
    learner = algorithm(MLP(width=8, depth=depth)(SHAPE, CLASSES), CLASSES)
    found = []
    for block in learner.blocks[:-1]:
        if isinstance(block.goodness, Superclasses):
            found.append(tuple(block.goodness.member_of.tolist()))
        else:
            assert isinstance(block.goodness, ClassMean)
            found.append(None)
    return found


def test_levels_are_shared_out_evenly_or_used_up_one_by_one():
    deep = "[0, [1, [2, 3]]]"
    first, second = (0, 1, 1, 1), (0, 1, 2, 2)
    assert _superclasses(HCLFF(tree=deep), 3) == [first, second, None]
    assert _superclasses(HCLFF(tree=deep), 5) == [first, first, second, second, None]
    assert _superclasses(HCLFF(tree=deep, pace="one_per_block"), 5) == [first, second, None, None, None]
    assert _superclasses(HCLFF(tree=TREE), 4) == [(0, 1, 0, 1), (0, 1, 0, 1), None, None]
    assert _superclasses(HCLFF(), 3) == [None] * 3


@pytest.mark.parametrize("pace", ["even", "one_per_block"])
def test_the_last_block_tells_classes_apart_also_where_the_tree_is_deeper_than_the_network(pace):
    assert _superclasses(HCLFF(tree="[0, [1, [2, 3]]]", pace=pace), 2) == [(0, 1, 1, 1), None]


def test_a_block_loses_competition_of_superclasses_and_contrast_of_classes():
    torch.manual_seed(0)
    block = HCLFF(tree=TREE, contrast=0.5)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES).blocks[0].double()
    activity, labels = torch.rand(6, 8, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1, 0])
    classes = activity.unflatten(1, (4, 2)).mean(dim=(2, 3, 4))
    coarse = torch.stack([(classes[:, 0] + classes[:, 2]) / 2, (classes[:, 1] + classes[:, 3]) / 2], dim=1)
    compete = F.cross_entropy(coarse, labels % 2) + torch.tensor(2.0).log()  # two classes share a superclass
    assert isinstance(block.auxiliary, SupervisedContrastive) and block.auxiliary.weight == 0.5
    expected = compete + block.auxiliary(activity, Target(labels)).mean()
    torch.testing.assert_close(block.loss(activity, Target(labels)), expected, rtol=1e-6, atol=1e-6)


def test_without_contrast_there_is_no_auxiliary():
    learner = HCLFF(contrast=0.0)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    assert all(block.auxiliary is None for block in learner.blocks)


def test_the_classifier_may_see_the_last_shortcut_as_in_the_released_code():
    images, found = torch.rand(5, 3, 8, 8), {}
    for last_shortcut in ("dropped", "added"):
        torch.manual_seed(0)
        learner = HCLFF(last_shortcut=last_shortcut)(ResNet17(width=4, dropout=0.0)((3, 8, 8), CLASSES), CLASSES).eval()
        stream, entering = (images,), []
        with torch.no_grad():
            for block in learner.blocks[:-1]:
                entering.append(stream)
                activity, stream = block(*stream)
            handed_on = F.group_norm(activity, CLASSES)
            expected = handed_on + (entering[-2][0] if last_shortcut == "added" else 0)  # two layers before the last
            torch.testing.assert_close(stream[0], expected)
            assert len(stream) == 1
            head = learner.blocks[-1].goodness
            assert isinstance(head, LinearHead)
            scores = learner.predict_scores(images, rule="softmax")
            torch.testing.assert_close(
                scores, F.linear(expected.mean(dim=(2, 3)), head.linear.weight, head.linear.bias)
            )
        found[last_shortcut] = learner.predict_scores(images, rule="all_blocks"), scores
    assert torch.equal(found["dropped"][0], found["added"][0])
    assert not torch.allclose(found["dropped"][1], found["added"][1])


def test_a_last_shortcut_that_is_not_there_cannot_be_added():
    with pytest.raises(ValueError, match="last_shortcut is 'added', but no skip connection as wide"):
        HCLFF(last_shortcut="added")(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)


def test_its_classifier_gives_a_tree_and_a_control_keeps_it():
    learner = HCLFF()(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    head = learner.blocks[-1].goodness
    assert isinstance(head, LinearHead)
    tree = tree_of(head.linear.weight)
    assert len(set(levels_of(tree, CLASSES)[-1])) == CLASSES
    HCLFF(tree=tree)(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    control = Backprop(of=HCLFF())(TinyCNN(width=8)(SHAPE, CLASSES), CLASSES)
    assert isinstance(control.blocks[-1].goodness, LinearHead)


def _trained(tree: str, images: torch.Tensor, labels: torch.Tensor) -> Learner:
    with seeded(0, torch.device("cpu")):
        learner = HCLFF(tree=tree)(TinyCNN(width=8, dropout=0.0)(SHAPE, CLASSES), CLASSES)
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.005))
    for step in range(60):
        part = torch.arange(32 * step, 32 * (step + 1)) % 300
        trainer.step(images[part], labels[part], step=step)
    return learner


def _images(patterns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(400) % CLASSES
    noise = torch.rand(400, *SHAPE, generator=torch.Generator().manual_seed(1))
    return 0.6 * patterns[labels] + 0.4 * noise, labels


def test_a_tree_learns_what_can_be_learned():
    images, labels = _images(torch.rand(CLASSES, *SHAPE, generator=torch.Generator().manual_seed(0)))
    learner = _trained(TREE, images, labels)
    for rule in learner.rules:
        assert (learner.predict(images[300:], rule=rule) == labels[300:]).float().mean() > 0.8, rule


def test_a_training_without_a_tree_gives_the_tree_of_the_next_one():
    generator = torch.Generator().manual_seed(0)
    kinds, own = torch.rand(2, *SHAPE, generator=generator), torch.rand(CLASSES, *SHAPE, generator=generator)
    images, labels = _images(0.6 * kinds[[0, 1, 0, 1]] + 0.4 * own)  # classes 0 and 2 are alike, and 1 and 3
    head = _trained("", images, labels).blocks[-1].goodness
    assert isinstance(head, LinearHead)
    tree = tree_of(head.linear.weight)
    assert levels_of(tree, CLASSES)[0] in ((0, 1, 0, 1), (1, 0, 1, 0))
    learner = _trained(tree, images, labels)
    assert (learner.predict(images[300:]) == labels[300:]).float().mean() > 0.8


def test_the_classifier_and_blocks_behind_the_range_can_be_left_out():
    learner = HCLFF()(TinyCNN(width=8, dropout=0.0)(SHAPE, CLASSES), CLASSES).eval()
    images = torch.rand(5, *SHAPE)
    for last, kept in ((-1, 4), (1, 2)):
        ranged = learner.rules["best_range"]
        assert isinstance(ranged, BestRange)
        ranged.choose(1, last)
        shorter = learner.truncated("best_range")
        assert len(shorter.blocks) == kept
        assert torch.equal(shorter.predict_scores(images), learner.predict_scores(images, rule="best_range"))


def test_the_trees_of_named_sets_have_their_classes():
    classes = {named.name: named.num_classes for named in NAMED_SETS}
    for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
        levels = levels_of(getattr(class_trees, name.upper()), classes[name])
        assert len(levels) >= 3
    official = next(level for level in levels if len(set(level)) == 20)
    assert sorted(official.count(number) for number in set(official)) == [5] * 20


def test_a_last_stage_at_stride_one_keeps_its_map():
    strides: tuple[tuple[Literal[1, 2], int], ...] = ((1, 8), (2, 4))
    for stride, side in strides:
        net, x = ResNet17(width=2, last_stride=stride)((3, 32, 32), 2), (torch.rand(1, 3, 32, 32),)
        with torch.no_grad():
            for body, join in zip(net.bodies, net.joins, strict=True):
                x = join(body.eval()(x[0]), *x[1:])
        assert x[0].shape[2:] == (side, side)
