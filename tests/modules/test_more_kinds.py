"""Families of networks that nobody tried before: each is cut, learns in its blocks, and stays its owner's."""

import copy
import re
from typing import Any

import pytest
import torch
from kinds import Kind
from kinds_forms import FORMS
from kinds_more import MORE_KINDS, AutoEncoder, Sequence, near, tokens
from torch import nn

from onward.algorithms import MonoForward, PredSim
from onward.core import LocalTrainer, TrainerSettings
from onward.modules import LocalModel, local
from onward.modules.batch import as_batch, check_target
from onward.nets.outputs import leading_tensor
from onward.nets.recorded_pass import feed_module

each_kind = pytest.mark.parametrize("kind", MORE_KINDS + FORMS, ids=lambda kind: kind.name)
_SETTINGS = TrainerSettings(learning_rate=0.01, schedule="constant")


def made(kind: Kind, algorithm=None, **options) -> LocalModel:
    torch.manual_seed(0)
    model = kind.make()
    return local(model, kind.batch(), algorithm or MonoForward(), task=kind.task, settings=_SETTINGS, **options)


def output(model: nn.Module, batch) -> torch.Tensor:
    with torch.no_grad():
        found = leading_tensor(feed_module(model.eval(), as_batch(batch).inputs))
    assert found is not None
    return found


@each_kind
def test_it_learns_in_its_blocks_and_its_weights_load_elsewhere(kind: Kind, tmp_path):
    trained, other, batch = made(kind), made(kind), kind.batch()
    assert len(trained.plan.parts) >= 2 and trained.plan.outputs == kind.classes and not trained.plan.unreached
    names = list(trained.model.state_dict())
    with torch.no_grad():  # another head in the last block: what the others learn stays the same
        for name, parameter in other.model.named_parameters():
            if name in other.plan.parts[-1].weights and name not in other.plan.tied:
                parameter.mul_(1.5).add_(0.1)
    first = trained.step(batch)
    other.step(batch)
    weights, others = dict(trained.model.named_parameters()), dict(other.model.named_parameters())
    for part in trained.plan.parts[:-1]:
        assert all(torch.equal(weights[name], others[name]) for name in part.weights)
    for _ in range(8):
        last = trained.step(batch)
    assert last.isfinite().all() and last.sum() < first.sum()
    assert trained.module() is trained.model and list(trained.model.state_dict()) == names
    fresh = kind.make()
    fresh.load_state_dict(trained.model.state_dict())
    assert torch.equal(output(fresh, batch), output(trained.model, batch))
    assert all(key in trained.evaluate([batch]) for key in (["r2"] if kind.task == "values" else ["accuracy"]))
    trained.model.train()
    trained.save(tmp_path / "model.safetensors")
    again = LocalModel.load(tmp_path / "model.safetensors", kind.make().train())
    assert torch.equal(trained.step(batch), again.step(batch))


@pytest.mark.slow
@each_kind
def test_predsim_learns_it_too(kind: Kind):
    trained, batch = made(kind, PredSim(beta=0.0) if kind.task == "values" else PredSim()), kind.batch()
    first = trained.step(batch)
    for _ in range(8):
        last = trained.step(batch)
    assert last.isfinite().all() and last.sum() < first.sum()


def test_states_that_are_handed_on_pass_a_named_cut():
    x, y = torch.randn(8, 24, 5), torch.arange(8) % 4
    with pytest.raises(ValueError, match=r"these work: cut=\['layers.0', 'layers.1', 'layers.2'\]"):
        local(Sequence(bidirectional=False), (x, y), MonoForward())
    trained = local(Sequence(bidirectional=False), (x, y), MonoForward(), cut=["layers.0", "layers.1"])
    first = trained.step((x, y))
    assert (torch.stack([trained.step((x, y)) for _ in range(9)])[-1] < first).all()


def test_numbers_at_each_place_are_those_of_a_naive_loss():
    torch.manual_seed(0)
    x, y = torch.randn(6, 3, 16, 16), torch.randn(6, 3, 16, 16)
    y[:2, :, :4] = torch.nan
    trained = local(AutoEncoder(), (x, y), MonoForward(), task="values", settings=_SETTINGS)
    expected = (output(trained.model, x) - y).square().nanmean()
    assert torch.isclose(trained.step((x, y))[-1], expected, atol=1e-5)
    told = ~y[:, 0].isnan()
    error = (trained.predict(x) - y).permute(0, 2, 3, 1)[told]
    assert trained.evaluate([(x, y)])["mse"] == pytest.approx(float(error.square().mean()), abs=1e-5)
    for wrong, match in (
        (y[:, :2], r"targets must be \[6, 3, H, W\]"),
        (y[:3], r"got \[3, 3, 16, 16\]"),
        (y.nan_to_num(torch.inf), "give NaN where there is none"),
        (torch.full_like(y, torch.nan), "every target of this batch is NaN"),
    ):
        with pytest.raises(ValueError, match=match):
            trained.step((x, wrong))
    with pytest.raises(ValueError, match="train it by step and fit"):
        trained.as_learner((x, y))


