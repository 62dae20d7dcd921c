"""Every algorithm's export gives the same scores in its own runtime."""

import importlib.util
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from exports import NETS, compiled, each, in_node, needs, toy_images, trained, written
from torch import nn

from onward.algorithms import ASGE, CaFo, DeeperForward, DistanceForward, ForwardForward, MonoForward
from onward.core import InputForm
from onward.data import from_arrays
from onward.export import Learning, Model, export, model_of, open_model
from onward.export.card import card
from onward.export.exporting import Format
from onward.hardware import Mismatch, noisy
from onward.nets import Dense
from onward.runs import save_model

DATA = toy_images()
IMAGES = DATA.test.pixels[:5].float() / 255
CLOSE = {"rtol": 0, "atol": 1e-5}


def _expected(model: Model) -> torch.Tensor:
    return model.learner.predict_scores(IMAGES)


@pytest.mark.parametrize(("algorithm", "net"), each(DeeperForward, nets=("CNN",)))
def test_torch(algorithm, net, tmp_path: Path):
    model = trained(algorithm, net, DATA)
    program = torch.export.load(written(model, tmp_path, "torch") / "model.pt2").module()
    for count in (1, 2, 5):
        torch.testing.assert_close(program(IMAGES[:count]), _expected(model)[:count], **CLOSE)


@pytest.mark.parametrize(("algorithm", "net"), each(DeeperForward, nets=("CNN",)))
def test_onnx(algorithm, net, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    pytest.importorskip("onnxscript", reason="needs onnx and onnxscript")
    model = trained(algorithm, net, DATA)
    session = onnxruntime.InferenceSession(written(model, tmp_path, "onnx") / "model.onnx")
    for count in (1, 2, 5):
        (scores,) = session.run(["scores"], {"images": IMAGES[:count].numpy()})
        torch.testing.assert_close(torch.from_numpy(scores), _expected(model)[:count], **CLOSE)
    assert session.get_modelmeta().custom_metadata_map["classes"] == "\n".join(DATA.class_names)


@pytest.mark.parametrize(("algorithm", "net"), each(DistanceForward, nets=("CNN",)))
def test_module_needs_no_onward(algorithm, net, tmp_path: Path):
    model = trained(algorithm, net, DATA)
    text = (written(model, tmp_path, "module") / "model.py").read_text()
    assert "import onward" not in text and "from onward" not in text
    own = _module(tmp_path).Model()
    assert own.classes == list(DATA.class_names)
    for count in (1, 5):
        torch.testing.assert_close(own(IMAGES[:count]), _expected(model)[:count], **CLOSE)


def test_module_takes_images_in_any_order_of_memory(tmp_path: Path):
    model = trained(MonoForward(), NETS["MLP"], DATA)
    own = _module(written(model, tmp_path, "module")).Model()
    turned = IMAGES.transpose(-1, -2).contiguous().transpose(-1, -2)  # as permuted rows of a file are
    torch.testing.assert_close(own(turned), _expected(model), **CLOSE)


def _module(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("algorithm", "net"), each(DeeperForward, ForwardForward, ASGE))
def test_c(algorithm, net, tmp_path: Path):
    model = trained(algorithm, net, DATA)
    library = compiled(written(model, tmp_path, "c"), 3)
    torch.testing.assert_close(library.scores(IMAGES), _expected(model), **CLOSE)


@pytest.mark.parametrize(("algorithm", "net"), each(MonoForward))
def test_javascript(algorithm, net, tmp_path: Path):
    model = trained(algorithm, net, DATA)
    found = in_node(written(model, tmp_path, "js"), IMAGES)
    torch.testing.assert_close(torch.tensor(found["scores"]), _expected(model), **CLOSE)
    assert found["classes"] == list(DATA.class_names)


def test_the_error_function_of_gelu(tmp_path: Path):
    model = trained(MonoForward(), NETS["MLP"], DATA)
    for block in model.learner.blocks:
        assert isinstance(block.body, nn.Sequential)
        block.body[-1] = nn.GELU()
    own = _expected(model)
    found = in_node(written(model, tmp_path / "js", "js"), IMAGES)
    torch.testing.assert_close(torch.tensor(found["scores"]), own, **CLOSE)
    torch.testing.assert_close(compiled(written(model, tmp_path / "c", "c"), 3).scores(IMAGES), own, **CLOSE)
    values = torch.linspace(-6, 6, 101)
    script = (tmp_path / "js/model.mjs").read_text() + f"console.log(JSON.stringify({values.tolist()}.map(ERF)));"
    done = subprocess.run(
        [needs("node"), "--input-type=module"], input=script, capture_output=True, text=True, check=True
    )
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), torch.erf(values), rtol=1e-6, atol=0)


