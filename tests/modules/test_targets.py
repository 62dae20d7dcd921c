"""Targets of every kind, their metrics, and training on whatever a loader gives."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from kinds import KINDS, Reader, Writer, counting, images, rows, texts
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from onward.algorithms import ALGORITHMS, HFF, Backprop, DeeperForward, DeepSupervision, MonoForward, PredSim
from onward.core import IGNORED, Target, TrainerSettings, seeded
from onward.modules import LocalModel, Metrics, local
from onward.parts.goodness.output_head import SampledReadOut
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.numbers import EachLabel, SquaredDistance
from onward.parts.objective.targets import ClassWeights, PerPosition, PerToken

FAST = TrainerSettings(learning_rate=0.02)
LINEAR = TrainerSettings(learning_rate=0.02, schedule="linear")


def net(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *[nn.Sequential(nn.Linear(inputs, 16), nn.ReLU()) for inputs in (6, 16)],
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, outputs),
    )


def trained(outputs: int, batch, task, algorithm=None) -> tuple[LocalModel, list[dict]]:
    model = local(net(outputs), batch, algorithm or MonoForward(), task=task, settings=FAST)
    return model, model.fit([batch] * 10, epochs=8, validation=[batch])


def test_numbers_are_learned_and_r2_is_that_of_a_naive_loop():
    x, _ = rows()
    y = torch.stack([x[:, 0] * 2, x[:, 1] - x[:, 2]], dim=1)
    for algorithm in (MonoForward(), PredSim(beta=0.0)):
        model, history = trained(2, (x, y), "values", algorithm)
        found = model.evaluate([(x[:7], y[:7]), (x[7:], y[7:])])
        predicted = model.predict(x)
        r2 = 1 - (predicted - y).square().sum(0) / (y - y.mean(0)).square().sum(0)
        assert found["r2"] == pytest.approx(float(r2.mean()), abs=1e-4) and found["r2"] > 0.8
        assert found["mse"] == pytest.approx(float((predicted - y).square().mean()), abs=1e-5)
        assert history[0]["losses"] > history[-1]["losses"]
    with pytest.raises(ValueError, match="ClassMean of DeeperForward needs classes"):
        trained(2, (x, y), "values", DeeperForward())
    model, _ = trained(1, (x, y[:, 0]), "values")
    assert model.evaluate([(x, y[:, 0])])["r2"] > 0.8


def test_several_labels_at_once_are_learned():
    x, _ = rows()
    y = (x[:, :3] > 0).long()
    model, _ = trained(3, (x, y), "labels")
    found = model.evaluate([(x[:7], y[:7]), (x[7:], y[7:])])
    told = model.predict(x)
    assert found["accuracy"] == pytest.approx(float((told == y).float().mean())) and found["accuracy"] > 0.9
    assert found["exact"] == pytest.approx(float((told == y).all(dim=1).float().mean()))
    hits = float((told * y).sum())
    assert found["f1"] == pytest.approx(2 * hits / float(told.sum() + y.sum()))
    for algorithm, match in ((HFF(), "needs classes"), (PredSim(), "beta=0")):
        with pytest.raises(ValueError, match=match):
            trained(3, (x, y), "labels", algorithm)
    with pytest.raises(ValueError, match="0 or 1"):
        model.step((x, y * 2))


def test_metrics_of_classes_are_those_of_a_naive_loop():
    scores, y = torch.randn(40, 3), torch.randint(0, 2, (40,))
    metrics = Metrics("classes", 3)
    for part in range(0, 40, 13):
        metrics.add(scores[part : part + 13], y[part : part + 13])
    found, told = metrics.result(), scores.argmax(1)
    recall = [float((told[y == k] == k).float().mean()) for k in range(2)]
    assert found["accuracy"] == pytest.approx(float((told == y).float().mean()))
    assert found["balanced_accuracy"] == pytest.approx(sum(recall) / 2)
    assert found["class_recall"][:2] == pytest.approx(recall) and found["class_recall"][2] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["loss"] == pytest.approx(float(nn.functional.cross_entropy(scores, y)), abs=1e-5)
    assert found["confusion"][1][2] == int(((y == 1) & (told == 2)).sum())
    with pytest.raises(ValueError, match="nothing to evaluate"):
        Metrics("classes", 3).result()


def test_perplexity_counts_tokens_that_count():
    model = local(Writer(), counting(), MonoForward(), task="next_token", settings=FAST)
    model.fit([counting()] * 10, epochs=6)
    found = model.evaluate([counting()])
    logits = model.predict_scores(counting())[:, :-1].flatten(0, 1)
    loss = float(nn.functional.cross_entropy(logits, counting()[:, 1:].flatten()))
    assert found["loss"] == pytest.approx(loss, abs=1e-5) and found["perplexity"] == pytest.approx(math.exp(loss), 1e-4)
    assert found["bits"] == pytest.approx(loss / math.log(2), abs=1e-4) and found["accuracy"] > 0.8


def test_a_shared_read_out_adds_no_weights_and_learns():
    model = local(Writer(), counting(), MonoForward(), task="next_token", settings=FAST, heads="shared")
    assert not any(name.startswith("heads.") for name in model.state_dict())
    before = model.evaluate([counting()])["bits"]
    model.fit([counting()] * 10, epochs=3)
    assert model.evaluate([counting()])["bits"] < before / 2
    with pytest.raises(ValueError, match="take heads='own'"):
        local(KINDS[0].make(), images(), MonoForward(), heads="shared")


def test_a_sampled_read_out_scores_the_words_of_the_batch_and_learns(tmp_path):
    model = local(Writer(), counting(), MonoForward(), task="next_token", settings=FAST, heads="sampled")
    assert not any(name.startswith("heads.") for name in model.state_dict())
    before = model.evaluate([counting()])["bits"]
    model.fit([counting()] * 10, epochs=3)
    assert model.evaluate([counting()])["bits"] < before / 2
    model.save(tmp_path / "model.safetensors")
    again = LocalModel.load(tmp_path / "model.safetensors", Writer())
    assert torch.equal(model.step(counting()), again.step(counting()))
    x, y = rows()
    for task, weights in (("values", None), (None, [1.0, 1.0, 1.0, 1.0])):
        with pytest.raises(ValueError, match=r"heads='sampled' draws classes.*heads='shared'"):
            target = x[:, :4] if task else y
            local(net(4), (x, target), MonoForward(), task=task, heads="sampled", class_weights=weights)


@pytest.mark.parametrize("heads", ["own", "shared", "sampled"])
@pytest.mark.parametrize("kind", ALGORITHMS, ids=lambda kind: kind.__name__)
def test_every_algorithm_trains_a_language_model_or_says_by_name_why_not(kind, heads: str):
    """With the model's output head as the read-out of blocks, none is silently another algorithm."""
    reasons = "(cannot train|writes the label|leaves the layers|changes the layers|overlapping|own share)"
    others = (
        f"^{kind.__name__} .*{reasons}|heads='{heads}' trains every block by the cross-entropy .* of {kind.__name__} "
    )
    torch.manual_seed(0)
    try:
        model = local(Writer(), counting(), kind(), task="next_token", settings=FAST, heads=heads)
    except ValueError as error:
        assert type(error) is ValueError and re.search(others, str(error)) and re.search("take |set ", str(error))
        return
    if heads != "own":
        assert kind in (Backprop, MonoForward)
    first = model.step(counting()).sum()
    for _ in range(5):
        last = model.step(counting()).sum()
    assert last < first


