"""Views: the average over an image, its mirror image and its shifts, for any rule."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onward.algorithms import ASGE, Backprop, DeeperForward, DistanceForward, PredSim
from onward.core import CollectedEvidence, InferenceRule, Learner, LocalBlock, ObservedEvidence, each
from onward.nets import TinyCNN
from onward.parts.goodness.means import ClassMean
from onward.parts.inference.scores import BestRange, LastGoodness
from onward.parts.inference.views import Mirrored, Shifted
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


def learner(rule) -> Learner:
    torch.manual_seed(0)
    bodies = [nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.ReLU()), nn.Sequential(nn.Linear(6, 6), nn.ReLU())]
    blocks = [LocalBlock(body, goodness=ClassMean(3, 6), objective=CrossEntropy()) for body in bodies]
    return Learner(blocks, supervision=LabelInLoss(), spans=each(2), rules={"rule": rule})


def test_probabilities_of_both_are_averaged():
    images, plain = torch.rand(5, 3, 4, 4), learner(LastGoodness())
    turned = torch.stack([image[:, :, [3, 2, 1, 0]] for image in images])
    expected = sum(F.softmax(plain.predict_scores(seen), dim=1) for seen in (images, turned)) / 2
    torch.testing.assert_close(learner(Mirrored(LastGoodness())).predict_scores(images), expected)


def test_an_image_and_its_mirror_image_get_the_same_scores():
    images, mirrored = torch.rand(5, 3, 4, 4), learner(Mirrored(LastGoodness()))
    assert torch.equal(mirrored.predict_scores(images), mirrored.predict_scores(images.flip(-1)))
    assert not torch.equal(*(learner(LastGoodness()).predict_scores(seen) for seen in (images, images.flip(-1))))


def test_the_inner_rule_is_fitted_and_decides_how_far_to_go():
    images, labels = torch.rand(30, 3, 4, 4), torch.arange(30) % 3
    inside, alone = learner(Mirrored(BestRange())), learner(BestRange())
    for whole in (inside, alone):
        rule = whole.rules["rule"]
        assert isinstance(rule, InferenceRule)
        rule.fit(list, lambda whole=whole: [(ObservedEvidence(whole, images), labels)])
    chosen, expected = inside.state_dict(), alone.state_dict()
    assert expected["rules.rule.last"] >= 0
    for name in ("first", "last"):
        assert chosen[f"rules.rule.rule.{name}"] == expected[f"rules.rule.{name}"]
    assert len(inside.truncated().blocks) == len(alone.truncated().blocks)


@pytest.mark.parametrize(
    "algorithm", [ASGE(), DeeperForward(), DistanceForward(), PredSim()], ids=lambda a: type(a).__name__
)
def test_an_algorithm_that_offers_it_reads_both(algorithm):
    net, images = TinyCNN(width=9)((1, 8, 8), 3), torch.rand(6, 1, 8, 8)
    torch.manual_seed(0)
    alone = algorithm(net, 3).eval()
    torch.manual_seed(0)
    both = replace(algorithm, mirrored=True)(net, 3).eval()
    average = sum(F.softmax(alone.predict_scores(seen), dim=1) for seen in (images, images.flip(-1))) / 2
    torch.testing.assert_close(both.predict_scores(images), average)


def moved(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Pixel by pixel: what lies outside is the image reflected at its border."""
    height, width = images.shape[-2:]
    rows = [abs(row - down) if row - down < height else 2 * (height - 1) - (row - down) for row in range(height)]
    columns = [abs(col - right) if col - right < width else 2 * (width - 1) - (col - right) for col in range(width)]
    return images[:, :, rows][:, :, :, columns]


def test_probabilities_of_an_image_and_of_its_four_shifts_are_averaged():
    images, plain = torch.rand(5, 3, 4, 4), learner(LastGoodness())
    seen = [images, *(moved(images, down, right) for down in (-2, 2) for right in (-2, 2))]
    expected = sum(F.softmax(plain.predict_scores(view), dim=1) for view in seen) / 5
    torch.testing.assert_close(learner(Shifted(LastGoodness(), 2)).predict_scores(images), expected)


def test_bytes_are_shifted_as_they_are():
    images = torch.randint(256, (2, 3, 5, 4), dtype=torch.uint8)
    built = learner(LastGoodness())
    for down, right in ((-3, 2), (1, 0), (0, -1), (2, 3)):
        shifted = ObservedEvidence(built, images).shifted(down, right)
        assert isinstance(shifted, ObservedEvidence)
        assert torch.equal(shifted.images, moved(images, down, right))


def test_shifts_of_a_mirrored_reading_are_ten_views():
    images, plain = torch.rand(5, 3, 4, 4), learner(LastGoodness())
    shifts = [images, *(moved(images, down, right) for down in (-1, 1) for right in (-1, 1))]
    seen = [view for shift in shifts for view in (shift, shift.flip(-1))]
    expected = sum(F.softmax(plain.predict_scores(view), dim=1) for view in seen) / 10
    torch.testing.assert_close(learner(Shifted(Mirrored(LastGoodness()))).predict_scores(images), expected)


def test_a_control_reads_the_same_views():
    local = ASGE(mirrored=True, shifted=2)
    rule = Backprop(of=local)(TinyCNN(width=9)((1, 8, 8), 3), 3).rules["last_block"]
    assert isinstance(rule, Shifted) and rule.pixels == 2 and isinstance(rule.rule, Mirrored)
    assert isinstance(rule.rule.rule, LastGoodness)


def test_shifts_that_an_image_has_no_room_for_are_refused():
    with pytest.raises(ValueError, match="4x4 pixels cannot be shifted by 4: choose at most 3"):
        learner(Shifted(LastGoodness(), 4)).predict_scores(torch.rand(2, 3, 4, 4))
    with pytest.raises(ValueError, match="shifted"):
        ASGE(shifted=-1)
    with pytest.raises(ValueError, match="only scores were collected"):
        CollectedEvidence(torch.zeros(1, 2, 3)).shifted(1, 1)
