"""What is computed from labels alone: once for all blocks of a batch, and never from other labels."""

import torch
from torch import Tensor

from onward.algorithms import PredSim
from onward.core import LocalTrainer, Target, TrainerSettings
from onward.nets import MLP
from onward.parts.auxiliary import similarity

LABELS = torch.tensor([2, 0, 1])


def tripled(labels: Tensor, add: int) -> Tensor:
    return 3 * labels + add


def test_the_blocks_of_a_batch_share_what_is_made_of_its_labels():
    target = Target(LABELS, made={})
    first = target.of_label(tripled, 1)
    assert first.tolist() == [7, 1, 4]
    assert target._replace(beside=(LABELS,)).of_label(tripled, 1) is first
    assert target.of_label(tripled, 2).tolist() == [8, 2, 5]


def test_other_labels_have_their_own():
    target = Target(LABELS, made={})
    assert target.of_label(tripled, 0).tolist() == [6, 0, 3]
    assert target._replace(label=LABELS[1:]).of_label(tripled, 0).tolist() == [0, 3]
    assert target.of_label(tripled, 0).tolist() == [6, 0, 3]


def test_without_a_place_for_it_everything_is_made_again():
    labels = LABELS.clone()
    target = Target(labels)
    assert target.of_label(tripled, 0).tolist() == [6, 0, 3]
    labels.zero_()  # the caller's own tensor
    assert target.of_label(tripled, 0).tolist() == [0, 0, 0]


def test_a_step_of_many_blocks_computes_similarities_of_labels_once_for_each_piece(monkeypatch):
    calls = []

    def counted(labels: Tensor, *rest) -> Tensor:
        calls.append(labels.tolist())
        return label_similarities(labels, *rest)

    label_similarities = similarity.label_similarities
    monkeypatch.setattr(similarity, "label_similarities", counted)
    x, y = torch.rand(6, 1, 4, 4), torch.arange(6) % 3
    for pieces in (1, 2):
        learner = PredSim()(MLP(width=8, depth=3)((1, 4, 4), 3), 3)
        trainer = LocalTrainer(learner, TrainerSettings(micro_batches=pieces))
        for step in range(2):
            trainer.step(x, y + 0, step=step)
    assert calls == 2 * [[0, 1, 2, 0, 1, 2]] + 4 * [[0, 1, 2]]