def test_c_takes_bytes(tmp_path: Path):
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    library = compiled(written(model, tmp_path, "c"), 3)
    pixels = DATA.test.pixels[:5]
    torch.testing.assert_close(library.scores(pixels, "_uint8"), _expected(model), **CLOSE)
    shifted = (pixels.int() - 128).to(torch.int8)
    torch.testing.assert_close(library.scores(shifted, "_int8"), _expected(model), **CLOSE)


@pytest.mark.parametrize("rule", ["all_blocks", "last_block"])
def test_another_rule(rule: str, tmp_path: Path):
    model = trained(DeeperForward(), NETS["CNN"], DATA, rule=rule)
    library = compiled(written(model, tmp_path, "c"), 3)
    torch.testing.assert_close(library.scores(IMAGES), _expected(model), **CLOSE)


def test_a_learner_is_exported_as_its_model_is(tmp_path: Path):
    model = trained(MonoForward(), NETS["MLP"], toy_images())
    model.learner.description = model.spec
    done = export(model.learner, tmp_path / "c", format="c")
    assert done.rule == model.rule and {"model.c", "model.h", "README.md"} <= set(done.files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"], "nothing else is left"


def test_a_folder_says_what_it_is(tmp_path: Path):
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    save_model(tmp_path / "run", model.learner, model.spec)
    done = export(tmp_path / "run", tmp_path / "out", format="c")
    assert set(done.files) == {"README.md", "export.json", "model.c", "model.h"}
    described = json.loads((tmp_path / "out/export.json").read_text())
    assert described["class_names"] == list(DATA.class_names) and described["rule"] == model.rule
    assert done.memory["working"] > 0 and done.memory["constants"] > 0
    assert "onward_scores" in (tmp_path / "out/README.md").read_text()


def test_a_table_says_what_its_numbers_are(tmp_path: Path):
    frame = pandas.DataFrame({"age": [20.0, 40.0, 60.0] * 20, "town": ["Oslo", "Rome"] * 30})
    data = from_arrays(frame, ["old" if age > 30 else "young" for age in frame["age"]])
    model = trained(MonoForward(), Dense(hidden=(8,)), data)
    library = compiled(written(model, tmp_path / "c", "c"), 2)
    rows = data.test.pixels[:5].float()
    torch.testing.assert_close(library.scores(rows), model.learner.predict_scores(rows), **CLOSE)
    said, header = ((tmp_path / "c" / name).read_text() for name in ("README.md", "model.h"))
    assert "A classifier of rows" in said and "Features, in order: age, town = Oslo (0 or 1), town = Rome" in said
    assert "[0, 1]" not in said + header and "int8_t" not in header
    assert json.loads((tmp_path / "c/export.json").read_text())["features"] == model.features
    with pytest.raises(ValueError, match=r"a page draws images .* this model takes rows: take --format js"):
        written(model, tmp_path / "page", "page")


def test_numbers_that_32_bits_do_not_tell_apart_are_refused(tmp_path: Path):
    generator = torch.Generator().manual_seed(0)
    days, other = 1e9 + torch.arange(60.0).double() % 7, torch.rand(60, generator=generator).double()
    for name, column, refused in (("times", days, True), ("days", days - 1e9, False)):
        frame = pandas.DataFrame({"when": column.numpy(), "other": other.numpy()})
        model = trained(MonoForward(), Dense(hidden=(8,)), from_arrays(frame, (days % 2).long()))
        model.learner.description = model.spec
        for format in ("torch", "c", "module"):
            if refused:
                with pytest.raises(ValueError, match=r"column 'when' are near 100000000[\d.]+ and differ by [12]"):
                    export(model.learner, tmp_path / name / format, format=format)
            else:
                export(model.learner, tmp_path / name / format, format=format)
    assert not (tmp_path / "times").exists()


@pytest.mark.parametrize("format", ["onnx", "c", "js"])
def test_least_squares_are_solved_before_the_export(format: Format, tmp_path: Path):
    model = trained(CaFo(predictor="least_squares"), NETS["CNN"], DATA)
    again = model_of(model.learner, model.spec)  # whose read-outs are not solved
    written(again, tmp_path, format)
    assert again.learner.predict_scores(IMAGES).abs().max() > 0
    if format == "c":
        torch.testing.assert_close(compiled(tmp_path, 3).scores(IMAGES), _expected(model), **CLOSE)


def test_numbers_in_another_unit_are_no_pixels(tmp_path: Path):
    pixels = DATA.train.pixels.float()  # up to 255
    images = trained(MonoForward(), NETS["MLP"], from_arrays(pixels, DATA.train.labels))
    assert "numbers in the unit of the training" in card(images, "c", None, {})
    with pytest.raises(ValueError, match=r"a page draws images with .* takes images of another unit"):
        written(images, tmp_path / "page", "page", Learning())
    ages = trained(MonoForward(), Dense(hidden=(8,)), from_arrays(torch.rand(60, 3), torch.rand(60), task="values"))
    said = card(ages, "js", None, {})
    assert "A regression of rows" in said and "1 number in the unit of the training" in said
    with pytest.raises(ValueError, match="a step that learns values is not exported, only one that learns classes"):
        written(ages, tmp_path / "step", "torch", Learning())


def test_models_of_tokens_are_refused():
    model = trained(MonoForward(), NETS["MLP"], DATA)
    spec = replace(model.spec, form=InputForm("tokens", model.spec.shape))
    with pytest.raises(ValueError, match=r"models of tokens are not exported: take learner.module\(\)"):
        model_of(model.learner, spec)


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"format": "tflite"}, "unknown format 'tflite': take one of onward, torch, onnx"),
        ({"format": "c", "rule": "nothing"}, "unknown inference rule 'nothing'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(settings, says: str, tmp_path: Path):
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    save_model(tmp_path / "run", model.learner, model.spec)
    with pytest.raises(ValueError, match=says):
        export(tmp_path / "run", tmp_path / "out", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_noisy_learner_is_refused():
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    with noisy(model.learner, Mismatch(0.1), seed=0), pytest.raises(ValueError, match="noisy or quantized chip"):
        model_of(model.learner, model.spec)


def test_onnx_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    with pytest.raises(ValueError, match=r"needs onnx and onnxscript: pip install 'onward\[export\]'"):
        written(model, tmp_path, "onnx")


def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnxscript", reason="needs onnx and onnxscript")

    def lacking(*_args, **_settings):
        missing = RuntimeError("No ONNX function found for <OpOverload(op='prims.odd', overload='default')>")
        raise torch.onnx.OnnxExporterError("step 3 of 3") from missing

    monkeypatch.setattr(torch.onnx, "export", lacking)
    model = trained(MonoForward(), NETS["MLP"], DATA)
    with pytest.raises(
        ValueError, match=r"operator prims\.odd cannot be written as ONNX \(model\.onnx\): take --format"
    ):
        written(model, tmp_path, "onnx")


def test_a_model_folder_is_opened_by_name(tmp_path: Path):
    model = trained(DeeperForward(), NETS["MLP"], DATA)
    save_model(tmp_path / "run", model.learner, model.spec)
    opened = open_model(tmp_path / "run")
    assert (opened.name, opened.rule) == ("DeeperForward", model.rule)