class PerStep(nn.Module):
    """Layers that see one step of a sequence at a time."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(inputs, 8), nn.Linear(8, 8), nn.Linear(8, outputs)])

    def forward(self, x, attention_mask=None):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


def test_padding_has_no_numbers_to_learn():
    x, mask = torch.randn(4, 6, 2), torch.ones(4, 6, dtype=torch.long)
    mask[:2, 3:] = 0
    losses = []
    for beyond in (0.0, 9.0):
        torch.manual_seed(0)
        y = torch.where(mask[..., None] > 0, x.flip(1), beyond)
        batch = {"x": x, "attention_mask": mask, "labels": y}
        losses.append(local(PerStep(2, 2), batch, MonoForward(), task="values").step(batch))
    assert torch.equal(*losses)


@pytest.mark.parametrize("axes", [(6, 1, 16, 16), (6, 16, 16)], ids=["as the output", "without its channel"])
@pytest.mark.parametrize("kind", [torch.float32, torch.int64])
def test_labels_at_each_place_are_those_of_a_naive_loss(axes, kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    x = torch.randn(6, 3, 16, 16)
    y = (x.mean(dim=1, keepdim=True) > 0).to(kind)
    y[:2, :, :4] = 255
    told = y != 255
    trained = local(model, (x, y.view(axes)), MonoForward(), task="labels", ignore_index=255, settings=_SETTINGS)
    scores, labels = output(trained.model, x)[told], y[told].float()
    expected = -(labels * scores.sigmoid().log() + (1 - labels) * (1 - scores.sigmoid()).log()).mean()
    first = trained.step((x, y.view(axes)))
    assert first[-1].item() == pytest.approx(expected.item(), abs=1e-5)
    for _ in range(60):
        last = trained.step((x, y.view(axes)))
    assert (last < 0.7 * first).all()
    predicted, measured = trained.predict(x), trained.evaluate([(x, y.view(axes))])
    right = (predicted == y)[told]
    assert predicted.shape == y.shape and set(predicted.unique().tolist()) == {0, 1}
    assert measured["accuracy"] == measured["exact"] == pytest.approx(right.float().mean().item()) and right.sum() > 800
    hits = 2 * (predicted[told] * y[told]).sum() / (predicted[told].sum() + y[told].sum())
    assert measured["f1"] == pytest.approx(hits.item())
    for wrong, match in (
        (y.view(axes) * 2, "targets of task labels are 0 or 1"),
        (y[:3], r"targets must be \[6, 1, H, W\]"),
        (torch.full_like(y, 255), "every target of this batch is NaN"),
    ):
        with pytest.raises(ValueError, match=match):
            trained.step((x, wrong))
    with pytest.raises(ValueError, match="numbers or labels for each example"):
        trained.as_learner((x, y))


@pytest.mark.parametrize(
    ("task", "x", "y", "remedy"),
    [
        ("classes", [4, 3, 8, 8], [4, 1], "give targets[:, 0]"),
        ("classes", [4, 3, 8, 8], [4, 5], "give task='tokens'"),
        ("pixels", [4, 3, 8, 8], [4, 1, 8, 8], "give targets[:, 0]"),
    ],
)
def test_targets_with_an_axis_too_many_are_refused_with_the_remedy(task: str, x: list[int], y: list[int], remedy: str):
    with pytest.raises(ValueError, match=re.escape(remedy)):
        check_target(torch.zeros(y).long(), task, 2, torch.zeros(x), -100)  # pyright: ignore[reportArgumentType]


def test_several_labels_of_each_token_are_learned_but_at_padding():
    torch.manual_seed(0)
    x, mask = torch.randn(4, 6, 5), torch.ones(4, 6, dtype=torch.long)
    mask[:2, 3:] = 0
    y = (x[..., :3] > 0).float()
    model = PerStep(5, 3)
    batch = {"x": x, "attention_mask": mask, "labels": y}
    trained = local(model, batch, MonoForward(), task="labels")
    told = mask.bool()
    expected = nn.functional.binary_cross_entropy_with_logits(output(model, x)[told], y[told])
    assert trained.evaluate([batch])["loss"] == pytest.approx(expected.item(), abs=1e-5)
    assert trained.step(batch)[-1].item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_map_smaller_than_its_labels_is_evaluated_as_it_is_trained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 5, 1))
    x, y = torch.randn(4, 3, 16, 16), torch.randint(5, (4, 16, 16))
    trained = local(model, (x, y), MonoForward())
    loss = trained.evaluate([(x, y)])["loss"]
    assert loss == pytest.approx(float(trained.step((x, y))[-1]), abs=1e-5)


def test_a_model_of_doubles_has_heads_of_doubles():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    x, y = torch.randn(8, 6, dtype=torch.float64), torch.arange(8) % 4
    for algorithm in (MonoForward(), PredSim()):
        trained = local(model, (x, y), algorithm)
        assert trained.step((x, y)).dtype == torch.float64
        assert all(t.dtype == torch.float64 for n, t in trained.state_dict().items() if n.startswith("heads."))


def test_one_label_of_yes_and_no_is_a_number_for_each_row():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    x, y = torch.randn(8, 6), torch.arange(8) % 2
    trained = local(model, (x, y), MonoForward(), task="labels", settings=_SETTINGS)
    loss = nn.functional.binary_cross_entropy_with_logits(model(x), y.float()).item()
    assert trained.step((x, y))[-1].item() == pytest.approx(loss, abs=1e-6)
    assert trained.predict(x).shape == y.shape
    with pytest.raises(ValueError, match=r"targets must be \[8, 1\]"):
        trained.step((x, torch.ones(8, 2)))


class Heads(nn.Module):
    """Two outputs, as a detector's."""

    def __init__(self, form):
        super().__init__()
        self.body, self.more = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 8)
        self.one, self.two, self.form = nn.Linear(8, 4), nn.Linear(8, 4), form

    def forward(self, x):
        x = self.body(x)
        return self.form(self.one(x), self.two(self.more(x)))


