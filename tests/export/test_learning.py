"""The training step leaves onward: it makes the same weights as the trainer, in every runtime."""

import ctypes
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import EVERY, NETS, compiled, each, in_node, toy_images, trained, written
from safetensors.torch import load_file
from torch import Tensor, nn

from onward.algorithms import HCLFF, CaFo, CwComp, DeeperForward, ForwardForward, MonoForward, PredSim, Trifecta
from onward.core import LocalTrainer
from onward.data import DataSettings, load
from onward.export import Learning, Model, Step, export, model_of, trace_step
from onward.export.draws import Draw, kept_units
from onward.nets import MLP, VGG8, CaFoCNN, TinyCNN
from onward.nets.dropout import Dropout
from onward.nets.relu_dropout import ReluDropout
from onward.runs import save_model, spec_for

DATA = toy_images()
IMAGES, LABELS = DATA.train.pixels[:6].float() / 255, DATA.train.labels[:6]
RATE = 1e-3
CLOSE = {"rtol": 0, "atol": 1e-5}
_SIGNED = {
    *("ForwardForward", "DistanceForwardPairs", "SymBa", "Trifecta", "SCFF", "UnsupervisedForwardForward"),
    *("LayerCollaboration", "RecurrentForwardForward"),
}
ONE_PASS = [a for a in EVERY if type(a).__name__ not in _SIGNED and getattr(a, "heads", "") != "trained"]


def _trainer(model: Model, learning: Learning) -> LocalTrainer:
    model.learner.train()
    trainer = LocalTrainer(model.learner, learning.settings())
    trainer.set_learning_rate(RATE)
    return trainer


