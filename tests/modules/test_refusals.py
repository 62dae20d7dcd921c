"""What cannot be trained in blocks is refused by name, with the remedy, and the model is left usable."""

import math
from typing import Any

import pytest
import torch
from kinds import Recurrent, Residual, ViT, Writer, counting, images, rows, steps
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from onward.algorithms import (
    FFGAFSNN,
    CaFo,
    DistanceForward,
    ForwardForward,
    MonoForward,
    PredSim,
    RandomFeatures,
)
from onward.core import TrainerSettings
from onward.modules import cuts, local
from onward.modules.plan import check_model


def table() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)
    )


def assert_refused(match: str, model=None, example=None, algorithm=None, **options):
    with pytest.raises(ValueError, match=match):
        local(table() if model is None else model, example or rows(), algorithm or MonoForward(), **options)


def test_wrappers_and_what_is_no_module():
    assert_refused("give model.module", nn.DataParallel(table()))
    assert_refused("_orig_mod", torch.compile(table()))
    in_place = table()
    in_place.compile()
    assert_refused("compiled in place", in_place)
    with pytest.raises(ValueError, match=r"torch\.nn\.Module, got str"):
        check_model("resnet18")
    assert_refused("no weights", nn.Sequential(nn.ReLU()))
    assert_refused("run the model once", nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 4)))
    assert_refused("bfloat16", table().half())


@pytest.mark.filterwarnings("ignore:torch.*quant.*deprecated")
def test_weights_in_front_of_a_quantized_part_get_no_gradient():
    def with_quantized(k: int) -> nn.Module:
        layers = [nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)]
        layers[k] = torch.ao.quantization.quantize_dynamic(nn.Sequential(layers[k]), {nn.Linear})[0]
        return nn.Sequential(*layers)

    x, y = torch.randn(8, 6), torch.arange(8) % 4
    assert_refused(
        r"1 is quantized, and no gradient passes it to 0\.weight: train", with_quantized(1), (x, y), cut=["1"]
    )
    front = local(with_quantized(0), (x, y), MonoForward(), cut=["1"])
    assert front.step((x, y)).isfinite().all()
    assert_refused(r"no weights \(those of a quantized", torch.ao.quantization.quantize_dynamic(table(), {nn.Linear}))


def test_a_model_that_asserts_what_it_is_given_is_named():
    class Strict(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            assert len(input) % 8 == 0
            return super().forward(input)

    for call in (cuts, lambda model, x: local(model, x, MonoForward())):
        with pytest.raises(ValueError, match=r"^Sequential cannot be called with these inputs: (assert|an assertion)"):
            call(nn.Sequential(Strict(6, 6), nn.ReLU(), table()), torch.randn(5, 6))


def test_inputs_that_do_not_fit_are_told_by_every_use():
    class Strict(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            if input.isnan().any():
                raise ValueError("nothing may be missing")
            return super().forward(input)

    model, (x, y) = nn.Sequential(Strict(6, 6), nn.ReLU(), table()), rows()
    trained = local(model, (x, y), MonoForward())
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    for wrong, reason in (
        (x[:, :3], "mat1 and mat2"),
        (x.double(), r"Double .* give inputs\.to\(torch\.float32\)"),
        (x * math.nan, "nothing may be missing"),
    ):
        for use in (trained.step, trained.predict, lambda batch: trained.evaluate([batch])):
            with pytest.raises(ValueError, match=rf"^Sequential cannot be called with these inputs: .*{reason}"):
                use((wrong, y))
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())


def test_what_fails_at_a_cut_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch):
    trained = local(table(), rows(), MonoForward())

    def fails(*_: Any) -> Tensor:
        raise RuntimeError("a kernel failed")

    monkeypatch.setattr(type(trained.heads[0].block), "loss", fails)
    with pytest.raises(RuntimeError, match="a kernel failed"):
        trained.step(rows())