def test_what_a_shared_read_out_keeps_of_an_algorithm():
    for algorithm in (PredSim(beta=0.0, label_smoothing=0.3), DeepSupervision(of=MonoForward())):
        model = local(Writer(), counting(), algorithm, task="next_token", settings=FAST, heads="shared")
        smoothing = getattr(algorithm, "label_smoothing", 0.0)
        found = [head.block.objective for head in model.heads[:-1]]
        assert found == [PerToken(CrossEntropy(smoothing))] * len(found)
        assert len(model.spans) == (1 if isinstance(algorithm, DeepSupervision) else len(model.heads))


def test_a_sampled_softmax_is_that_of_the_classes_of_the_batch_and_the_drawn_ones():
    torch.manual_seed(0)
    head, activity = nn.Linear(6, 1000), torch.randn(5, 6)
    target = Target(torch.tensor([[3, 999, IGNORED, 3, 500]]))
    with seeded(1, torch.device("cpu")):
        scores, found = SampledReadOut(head, drawn=7).training_scores(activity, target)
    with seeded(1, torch.device("cpu")):
        classes = sorted({3, 999, 500, *torch.randint(1000, (7,)).tolist()})
    everything = SampledReadOut(head)(activity)
    assert torch.allclose(scores, everything[:, classes], atol=1e-6) and everything.shape == (5, 1000)
    kept = [0, 1, 3, 4]
    assert [classes[k] for k in found.label[0, kept].tolist()] == [3, 999, 3, 500] and found.label[0, 2] == IGNORED
    terms = PerToken(CrossEntropy())(scores, found)
    naive = everything[:, classes].log_softmax(dim=1)
    assert torch.allclose(terms, -naive[kept, found.label[0, kept]], atol=1e-5)


