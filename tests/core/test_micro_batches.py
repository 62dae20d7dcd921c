"""Micro-batches and recomputing: less memory, the same update."""
# V views, B images

import copy
from typing import Literal

import pytest
import torch
from core_toys import CLASSES, FEATURES, WIDTH, batch, make_learner, same, train, weights
from torch import Tensor, nn

from onward.algorithms import Algorithm, Backprop, DeepSupervision, DistanceForward, ForwardForward
from onward.core import IGNORED, Learner, LocalBlock, LocalTrainer, Span, Target, TrainerSettings, each, pairs, whole
from onward.core.micro_batches import split
from onward.measure import SavedBytes
from onward.nets import ResNet17
from onward.parts.goodness.means import MeanSquare
from onward.parts.inference.scores import SumGoodness
from onward.parts.objective.class_scores import Threshold
from onward.parts.supervision.labels import LabelInInput

IMAGES = 10


def _two_view_learner(spans=each) -> Learner:
    """Forward-Forward's supervision: the label in the input, real and contrastive views."""
    torch.manual_seed(0)
    blocks = [
        LocalBlock(
            nn.Sequential(nn.Linear(WIDTH if k else FEATURES, WIDTH), nn.ReLU()),
            goodness=MeanSquare(),
            objective=Threshold(0.2, 5.0),
        )
        for k in range(3)
    ]
    return Learner(blocks, supervision=LabelInInput(CLASSES), spans=spans(3), rules={"sum": SumGoodness()})


def _step(learner: Learner, **settings) -> tuple[Tensor, list[Tensor]]:
    learner = copy.deepcopy(learner).double()
    trainer = LocalTrainer(learner, TrainerSettings(optimizer="sgd", learning_rate=0.5, **settings))
    x, y = batch(IMAGES)
    losses = [trainer.step(x.double(), y, step=step) for step in range(2)]
    return torch.cat(losses), weights(learner)


def _deep(num_blocks: int) -> tuple[Span, ...]:
    return whole(num_blocks, deep=True)


@pytest.mark.parametrize("build", [lambda spans: make_learner(spans), _two_view_learner], ids=["one view", "two views"])
@pytest.mark.parametrize("spans", [each, whole, pairs, _deep])
@pytest.mark.parametrize("pieces", [2, 3, 7, 99])
def test_pieces_make_the_update_of_the_whole_batch(build, spans, pieces: int):
    learner = build(spans)
    losses, trained = _step(learner)
    in_pieces, trained_in_pieces = _step(learner, micro_batches=pieces)
    torch.testing.assert_close(in_pieces, losses, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(trained_in_pieces, trained, rtol=1e-10, atol=1e-14)


def test_one_piece_is_the_batch_bit_for_bit():
    learner = make_learner(whole)
    assert same(_step(learner, micro_batches=1)[1], _step(learner)[1])


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 10, 99])
def test_a_piece_keeps_all_views_of_its_images_and_pieces_come_in_order(views: int, pieces: int):
    rows = torch.arange(views * IMAGES)
    stream = (rows[:, None].expand(-1, 4).clone(), rows * 100)
    target = Target(rows % IMAGES, torch.where(rows < IMAGES, 1, -1) if views > 1 else None, views)
    found = list(split(stream, target, pieces))
    assert len(found) <= min(pieces, IMAGES)
    assert sum(share for _, _, share in found) == pytest.approx(1.0)
    seen: list[int] = []
    for (first, second), piece, share in found:
        images = piece.label.view(views, -1)
        assert (images == images[0]).all()
        assert share == pytest.approx(images.shape[1] / IMAGES)
        assert torch.equal(first[:, 0] * 100, second)
        assert torch.equal(first[:, 0] % IMAGES, piece.label)
        if views > 1:
            assert piece.sign is not None
            assert torch.equal(piece.sign, torch.where(first[:, 0] < IMAGES, 1, -1))
        assert piece.views == views
        seen += images[0].tolist()
    assert seen == list(range(IMAGES))


def test_ten_images_in_seven_pieces_are_five_pieces_of_two():
    found = list(split((torch.zeros(10, 2),), Target(torch.zeros(10, dtype=torch.int64)), 7))
    assert [len(piece.label) for _, piece, _ in found] == [2] * 5


def test_a_piece_has_the_share_of_the_positions_that_count():
    label = torch.zeros(4, 3, 2)
    label[0, :, 1] = label[1, 0, 0] = torch.nan
    assert [share for *_, share in split((label,), Target(label), 4)] == [0, 2 / 8, 3 / 8, 3 / 8]
    tokens = torch.tensor([[1, IGNORED], [IGNORED, IGNORED], [0, 2]])
    assert [share for *_, share in split((tokens,), Target(tokens), 3)] == [1 / 3, 0, 2 / 3]
    nothing = torch.full((4, 3), IGNORED)
    assert [share for *_, share in split((nothing,), Target(nothing), 2)] == [0.5, 0.5]  # so that it is refused