def test_a_lazy_module_has_to_be_run_once():
    for lazy in (
        nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3)),
        nn.Sequential(nn.LazyBatchNorm1d(), table()),
    ):
        for call in (lambda: cuts(lazy, torch.randn(4, 6)), lambda: local(lazy, torch.randn(4, 6), MonoForward())):  # noqa: B023
            with pytest.raises(ValueError, match=r"^0\..* has no shape yet: run the model once on a batch"):
                call()
        lazy(torch.randn(4, 6))
        assert cuts(lazy, torch.randn(4, 6))


def test_cuts_that_are_none():
    assert_refused("did you mean", cut=["3x"])
    assert_refused("no module 'layer1'", cut=["layer1"])
    assert_refused("named twice", cut=["1", "1"])
    assert_refused("no weights between the cuts 0 and 1", cut=["0", "1"])
    assert_refused("no weights behind the cut 6", cut=["6"])
    assert_refused("can be cut into 1 to", cut=20)
    assert_refused("list of module names", cut=2.5)
    model: Any = nn.Sequential(table(), nn.Linear(2, 2))
    model.forward = lambda x: model[0](x)
    assert_refused("not reached by the example", model, cut=["1"])


def test_a_single_block_has_to_be_asked_for():
    model = nn.Linear(6, 4)
    assert_refused("cut=1", model)
    assert len(local(model, rows(), MonoForward(), cut=1).step(rows())) == 1


def test_a_module_that_is_called_twice_is_no_cut_but_may_be_inside_a_block():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.again, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.again(self.again(self.enter(x)).relu()).relu())

    assert_refused("called 2 times", Twice(), cut=["again"])
    trained = local(Twice(), rows(), MonoForward(), cut=["enter"])
    assert trained.step(rows()).isfinite().all()


def test_outputs_that_do_not_fit_the_task():
    assert_refused("num_classes is 10", num_classes=10)
    assert_refused("no output for task 'tokens'", task="tokens")
    assert_refused("no output for task 'none'", task="none")
    assert_refused("too few for classes", nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)), cut=["1"])
    model: Any = table()
    model.forward = lambda x: nn.Sequential.forward(model, x).argmax(dim=1)
    assert_refused("needs a float output", model)


def test_algorithms_that_change_layers_or_inputs():
    assert_refused("writes the label into its input", algorithm=ForwardForward())
    assert_refused("as they were drawn", algorithm=RandomFeatures())
    assert_refused("as they were drawn", algorithm=CaFo())
    assert_refused("SpikingLayer", algorithm=FFGAFSNN())
    assert_refused("collaboration='none'", algorithm=DistanceForward())
    assert_refused("PredSim\\(beta=0\\)|MonoForward", algorithm=PredSim(), task="values", cut=["1"])
    assert_refused("heads is", heads="mine")


def test_settings_of_other_orders():
    for settings in (
        TrainerSettings(order="cascade"),
        TrainerSettings(micro_batches=2),
        TrainerSettings(recompute=True),
        TrainerSettings(ema_decay=0.9),
    ):
        assert_refused("as_learner", settings=settings)


class Checkpointed(nn.Module):
    def __init__(self, where: str):
        super().__init__()
        self.where = where
        self.enter, self.head = nn.Conv2d(1, 8, 3, 1, 1), nn.Linear(8, 4)
        self.layers = nn.ModuleList([Residual(8, 8) for _ in range(2)])
        self.wrap = nn.ModuleList([nn.Identity() for _ in range(2)])

    def forward(self, x):
        x = self.enter(x)
        for layer, wrap in zip(self.layers, self.wrap, strict=True):
            x = wrap(checkpoint(layer, x, use_reentrant=self.where == "reentrant"))
        return self.head(x.mean(dim=(2, 3)))


def test_gradient_checkpointing_inside_a_block_is_fine_and_around_a_cut_is_not():
    assert_refused("checkpoint", Checkpointed("around"), images(), cut=["layers.0"])
    assert_refused("checkpoint|gradients are off", Checkpointed("reentrant"), images(), cut=["layers.0"])
    torch.manual_seed(0)
    inside = Checkpointed("inside")
    plain = Checkpointed("inside")
    plain.load_state_dict(inside.state_dict())
    plain.forward = lambda x: plain.head(
        plain.wrap[1](plain.layers[1](plain.wrap[0](plain.layers[0](plain.enter(x))))).mean(dim=(2, 3))
    )
    first, second = (local(m, images(), MonoForward(), cut=["wrap.0"]) for m in (inside, plain))
    for _ in range(2):
        assert torch.allclose(first.step(images()), second.step(images()), atol=1e-6)