def test_a_single_block_of_a_large_vocabulary_builds_no_head():
    """A head from the scores of all words to all words would have 10 billion weights."""
    words = torch.randint(100_000, (2, 3))
    model = nn.Sequential(nn.Embedding(100_000, 2), nn.Linear(2, 100_000, bias=False))
    alone = local(model, words, Backprop(of=MonoForward()), cut=1, task="next_token", settings=FAST)
    assert sum(tensor.numel() for name, tensor in alone.state_dict().items() if name.startswith("heads")) == 0
    assert alone.step(words).isfinite().all()


def test_labels_that_are_the_tokens_themselves_are_refused_without_a_task():
    model, ids = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9)), torch.arange(18) % 9
    ids = ids.view(3, 6)
    padded = ids.masked_fill(torch.arange(6) > 3, -100)
    for labels in (ids, padded):
        with pytest.raises(ValueError, match=r"would learn to copy: give task='next_token'"):
            local(model, (ids, labels), MonoForward())
    local(model, (ids, ids), MonoForward(), task="next_token").step((ids, ids))
    local(model, (ids, ids), MonoForward(), task="tokens").step((ids, ids))
    local(model, (ids, ids.flip(1)), MonoForward()).step((ids, ids))
    local(model, (ids, torch.full_like(ids, -100)), MonoForward())


def test_one_hot_rows_of_whole_numbers_name_their_remedy():
    x, y = torch.zeros(8, 6), torch.eye(2).long().repeat(4, 1)
    model = local(net(2), (x, y.argmax(1)), MonoForward())
    with pytest.raises(ValueError, match=r"have 1 axes, got \[8, 2\]: from one-hot rows give targets\.argmax\(1\)"):
        model.step((x, y))


def test_class_weights_move_what_is_told():
    x, y = torch.zeros(8, 6), torch.tensor([0] * 6 + [1] * 2)
    even, odd = (local(net(2), (x, y), MonoForward(), settings=FAST, class_weights=w) for w in (None, (1.0, 9.0)))
    for model in (even, odd):
        model.fit([(x, y)] * 10, epochs=5)
    assert even.predict(x).tolist() == [0] * 8 and odd.predict(x).tolist() == [1] * 8
    by_index = local(net(2), (x, y), MonoForward(), class_weights={1: 9.0, 0: 1.0})
    assert by_index.class_weights == odd.class_weights == (1.0, 9.0)
    wrong: list[tuple[Any, str]] = [((1.0,), "1 entries for 2"), ((1.0, -1.0), "finite number >= 0")]
    wrong += [({0: 1.0}, "none for class 1"), ({0: 1.0, 1: 2.0, 2: 3.0}, r"beyond class 1: .* each of 0\.\.1")]
    for weights, match in wrong:
        with pytest.raises(ValueError, match=match):
            local(net(2), (x, y), MonoForward(), class_weights=weights)