def _steps(step: Step, count: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the state after some steps of the graph, and the losses of each."""
    state, losses = list(step.state.values()), []
    for number in range(1, count + 1):
        results = step.graph(*state, IMAGES, LABELS, torch.tensor(float(number)), torch.tensor(RATE))
        state, losses = list(results[: len(state)]), [*losses, torch.stack(results[len(state) :])]
    return state, losses


def _assert_same_weights(state: dict[str, Tensor], model: Model) -> None:
    own = model.learner.state_dict()
    shared = [name for name in state if name in own]
    assert {name for name, _ in model.learner.named_parameters()} & set(shared), "nothing to compare"
    for name in shared:
        torch.testing.assert_close(state[name], own[name], msg=lambda text, name=name: f"{name}: {text}", **CLOSE)


def test_momentum_is_a_setting_of_sgd_alone():
    assert Learning("sgd").kept == ("momentum",) and Learning("sgd", momentum=0.0).kept == ()
    assert (Learning("sgd").settings().momentum, Learning("sgd", momentum=0.5).settings().momentum) == (0.9, 0.5)
    with pytest.raises(ValueError, match=r"momentum 0.5 is a setting of sgd, not of adamw: leave it out"):
        Learning("adamw", momentum=0.5)


def test_a_step_makes_the_weights_of_a_training_that_steps_all_blocks_together():
    model, learning = trained(MonoForward(), MLP(width=12, depth=3), DATA), Learning(batch_size=6)
    state, losses = _steps(step := trace_step(model, learning), 2)
    trainer = LocalTrainer(model.learner.train(), replace(learning.settings(), step_together=True))
    trainer.set_learning_rate(RATE)
    for number in range(2):
        torch.testing.assert_close(losses[number], trainer.step(IMAGES, LABELS, step=number), **CLOSE)
    _assert_same_weights(dict(zip(step.state, state, strict=True)), model)


@pytest.mark.parametrize(("algorithm", "net"), each(MonoForward, DeeperForward, among=ONE_PASS))
def test_a_step_makes_the_same_weights(algorithm, net):
    model, learning = trained(algorithm, net, DATA), Learning(batch_size=6)
    step = trace_step(model, learning)
    (state, losses), trainer = _steps(step, 2), _trainer(model, learning)
    for number in range(2):
        torch.testing.assert_close(losses[number], trainer.step(IMAGES, LABELS, step=number), **CLOSE)
    _assert_same_weights(dict(zip(step.state, state, strict=True)), model)


def test_a_block_learns_at_its_own_share_of_the_rate():
    model, learning = trained(CwComp(head_rate_share=20.0), NETS["MLP"], DATA), Learning("adamw", batch_size=6)
    step = trace_step(model, learning)
    (state, _), trainer = _steps(step, 2), _trainer(model, learning)
    for number in range(2):
        trainer.step(IMAGES, LABELS, step=number)
    _assert_same_weights(dict(zip(step.state, state, strict=True)), model)


@pytest.mark.parametrize(
    "learning",
    [
        Learning("adamw", weight_decay=0.1, batch_size=6),
        Learning("sgd", momentum=0.9, weight_decay=0.1, batch_size=6),
        Learning("sgd", momentum=0.0, batch_size=6),
    ],
    ids=["adamw", "momentum", "sgd"],
)
def test_every_optimizer(learning: Learning):
    model = trained(MonoForward(), NETS["MLP"], DATA)
    step = trace_step(model, learning)
    (state, _), trainer = _steps(step, 3), _trainer(model, learning)
    for number in range(3):
        trainer.step(IMAGES, LABELS, step=number)
    _assert_same_weights(dict(zip(step.state, state, strict=True)), model)
    weights = len(dict(model.learner.named_parameters()))
    assert len(step.state) == weights * (1 + len(learning.kept))


def test_statistics_of_batch_norm_are_results_of_a_step(tmp_path: Path):
    # a bias in front of batch norm has no gradient but rounding, which adamw would bring to full size
    model, learning = trained(MonoForward(), CaFoCNN(width=4), DATA), Learning("sgd", momentum=0.9, batch_size=6)
    step = trace_step(model, learning)
    assert any(name.endswith("running_mean") for name in step.state)
    library = compiled(written(model, tmp_path, "c", learning), 3)
    (state, _), trainer = _steps(step, 2), _trainer(model, learning)
    for number in range(2):
        loss = trainer.step(IMAGES, LABELS, step=number).sum().item()
        assert library.learn(IMAGES, LABELS, RATE) == pytest.approx(loss, abs=1e-5)
    _assert_same_weights(dict(zip(step.state, state, strict=True)), model)
    torch.testing.assert_close(library.scores(IMAGES), model.learner.predict_scores(IMAGES), **CLOSE)


def _assert_c_learns(algorithm, net, tmp_path: Path) -> None:
    model, learning = trained(algorithm, net, DATA), Learning(batch_size=6)
    library = compiled(written(model, tmp_path, "c", learning), 3)
    trainer = _trainer(model, learning)
    for number in range(3):
        loss = trainer.step(IMAGES, LABELS, step=number).sum().item()
        assert library.learn(IMAGES, LABELS, RATE) == pytest.approx(loss, abs=1e-5)
    torch.testing.assert_close(library.scores(IMAGES), model.learner.predict_scores(IMAGES), **CLOSE)


@pytest.mark.parametrize(("algorithm", "net"), each(DeeperForward, among=ONE_PASS))
def test_c_learns(algorithm, net, tmp_path: Path):
    _assert_c_learns(algorithm, net, tmp_path)


@pytest.mark.parametrize(
    "algorithm",
    [PredSim(), pytest.param(HCLFF(tree="[[0, 1], 2]"), marks=pytest.mark.slow), CwComp(superclasses=3)],
    ids=lambda each: type(each).__name__,
)
def test_c_learns_by_scaled_products_and_scores_of_superclasses(algorithm, tmp_path: Path):
    _assert_c_learns(algorithm, NETS["MLP"], tmp_path)


@pytest.mark.parametrize(("algorithm", "net"), each(MonoForward, nets=("MLP",), among=ONE_PASS))
def test_javascript_learns(algorithm, net, tmp_path: Path):
    model, learning = trained(algorithm, net, DATA), Learning(batch_size=6)
    found = in_node(written(model, tmp_path, "js", learning), IMAGES, [(IMAGES, LABELS, RATE)] * 2)
    trainer = _trainer(model, learning)
    for number in range(2):
        losses = trainer.step(IMAGES, LABELS, step=number)
        torch.testing.assert_close(torch.tensor(found["losses"][number]), losses, **CLOSE)
    torch.testing.assert_close(torch.tensor(found["scores"]), model.learner.predict_scores(IMAGES), **CLOSE)


@pytest.mark.parametrize(("algorithm", "net"), each(among=ONE_PASS))
def test_onnxruntime_learns(algorithm, net, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model, learning = trained(algorithm, net, DATA), Learning(batch_size=6)
    folder = written(model, tmp_path, "onnx", learning)
    session = onnxruntime.InferenceSession(folder / "step.onnx")
    state = {name: value.numpy() for name, value in load_file(folder / "state.safetensors").items()}
    trainer, taken = _trainer(model, learning), {i.name for i in session.get_inputs()}
    for number in range(3):
        told = {"images": IMAGES, "labels": LABELS, "step": torch.tensor(number + 1.0)}
        told = {name: value.numpy() for name, value in (told | {"learning_rate": torch.tensor(RATE)}).items()}
        given = {name: value for name, value in (state | told).items() if name in taken}
        results = dict(zip([o.name for o in session.get_outputs()], session.run(None, given), strict=True))
        state = {name: results[f"new.{name}"] for name in state}
        losses = torch.tensor([float(results[f"loss.{k}"]) for k in range(len(model.learner.turns[0]))])
        torch.testing.assert_close(losses, trainer.step(IMAGES, LABELS, step=number), **CLOSE)
    scores = onnxruntime.InferenceSession(folder / "scores.onnx")
    given = {i.name: IMAGES.numpy() if i.name == "images" else state[i.name] for i in scores.get_inputs()}
    torch.testing.assert_close(
        torch.from_numpy(scores.run(["scores"], given)[0]), model.learner.predict_scores(IMAGES), **CLOSE
    )


@pytest.mark.slow  # the code of the card takes the same step, below
def test_torch_learns_and_scores(tmp_path: Path):
    model, learning = trained(MonoForward(), NETS["MLP"], DATA), Learning(batch_size=6)
    folder = written(model, tmp_path, "torch", learning)
    state, order = load_file(folder / "state.safetensors"), json.loads((folder / "export.json").read_text())["state"]
    step = torch.export.load(folder / "step.pt2").module()
    names, read = order["step"], order["scores"]
    results = step(*(state[name] for name in names), IMAGES, LABELS, torch.tensor(1.0), torch.tensor(RATE))
    _trainer(model, learning).step(IMAGES, LABELS, step=0)
    new = dict(zip(names, results, strict=False))
    _assert_same_weights(new, model)
    scores = torch.export.load(folder / "scores.pt2").module()(*(new[name] for name in read), IMAGES[:3])
    torch.testing.assert_close(scores, model.learner.predict_scores(IMAGES[:3]), **CLOSE)


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_the_code_of_the_card_takes_a_step(format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model, learning = trained(MonoForward(), MLP(width=12, depth=2), DATA), Learning(batch_size=6)
    folder = written(model, tmp_path, format, learning)
    monkeypatch.chdir(folder)
    images, labels = (IMAGES, LABELS) if format == "torch" else (IMAGES.numpy(), LABELS.numpy())
    given: dict[str, Any] = {"images": images, "labels": labels}
    for code in re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL):
        exec(code, given)
    _trainer(model, learning).step(IMAGES, LABELS, step=0)
    _assert_same_weights({name: torch.as_tensor(value) for name, value in given["state"].items()}, model)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ONE_PASS, ids=lambda algorithm: type(algorithm).__name__)
@pytest.mark.parametrize("net", [MLP(width=40, depth=3), TinyCNN(width=10, dropout=0.0)], ids=["MLP", "CNN"])
def test_a_hundred_steps_reach_the_same_accuracy(algorithm, net, tmp_path: Path):
    data, learning = load(DataSettings(name="digits")), Learning(batch_size=50)
    spec = spec_for(algorithm, net, data)
    model = model_of(spec.build(seed=0), spec, list(spec.build(seed=0).rules)[-1])
    if any(type(rule).__name__ == "LinearReadout" for rule in model.learner.rules.values()):
        model = model_of(spec.build(seed=0), spec)
    library = compiled(written(model, tmp_path, "c", learning), 10)
    trainer = _trainer(model, learning)
    generator = torch.Generator().manual_seed(0)
    for number in range(100):
        chosen = torch.randint(len(data.train.labels), (50,), generator=generator)
        images, labels = data.train.pixels[chosen].float() / 255, data.train.labels[chosen]
        trainer.step(images, labels, step=number)
        library.learn(images, labels, RATE)
    images = torch.cat([data.train.pixels, data.test.pixels]).float() / 255  # many, so that one image is no half point
    labels = torch.cat([data.train.labels, data.test.labels])
    own = (model.learner.predict(images) == labels).float().mean().item()
    exported = (library.scores(images).argmax(1) == labels).float().mean().item()
    # In single precision HCL-FF's weights depend on the order of sums: a point of accuracy after a hundred steps, where
    # the same step in double precision stays with the trainer (next test).
    most = 0.02 if type(algorithm).__name__ == "HCLFF" else 0.005
    assert abs(own - exported) <= most, (own, exported)


def test_what_drifts_in_hcl_ff_is_rounding_alone():
    learning = Learning(batch_size=len(LABELS))
    model = trained(HCLFF(), NETS["MLP"], DATA)
    model.learner.double()
    step, images = trace_step(model, learning), IMAGES.double()
    trainer, state = _trainer(model, learning), list(step.state.values())
    rate = torch.tensor(RATE, dtype=torch.float64)
    for number in range(50):
        trainer.step(images, LABELS, step=number)
        results = step.graph(*state, images, LABELS, torch.tensor(number + 1.0, dtype=torch.float64), rate)
        state = list(results[: len(state)])
    own = model.learner.state_dict()
    shared = {name: value for name, value in zip(step.state, state, strict=True) if name in own}
    assert any("auxiliary" in name for name in shared)
    for name, value in shared.items():
        torch.testing.assert_close(value, own[name], rtol=0, atol=1e-11, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("algorithm", [ForwardForward(), Trifecta()], ids=lambda algorithm: type(algorithm).__name__)
def test_a_method_that_draws_views_is_refused_by_name(algorithm):
    with pytest.raises(
        ValueError, match=rf"^{type(algorithm).__name__} cannot learn outside of onward: Label\w+ draws"
    ):
        trace_step(trained(algorithm, NETS["MLP"], DATA), Learning())


@pytest.fixture(scope="module")
def drawing() -> Model:
    """A model whose method draws views, so that its step cannot be exported."""
    return trained(ForwardForward(), NETS["MLP"], DATA)


def test_a_batch_norm_that_averages_over_all_steps_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^CaFo cannot learn outside of onward: its batch norm averages over all"):
        trace_step(trained(CaFo(), CaFoCNN(width=4), DATA), Learning())


@pytest.mark.parametrize("format", ["torch", "onnx", "c", "js", "page"])
def test_a_refusal_comes_before_any_file_and_names_what_works(format, drawing: Model, tmp_path: Path):
    pytest.importorskip("onnx", reason="needs onnx")
    with pytest.raises(ValueError, match=r"export without --learning, and in place of a page.* take --format js, or"):
        written(drawing, tmp_path / "refused", format, Learning())
    assert list((tmp_path / "refused").iterdir()) == []
    if format == "page":
        assert (written(drawing, tmp_path / "works", "js") / "model.mjs").exists()


class _Dropouts:
    """Gives the trainer's dropout, draw after draw, units to keep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.units: list[Tensor] = []
        monkeypatch.setattr("onward.nets.dropout._kept", self._next)

    def _next(self, x: Tensor, p: float) -> Tensor:
        kept = self.units.pop(0) > 0
        assert kept.shape == x.shape
        return kept


_DROPS = [
    pytest.param(DeeperForward(), TinyCNN(width=3), id="dropout-behind"),
    pytest.param(MonoForward(), VGG8(width=4), id="dropout-in-front", marks=pytest.mark.slow),
    pytest.param(PredSim(), TinyCNN(width=3), id="auxiliary", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("algorithm", "net"), _DROPS)
def test_a_step_takes_which_units_dropout_keeps(algorithm, net, monkeypatch: pytest.MonkeyPatch):
    model, learning, dropouts = trained(algorithm, net, DATA), Learning(batch_size=6), _Dropouts(monkeypatch)
    step = trace_step(model, learning)
    assert len(step.draws) >= 3 and {draw.keep for draw in step.draws} <= {0.8, 0.9}
    trainer, state = _trainer(model, learning), list(step.state.values())
    for number in (1, 2):
        units = kept_units(step.draws, seed=7, step=number)
        dropouts.units = list(units)
        losses = trainer.step(IMAGES, LABELS, step=number)
        assert not dropouts.units, "the trainer dropped less often"
        results = step.graph(*state, IMAGES, LABELS, torch.tensor(float(number)), torch.tensor(RATE), *units)
        state = list(results[: len(state)])
        torch.testing.assert_close(torch.stack(results[len(state) :]), losses, **CLOSE)
    _assert_same_weights(dict(zip(step.state, state, strict=True)), model)


def _body(model: Model, block: int) -> nn.Sequential:
    body = model.learner.blocks[block].body
    assert isinstance(body, nn.Sequential)
    return body


def _with_dropout() -> Model:
    """Return a small model whose blocks drop units in two ways."""
    model = trained(MonoForward(), NETS["MLP"], DATA)
    first, second = _body(model, 0), _body(model, 1)
    first.append(Dropout(0.2))
    assert isinstance(second[-1], nn.ReLU)
    second[-1] = ReluDropout(0.25)
    model.learner.eval()
    return model


def test_c_draws_which_units_dropout_keeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    model, learning, dropouts = _with_dropout(), Learning(batch_size=6), _Dropouts(monkeypatch)
    draws = trace_step(model, learning).draws
    library = compiled(written(model, tmp_path, "c", learning), 3)
    ctypes.c_uint32.in_dll(library.code, "onward_seed").value = 0xFFFFFFF9
    trainer = _trainer(model, learning)
    for number in (1, 2):
        dropouts.units = kept_units(draws, seed=0xFFFFFFF9, step=number)
        loss = trainer.step(IMAGES, LABELS, step=number).sum().item()
        assert library.learn(IMAGES, LABELS, RATE) == pytest.approx(loss, abs=1e-5)
    torch.testing.assert_close(library.scores(IMAGES), model.learner.predict_scores(IMAGES), **CLOSE)


def test_javascript_draws_which_units_dropout_keeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    model, learning, dropouts = _with_dropout(), Learning(batch_size=6), _Dropouts(monkeypatch)
    draws = trace_step(model, learning).draws
    folder = written(model, tmp_path, "js", learning)
    with (folder / "model.mjs").open("a") as script:
        script.write("setSeed(0xfffffff9);\n")
    results = in_node(folder, IMAGES, [(IMAGES, LABELS, RATE)] * 2)
    trainer = _trainer(model, learning)
    for number in (1, 2):
        dropouts.units = kept_units(draws, seed=0xFFFFFFF9, step=number)
        losses = trainer.step(IMAGES, LABELS, step=number)
        torch.testing.assert_close(torch.tensor(results["losses"][number - 1]), losses, **CLOSE)
    torch.testing.assert_close(torch.tensor(results["scores"]), model.learner.predict_scores(IMAGES), **CLOSE)


@pytest.mark.slow
def test_onnx_takes_which_units_dropout_keeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    pytest.importorskip("onnxscript", reason="needs onnx and onnxscript")
    model, learning, dropouts = _with_dropout(), Learning("sgd", batch_size=6), _Dropouts(monkeypatch)
    draws = trace_step(model, learning).draws
    folder = written(model, tmp_path, "onnx", learning)
    session = onnxruntime.InferenceSession(folder / "step.onnx")
    dropouts.units = kept_units(draws, seed=7, step=1)
    given = {**load_file(folder / "state.safetensors"), "images": IMAGES, "labels": LABELS}
    given |= {"step": torch.tensor(1.0), "learning_rate": torch.tensor(RATE)}
    given |= {draw.name: units for draw, units in zip(draws, dropouts.units, strict=True)}
    names = [f"loss.{k}" for k in range(len(model.learner.turns[0]))]
    taken = {each.name for each in session.get_inputs()}
    assert {"kept.0", "kept.1"} <= taken
    results = session.run(names, {name: value.numpy() for name, value in given.items() if name in taken})
    losses = torch.tensor([float(loss) for loss in results])
    torch.testing.assert_close(losses, _trainer(model, learning).step(IMAGES, LABELS, step=0), **CLOSE)


def test_draws_keep_the_share_that_they_name():
    draws = (Draw("kept.0", (40, 50), 0.8), Draw("kept.1", (40, 50), 0.5))
    steps = [kept_units(draws, seed=3, step=step) for step in range(1, 6)]
    for k, draw in enumerate(draws):
        assert torch.stack([units[k] for units in steps]).mean().item() == pytest.approx(draw.keep, abs=0.015)
    assert not torch.equal(steps[0][0], steps[1][0])
    together = ((steps[0][0] == 0) & (steps[0][1] == 0)).float().mean().item()
    assert together == pytest.approx(0.2 * 0.5, abs=0.025), "draws of two modules are not independent"


def test_another_draw_than_dropout_is_refused_by_name():
    model = trained(MonoForward(), NETS["MLP"], DATA)
    _body(model, 1).append(nn.RReLU())
    with pytest.raises(ValueError, match=r"^MonoForward cannot learn outside.*draws at random by aten\.rrelu"):
        trace_step(model, Learning())


class _Measured(nn.Module):
    """Divides by a number that it reads from the batch, so that a step is not the same operations for every batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / max(float(x.detach().abs().max()), 1.0)


def test_a_step_that_depends_on_values_is_refused_by_name():
    model = trained(MonoForward(), NETS["MLP"], DATA)
    _body(model, 1).append(_Measured())
    with pytest.raises(ValueError, match=r"^MonoForward cannot learn outside of onward: its step is not the same oper"):
        trace_step(model, Learning())


@pytest.mark.slow
def test_dropout_as_a_function_is_an_input_too():
    model = trained(MonoForward(), NETS["MLP"], DATA)
    _body(model, 1).append(_Function())
    (draw,) = trace_step(model, Learning(batch_size=6)).draws
    assert (draw.shape, draw.keep) == ((6, 12), 0.75)


class _Function(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.25, self.training)


def test_a_step_without_the_dropout_is_that_of_a_network_without():
    plain, dropped = (trained(MonoForward(), TinyCNN(width=3, dropout=p), DATA) for p in (0.0, 0.2))
    dropped.learner.load_state_dict(plain.learner.state_dict())
    learning = Learning(batch_size=6)
    kept, _ = _steps(trace_step(plain, learning), 1)
    state, _ = _steps(trace_step(dropped, replace(learning, without_dropout=True)), 1)
    assert all(torch.equal(a, b) for a, b in zip(kept, state, strict=True))
    assert any("p=0.2" in str(part) for part in dropped.learner.modules()), "the model itself stays as it is"


@pytest.mark.parametrize("format", ["onward", "module"])
def test_a_format_without_a_step_is_refused(format, tmp_path: Path):
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    save_model(tmp_path / "run", model.learner, model.spec)
    with pytest.raises(ValueError, match=f"--format {format} holds no training step"):
        export(tmp_path / "run", tmp_path / "out", format=format, learning=Learning())


def test_the_model_itself_learns_nothing_while_its_step_is_traced():
    model = trained(MonoForward(), NETS["MLP"], DATA)
    before = {name: value.clone() for name, value in model.learner.state_dict().items()}
    trace_step(model, Learning(batch_size=6))
    assert not model.learner.training
    assert all(torch.equal(value, before[name]) for name, value in model.learner.state_dict().items())
    assert all(isinstance(p, torch.nn.Parameter) and p.grad is None for p in model.learner.parameters())