class Hidden(nn.Module):
    """A layer inside reentrant checkpointing: always, or in training mode alone."""

    def __init__(self, *, always: bool):
        super().__init__()
        self.always = always
        self.enter, self.inside, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x).relu()
        if self.always or self.training:
            return self.head(checkpoint(lambda y: self.inside(y).relu(), x, use_reentrant=True))
        return self.head(self.inside(x).relu())


@pytest.mark.parametrize("always", [True, False])
def test_reentrant_checkpointing_inside_a_block_is_refused(always: bool):
    assert_refused("use_reentrant=False", Hidden(always=always), cut=["enter"])


def test_reentrant_checkpointing_that_comes_later_is_refused_by_the_step():
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), Hidden(always=False))
    model[2].enter = nn.Linear(8, 8)
    trained = local(model.eval(), rows(), MonoForward(), cut=["0"])
    model.train()
    with pytest.raises(ValueError, match="use_reentrant=False"):
        trained.step(rows())


def test_a_batch_that_does_not_come_by_a_cut_is_refused_and_the_model_is_usable():
    class Chooses(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8))
            self.head = nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.layers[0](x) if len(x) == 3 else self.layers(x))

    model = Chooses()
    trained = local(model, rows(), MonoForward(), cut=["layers.1"])
    x, y = rows()
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"layers\.1 was not reached"):
        trained.step((x[:3], y[:3]))
    assert torch.equal(state, torch.get_rng_state())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert trained.step((x, y)).isfinite().all()


def test_targets_that_are_none():
    trained = local(table(), rows(), MonoForward())
    x, y = rows()
    for batch, match in (
        (x, "no targets"),
        ((x, y.float()), "task='values'"),
        ((x, y + 4), "no class of 0..3"),
        ((x, y[:3]), "3 targets for 16 rows"),
        ((x[:0], y[:0]), "empty"),
        ((x, y[:, None].expand(-1, 2)), "task='tokens'"),
        ({"x": x, "labels": y, "label": y}, r"labels and label: .* by position, \(\(a, b\), targets\)"),
        ("text", "pair"),
    ):
        with pytest.raises(ValueError, match=match):
            trained.step(batch)
    tokens = local(Writer(), counting(), MonoForward(), task="tokens")
    with pytest.raises(ValueError, match="every label"):
        tokens.step((counting(), torch.full((16, 10), -100)))


def test_a_loss_that_is_not_finite_is_refused():
    trained = local(table(), rows(), MonoForward())
    x, y = rows()
    with pytest.raises(ValueError, match=r"block 0 .* not finite: the inputs hold NaN or infinite numbers"):
        trained.step((x * float("inf"), y))