def test_objectives_are_their_equations():
    scores, y = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    many, numbers = torch.randint(0, 2, (6, 3)).float(), torch.randn(6, 3)
    p = torch.sigmoid(scores)
    terms = -(many * p.log() + (1 - many) * (1 - p).log()).mean(dim=1)
    assert torch.allclose(EachLabel()(scores, Target(many)), terms, atol=1e-6)
    assert torch.allclose(SquaredDistance()(scores, Target(numbers)), ((scores - numbers) ** 2).mean(1))
    each = CrossEntropy()(scores, Target(y))
    weighted = ClassWeights(CrossEntropy(), (1.0, 2.0, 0.5))(scores, Target(y))
    assert torch.allclose(weighted, each * torch.tensor([1.0, 2.0, 0.5])[y])
    ignored = torch.tensor([[0, IGNORED, 2], [IGNORED, 1, 0]])
    assert torch.equal(PerToken(CrossEntropy())(scores, Target(ignored)), each[[0, 2, 4, 5]])


def test_loaders_tuples_and_dicts_are_the_same_batches():
    x, y = rows()
    made = [local(net(4), (x, y), MonoForward(), settings=FAST) for _ in range(4)]
    pairs = DataLoader(TensorDataset(x, y), batch_size=8)
    named = [{"x": a, "labels": b} for a, b in pairs]
    made[1].feed = lambda model, inputs: model(inputs["x"])

    histories = [made[0].fit(pairs, 2), made[1].fit(named, 2), made[2].fit([[a, b.tolist()] for a, b in pairs], 2)]
    assert histories[0] == histories[1] == histories[2]
    assert made[3].fit(Again(pairs), 2) != []
    with pytest.raises(ValueError, match="not a generator"):
        made[0].fit((batch for batch in pairs), epochs=2)


class Stream(IterableDataset):
    """Rows one after the other: a DataLoader over it has `__len__`, and raises TypeError when it is called."""

    def __iter__(self):
        return iter(zip(*rows(), strict=True))


class Again:
    """Batches that can be gone through again, without a length."""

    def __init__(self, batches: Iterable):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


class TooShort(list):
    """A loader that gives more batches than it says."""

    def __len__(self):
        return 1


def test_a_loader_whose_length_is_unknown_or_wrong():
    x, y = rows()
    streamed, listed, short = (local(net(4), (x, y), MonoForward(), settings=LINEAR) for _ in range(3))
    pairs = [*zip(x.split(8), y.split(8), strict=True)]
    stream = DataLoader(Stream(), batch_size=8)
    history = streamed.fit(stream, 2, validation=stream)
    assert history[1]["validation"] == streamed.evaluate(pairs)
    listed.fit(Again(pairs), 2)
    assert all(torch.equal(p, q) for p, q in zip(streamed.model.parameters(), listed.model.parameters(), strict=True))
    assert len(short.fit(TooShort(pairs * 3), 2)) == 2  # the rate stays above 0


def test_a_mask_leaves_padding_out():
    torch.manual_seed(0)
    model = local(Reader(), texts(), MonoForward())
    batch, other = texts(), texts()
    other["input_ids"] = torch.where(batch["attention_mask"] == 0, 7, batch["input_ids"])
    copied = LocalModel(Reader(), model.plan, MonoForward())
    copied.load_state_dict(model.state_dict())
    assert torch.allclose(model.step(batch), copied.step(other), atol=1e-5)


class _Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.own, self.head = nn.Embedding(20, 16), nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.own(self.words(input_ids).relu()).relu())