@pytest.mark.parametrize("form", [lambda a, b: [a, b], lambda a, b: {"a": a, "b": b}, lambda a, b: (a, [b])])
def test_several_outputs_are_refused_until_one_is_chosen(form):
    x, y = torch.randn(8, 6), torch.arange(8) % 4
    with pytest.raises(ValueError, match=r"several outputs.*more\.weight reaches another one alone"):
        local(Heads(form), (x, y), MonoForward())
    model = Heads(form)
    model.more.requires_grad_(False)
    model.two.requires_grad_(False)
    assert local(model, (x, y), MonoForward()).step((x, y)).isfinite().all()


def test_outputs_that_no_loss_fits_are_refused():
    x, y = torch.randn(8, 6), torch.arange(8) % 4
    body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = body

        def forward(self, x, y):
            return nn.functional.cross_entropy(self.body(x), y)

    class Matched(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = (nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(2))

        def forward(self, one, two):
            return self.one(one) @ self.two(two).T

    cases: tuple[tuple[nn.Module, Any, dict[str, Any], str], ...] = (
        (nn.Sequential(body, nn.Softmax(dim=1)), (x, y), {}, "gone through a softmax"),
        (nn.Sequential(body, nn.Sigmoid()), (x, torch.ones(8, 4)), {"task": "labels"}, "gone through a sigmoid"),
        (Own(), (x, y, y), {}, "a single number, such as its own loss"),
        (Matched(), (x, x, torch.arange(8)), {"cut": ["one.0"]}, "scores the rows of a batch against each other"),
        (nn.Sequential(nn.Embedding(9, 8, sparse=True), nn.Flatten(), body), (x, y), {}, "sparse gradients"),
    )
    for model, batch, options, match in cases:
        with pytest.raises(ValueError, match=match):
            local(model, batch, MonoForward(), **options)


def test_an_encoder_of_another_sequence_has_no_labels():
    kind = MORE_KINDS[-1]
    with pytest.raises(ValueError, match=r"encoder\.layers\.0.*9 positions of the output"):
        made(kind, cut=["body.encoder.layers.0"])
    assert made(kind, cut=["body.decoder.layers.0"]).step(kind.batch()).isfinite().all()


def test_a_state_that_keeps_its_graph_is_refused():
    class Stateful(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.head = nn.ModuleList([nn.GRU(n, 8, batch_first=True) for n in (5, 8)]), nn.Linear(8, 4)
            self.state = None

        def forward(self, x):
            x, self.state = self.layers[0](x, self.state)
            return self.head(self.layers[1](x)[0][:, -1])

    batch = torch.randn(8, 6, 5), torch.arange(8) % 4
    model = Stateful()
    trained = local(model, batch, MonoForward())
    with pytest.raises(ValueError, match=r"state\.detach\(\)"):
        for _ in range(3):
            trained.step(batch)


def test_layers_are_cut_where_they_end_and_tables_are_no_block():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(20, 12), nn.Embedding(9, 12)
            self.layers, self.head = nn.ModuleList([Mixed() for _ in range(3)]), nn.Linear(12, 4)

        def forward(self, ids):
            x = self.words(ids) + self.places(torch.arange(9))
            for layer in self.layers:
                x = layer(x)
            return self.head(x.mean(dim=1))

    class Mixed(nn.Module):
        """Every layer begins with a module without a matrix, on the way of everything."""

        def __init__(self):
            super().__init__()
            self.begin, self.up, self.down = nn.LayerNorm(12), nn.Linear(12, 24), nn.Linear(24, 12)

        def forward(self, x):
            x = self.begin(x)
            return x + self.down(self.up(x).relu())

    trained = local(Words(), (tokens(), torch.arange(8) % 4), MonoForward())
    assert trained.cuts == ["layers.0", "layers.1", "layers.2"][: len(trained.cuts)] and len(trained.cuts) >= 2


def test_a_sparse_matrix_is_read_as_the_dense_one():
    torch.manual_seed(0)
    x, y = torch.randn(16, 5), torch.arange(16) % 4
    kind = next(kind for kind in MORE_KINDS if kind.name == "graph")
    dense, sparse = made(kind), made(kind)
    assert torch.allclose(dense.step((x, near(sparse=False), y)), sparse.step((x, near(sparse=True), y)), atol=1e-5)


def test_group_norms_of_channels_last_learn():
    """Norms that read what a cut hands on, in maps with channels last."""
    x, y = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU()) for _ in range(3)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    batch = (x.contiguous(memory_format=torch.channels_last), y)
    trained = local(model, batch, MonoForward(), settings=TrainerSettings(learning_rate=0.01, schedule="constant"))
    learner = local(copy.deepcopy(model), batch, MonoForward()).as_learner(batch)
    chain = LocalTrainer(learner, trained.settings)
    first = trained.step(batch)
    assert torch.equal(first, chain.step(*batch, step=0))
    assert trained.step(batch).sum() < first.sum()
    assert not any("forward" in vars(module) for module in model.modules())


class _Graphs(nn.Module):
    """A label for each of several graphs, whose nodes lie one behind the other."""

    def __init__(self):
        super().__init__()
        self.node, self.graph, self.head = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor, edges: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        x = self.node(x)
        x = x.index_add(0, edges[1], x[edges[0]]).relu()
        x = x.new_zeros(int(batch.max()) + 1, 16).index_add(0, batch, x)
        return self.head(self.graph(x).relu())


def _graphs(graphs: int, nodes: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(nodes)
    labels = torch.randint(3, (graphs,), generator=generator)
    batch = torch.arange(nodes) * graphs // nodes
    x = torch.randn(nodes, 6, generator=generator) + 2 * labels[batch, None]
    return {
        "x": x,
        "edges": torch.randint(nodes, (2, 2 * nodes), generator=generator),
        "batch": batch,
        "labels": labels,
    }


def test_graphs_have_a_label_each():
    torch.manual_seed(0)
    batches = [_graphs(graphs, 6 * graphs) for graphs in (8, 11, 9)]
    trained = local(_Graphs(), batches[0], MonoForward(), settings=_SETTINGS)
    assert trained.cuts == ["graph"]
    trained.fit(batches, epochs=40)
    assert trained.evaluate(batches)["accuracy"] > 0.8 and trained.predict(batches[1]).shape == (11,)
    wrong = {**batches[0], "labels": batches[0]["labels"][:7]}
    with pytest.raises(ValueError, match="7 targets for 48 rows of inputs"):
        trained.step(wrong)
    with pytest.raises(ValueError, match=r"cut node gives \[48, 16\] for a batch of 8: parts of a row"):
        local(_Graphs(), batches[0], MonoForward(), cut=["node"])