def test_batch_norm_and_a_single_row():
    norm = nn.BatchNorm1d(8)
    model = nn.Sequential(nn.Linear(6, 8), norm, nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    x, y = rows()
    trained = local(model, (x[:1], y[:1]), MonoForward())
    assert trained.step((x, y)).isfinite().all()
    with pytest.raises(ValueError, match="two rows or more"):
        trained.step((x[:1], y[:1]))
    norm.eval()
    mean = norm.state_dict()["running_mean"].clone()
    assert trained.step((x[:1], y[:1])).isfinite().all()
    assert torch.equal(mean, norm.state_dict()["running_mean"]) and not norm.training


def test_frozen_parts_stay_and_thawed_ones_are_refused():
    model = ViT()
    model.layers[0].requires_grad_(False)
    before = [p.clone() for p in model.layers[0].parameters()]
    trained = local(model, images(), MonoForward())
    assert trained.step(images()).isfinite().all()
    assert all(torch.equal(a, b) for a, b in zip(before, model.layers[0].parameters(), strict=True))
    model.layers[0].requires_grad_(True)
    with pytest.raises(ValueError, match=r"layers\.0.* was frozen"):
        trained.step(images())


def test_a_model_frozen_as_a_whole_trains_its_read_outs():
    model = ViT().requires_grad_(False)
    model.head.requires_grad_(True)
    trained = local(model, images(), MonoForward())
    first = trained.step(images())
    for _ in range(10):
        last = trained.step(images())
    assert (last < first).all()


def test_bf16_weights_and_autocast_learn():
    for model, settings in (
        (ViT().bfloat16(), TrainerSettings(learning_rate=0.01)),
        (ViT(), TrainerSettings(learning_rate=0.01, precision="bf16")),
    ):
        x, y = images()
        x = x.to(next(model.parameters()).dtype)
        trained = local(model, (x, y), PredSim(), settings=settings)
        first = trained.step((x, y))
        for _ in range(10):
            last = trained.step((x, y))
        assert last.sum() < first.sum()


def test_dropout_draws_by_seed_step_and_block():
    def losses(seed: int, drawn: int) -> torch.Tensor:
        torch.manual_seed(0)
        trained = local(ViT(dropout=0.3), images(), MonoForward(), seed=seed)
        torch.manual_seed(drawn)
        return torch.stack([trained.step(images()) for _ in range(2)])

    assert torch.equal(losses(0, 1), losses(0, 2))
    assert not torch.equal(losses(0, 1), losses(1, 1))


def test_tied_weights_get_what_every_block_teaches():
    torch.manual_seed(0)
    model = Writer()
    trained = local(model, counting(), MonoForward(), task="next_token")
    assert trained.plan.tied == ("words.weight",)
    before = model.words.weight.clone()
    trained.step(counting())
    assert model.head.weight is model.words.weight
    assert not torch.equal(before, model.words.weight)


def test_steps_under_no_grad_and_inference_mode():
    model = table()
    with torch.inference_mode():
        trained = local(model, rows(), MonoForward())
        first = trained.step(rows())
        last = [trained.step(rows()) for _ in range(5)][-1]
    assert last.sum() < first.sum()


def test_time_first_is_seen():
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.GRU(3, 12), nn.GRU(12, 12)])
            self.head = nn.Linear(12, 4)

        def forward(self, x):
            x = x.transpose(0, 1)
            for layer in self.layers:
                x = layer(x)[0]
            return self.head(x[-1])

    assert local(First(), steps(), MonoForward(), cut=["layers.0"]).plan.parts[0].layout == "time_first"


def test_layouts_can_be_declared():
    trained = local(Recurrent(), steps(), MonoForward(), cut=["layers.0"], layouts={"layers.0": "windows"})
    assert trained.plan.parts[0].layout == "windows" and trained.step(steps()).isfinite().all()
    assert_refused("no cut of this model", layouts={"9": "map"})
    assert_refused("unknown layout", layouts={"1": "pictures"}, cut=["1"])
    assert_refused("has not the 4 axes", layouts={"1": "map"}, cut=["1"])


def test_a_path_that_is_not_there_is_refused():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.body(x).detach())

    with pytest.raises(ValueError, match="no path"):
        cuts(Detached(), rows()[0])