def test_labels_of_padding_do_not_count_whatever_they_are():
    generator = torch.Generator().manual_seed(0)
    ids, labels = torch.randint(20, (6, 7), generator=generator), torch.randint(5, (6, 7), generator=generator)
    mask = torch.ones(6, 7).long()
    mask[:, 3:] = 0
    seen = []
    for given in (labels, labels.masked_fill(mask == 0, 0), labels.masked_fill(mask == 0, -100)):
        torch.manual_seed(1)
        batch = {"input_ids": ids, "attention_mask": mask, "labels": given}
        model = local(_Tagger(), batch, MonoForward(), task="tokens", cut=["words"])
        seen.append((model.step(batch).tolist(), model.evaluate([batch])))
    assert seen[0] == seen[1] == seen[2]
    assert sum(map(sum, seen[0][1]["confusion"])) == int(mask.sum())


def test_heads_that_were_trained_alone_go_on_with_the_model():
    x, y = rows()
    model = net(4)
    model.requires_grad_(False)
    list(model.children())[-1].requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    alone = local(model, (x, y), PredSim(), settings=FAST)
    alone.fit([(x, y)] * 10, epochs=2)
    assert torch.equal(before["0.0.weight"], model.state_dict()["0.0.weight"])
    control = local(model, (x, y), Backprop(of=MonoForward()), settings=FAST, cut=alone.cuts)
    assert control.step((x, y)).isfinite().all()
    model.requires_grad_(True)
    fresh, whole = (local(model, (x, y), PredSim(), settings=FAST, cut=alone.cuts) for _ in range(2))
    whole.copy_heads(alone)
    heads, learned = ({n: t for n, t in m.state_dict().items() if n.startswith("heads.")} for m in (whole, alone))
    assert heads and all(torch.equal(heads[name], learned[name]) for name in heads)
    first, untrained = whole.step((x, y)), fresh.step((x, y))
    assert first[:-1].sum() < untrained[:-1].sum()
    assert not torch.equal(before["0.0.weight"], model.state_dict()["0.0.weight"])
    for other in (local(net(4), (x, y), HFF(), cut=alone.cuts), local(net(4), (x, y), PredSim(), cut=["0"])):
        with pytest.raises(ValueError, match="another algorithm or cut"):
            whole.copy_heads(other)


@pytest.mark.parametrize("objective", [PerToken(CrossEntropy()), PerPosition(SquaredDistance())])
def test_terms_that_do_not_count_are_left_out_with_one_wait_for_the_device(objective):
    scores = torch.randn(12, 3)
    label = torch.tensor([[0, -100, 2, 1]] * 3) if isinstance(objective, PerToken) else torch.randn(3, 4, 3)
    if label.is_floating_point():
        label[:, 1] = torch.nan
    keep = torch.tensor([True, False, True, True] * 3)
    called = []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            called.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with Counting():
        terms = objective(scores, Target(label))
    inner = objective.objective(scores[keep], Target(label.flatten(0, 1)[keep]))
    assert torch.equal(terms, inner)
    assert [name for name in called if name in ("nonzero", "_local_scalar_dense", "is_nonzero")] == ["nonzero"]


@pytest.mark.parametrize("task", ["labels", "values"])
def test_a_last_batch_of_one_row_may_be_squeezed_to_a_number(task: str):
    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x).squeeze()

    x, y = torch.randn(7, 6), torch.arange(7.0) % 2
    batches = [(x[:3], y[:3]), (x[3:6], y[3:6]), (x[6:], y[6:])]
    model = local(Squeezed(), batches[0], MonoForward(), task=task)
    model.fit(batches)
    metrics, whole = model.evaluate(batches), model.evaluate([(x, y)])
    assert metrics == {name: pytest.approx(value, abs=1e-6) for name, value in whole.items()}
    assert torch.equal(torch.cat([model.predict(batch) for batch in batches]), model.predict(x))
    learner = model.as_learner(batches[0]).eval()
    assert learner.predict_scores(x[6:]).shape == (1, 1)