def test_a_loss_of_uneven_pieces_is_weighted_by_their_images():
    learner = make_learner(each, depth=1)
    losses = [
        LocalTrainer(copy.deepcopy(learner), TrainerSettings(micro_batches=n)).step(*batch(10), step=0) for n in (1, 3)
    ]
    torch.testing.assert_close(losses[0], losses[1])


def test_pieces_drop_different_units_and_the_first_those_of_a_whole_batch():
    def masks(pieces: int) -> list[Tensor]:
        learner = make_learner(each, depth=1, body=lambda _: nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Dropout(0.5)))
        found = []
        learner.blocks[0].body.register_forward_hook(lambda _, args, out: found.append(out == 0))
        trainer = LocalTrainer(learner, TrainerSettings(micro_batches=pieces))
        trainer.step(batch(8)[0], batch(8)[1], step=0)
        return found

    (together,) = masks(1)
    first, second = masks(2)
    assert torch.equal(first.flatten(), together.flatten()[: first.numel()])
    assert not torch.equal(first, second)


def _body(index: int) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(WIDTH if index else FEATURES, WIDTH),
        nn.BatchNorm1d(WIDTH),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("spans", [each, whole, pairs, _deep])
def test_recomputing_changes_no_bit_of_weights_and_statistics(spans, pieces: int, precision: Literal["fp32", "bf16"]):
    trained = []
    for recompute in (False, True):
        learner = make_learner(spans, depth=4, body=_body)
        settings = TrainerSettings(learning_rate=0.01, precision=precision, micro_batches=pieces, recompute=recompute)
        trainer = LocalTrainer(learner, settings)
        losses = [trainer.step(*batch(seed=step), step=step) for step in range(5)]
        trained.append({**learner.state_dict(), "losses": torch.stack(losses)})
        counted = learner.blocks[1].body.get_buffer("2.num_batches_tracked")
        assert int(counted) == 5 * pieces
    assert all(torch.equal(trained[0][name], value) for name, value in trained[1].items())


_THROUGH_ALL = [
    Backprop(),
    DeepSupervision(),
    DeepSupervision(of=ForwardForward()),
    DeepSupervision(of=DistanceForward()),  # its running anchors are read and moved by the same batch
]


@pytest.mark.parametrize("algorithm", _THROUGH_ALL)
def test_recomputing_changes_no_bit_where_skip_connections_travel(algorithm: Algorithm):
    trained, peaks = [], []
    for recompute in (False, True):
        torch.manual_seed(0)
        learner = algorithm(ResNet17(width=4, dropout=0.1)((1, 16, 16), CLASSES), CLASSES)
        trainer = LocalTrainer(learner, TrainerSettings(recompute=recompute))
        with SavedBytes(learner.parameters()) as meter:
            for step in range(2):
                x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(step))
                trainer.step(x, torch.arange(6) % CLASSES, step=step)
        trained.append(list(learner.state_dict().values()))
        peaks.append(meter.peak)
    assert same(*trained)
    assert peaks[1] < 0.65 * peaks[0]


def test_recomputing_leaves_the_global_random_state_alone():
    trainer = LocalTrainer(make_learner(whole, body=_body), TrainerSettings(recompute=True))
    before = torch.get_rng_state()
    train(trainer, range(2))
    assert torch.equal(torch.get_rng_state(), before)


def _conv_body(index: int) -> nn.Module:
    """Keeps much inside: what enters a block is a quarter of what its gradient needs."""
    inner = [layer for _ in range(3) for layer in (nn.Tanh(), nn.Conv2d(WIDTH, WIDTH, 1))]
    return nn.Sequential(nn.Conv2d(WIDTH if index else 3, WIDTH, 3, padding=1), *inner, nn.Tanh())


def _peak(spans, *, depth: int = 4, **settings) -> int:
    learner = make_learner(spans, depth=depth, body=_conv_body)
    trainer = LocalTrainer(learner, TrainerSettings(**settings))
    with SavedBytes(learner.parameters()) as meter:
        trainer.step(torch.rand(12, 3, 8, 8), torch.arange(12) % CLASSES, step=0)
    assert meter.alive == 0
    return meter.peak


@pytest.mark.parametrize("spans", [each, whole, _deep])
@pytest.mark.parametrize("pieces", [4, 12])
def test_pieces_keep_in_proportion_less_alive_of_all_but_the_images(spans, pieces: int):
    share, images = _peak(spans) / pieces, 12 * 3 * 8 * 8 * 4
    assert 0.95 * share < _peak(spans, micro_batches=pieces) < 1.05 * (share + images)


@pytest.mark.parametrize("spans", [whole, _deep])
def test_recomputing_keeps_what_enters_each_block_and_one_block_whole(spans):
    stored, recomputed = _peak(spans, depth=8), _peak(spans, depth=8, recompute=True)
    activity = 12 * WIDTH * 8 * 8 * 4
    one_block = _peak(each, depth=1)
    assert recomputed < 0.5 * stored
    assert 7 * activity < recomputed < 7 * activity + one_block + activity


def test_recomputing_has_nothing_to_save_where_each_block_trains_alone():
    assert _peak(each, recompute=True) == _peak(each)