class _Places(nn.Module):
    """Tokens of its own inside, [B, 4, 12]; a map at the output, [B, 3, 8, 8]."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 12, 4, 4)
        self.layers = nn.Sequential(*[nn.Sequential(nn.Linear(12, 12), nn.ReLU()) for _ in range(2)])
        self.up = nn.Sequential(nn.ConvTranspose2d(12, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.more, self.head = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()), nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(self.patches(x).flatten(2).transpose(1, 2))
        return self.head(self.more(self.up(x.transpose(1, 2).unflatten(2, (2, 2)))))


def test_a_cut_without_the_positions_of_the_labels_is_refused_or_left_out():
    torch.manual_seed(0)
    batch = (torch.randn(4, 1, 8, 8), torch.randint(3, (4, 8, 8)))
    with pytest.raises(ValueError, match=r"layers\.0 gives .* 8 x 8 positions .* no labels of its own"):
        local(_Places(), batch, MonoForward(), cut=["layers.0", "up"])
    trained = local(_Places(), batch, MonoForward())
    assert trained.cuts and not any(cut.startswith("layers") for cut in trained.cuts)
    assert trained.step(batch).isfinite().all()


@pytest.mark.usefixtures("types_unchecked")
def test_arguments_of_another_kind():
    options: Any = {"settings": {"learning_rate": 1e-3}}
    assert_refused("onward.TrainerSettings", **options)
    options = {"class_weights": "balanced"}
    assert_refused("class_weights are numbers, one for each class", **options)
    x, y = rows()
    assert_refused(r"float64 and weights torch\.float32: give inputs\.to", example=(x.double(), y))
    assert_refused("Sequential cannot be called with these inputs: mat1", example=(x[:, :3], y))


@pytest.mark.usefixtures("types_unchecked")
def test_what_gives_no_batches():
    model: Any = local(table(), rows(), MonoForward())
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="such as a DataLoader"):
            use(5)
        with pytest.raises(ValueError, match="a single row"):
            use(torch.utils.data.TensorDataset(*rows()))
    with pytest.raises(ValueError, match="a list, not a generator"):
        model.fit([rows()], epochs=2, validation=iter([rows()]))


def test_targets_are_turned_into_classes_by_the_remedy():
    model, (x, y) = local(table(), rows(), MonoForward()), rows()
    for targets, remedy in (
        (torch.eye(4)[y], r"argmax\(1\)"),
        (y > 1, r"targets\.long\(\)"),
        (y[:, None], r"targets\[:, 0\]"),
    ):
        with pytest.raises(ValueError, match=remedy):
            model.step((x, targets))


class _Ends(nn.Module):
    """A table whose scores are changed at the end."""

    def __init__(self, end):
        super().__init__()
        self.table, self.end = table(), end

    def forward(self, x: Tensor) -> Any:
        return self.end(self.table(x))


@pytest.mark.parametrize(
    "end",
    [
        lambda scores: scores.chunk(2, 1),
        lambda scores: (scores[:, :2], scores[:, 2:]),
        lambda scores: {"logits": scores.split(2, 1)[0], "ends": scores.split(2, 1)[1].squeeze(-1)},
        lambda scores: scores.view(-1, 2, 2).unbind(1),
    ],
)
def test_parts_of_one_tensor_are_several_outputs(end):
    x = rows()[0]
    assert_refused("several outputs, .* parts of one tensor", _Ends(end), (x, torch.arange(len(x)) % 2))


def test_a_part_of_the_scores_alone_and_the_same_scores_twice_are_one_output():
    x = rows()[0]
    for end in (lambda scores: scores[:, :2], lambda scores: (scores, scores.view(scores.shape))):
        batch = (x, torch.arange(len(x)) % 2)
        assert local(_Ends(end), batch, MonoForward()).step(batch).isfinite().all()


@pytest.mark.parametrize("change", [lambda p: p[:, :1], lambda p: p[:, 0], lambda p: p.clamp(0.01, 0.99), Tensor.clone])
def test_a_sigmoid_or_softmax_in_another_form_is_seen(change):
    x, y = rows()
    assert_refused("gone through a softmax", _Ends(lambda s: s.softmax(1).clamp(1e-6)), (x, y))
    shape = change(torch.zeros(len(x), 4)).shape
    several = _Ends(lambda scores: change(scores.sigmoid()))
    assert_refused("gone through a sigmoid", several, (x, torch.zeros(shape)), task="labels")


def test_a_head_of_training_mode_is_seen_in_an_example_of_one_row():
    class Helped(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm, self.beside = table(), nn.BatchNorm1d(6), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Any:
            x = self.norm(x)
            return (self.table(x), self.beside(x)) if self.training else self.table(x)

    x, y = rows()
    for count in (1, 2):
        assert_refused("several outputs", Helped().train(), (x[:count], y[:count]), num_classes=4)
