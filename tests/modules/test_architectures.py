"""The 18 architectures that own models were first tried on, one by one.

| architecture | from | cut after | as a learner |
|---|---|---|---|
| ResNet-18 | timm | residual blocks | yes |
| ConvNeXt | timm | blocks and stages | yes |
| MobileNetV3 | timm | inverted residuals | yes |
| EfficientNet-B0 | timm | inverted residuals | yes |
| MLP-Mixer | timm | layers | yes |
| ViT | timm | layers | yes |
| Swin, maps with channels last | timm | layers | yes |
| ResNet-18 | torchvision | residual blocks | yes |
| ResNet | transformers | layers | yes |
| ViT | transformers | layers | yes |
| BERT with a padding mask | transformers | layers | no: the mask passes every cut |
| GPT-2, next token | transformers | layers | no: the embedding is tied to the output |
| Llama, next token | transformers | layers | yes |
| transformer encoder on token ids | torch | layers | yes |
| GRU on token ids | torch | layers | yes |
| 1-D CNN | torch | layers | yes |
| MLP on a table | torch | layers | yes |
| CNN whose last layer flattens | torch | layers | yes |

For each: the stretches between the cuts give the model's own output to the last bit, training them as a learner gives
the losses and weights of training in the model's own pass to the last bit, no gradient leaves its block, and what is
trained is the user's own model: it is saved, loaded and exported as before. Skipped where a library is missing.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from kinds import KINDS, counting
from torch import Tensor, nn

from onward.algorithms import MonoForward
from onward.core import LocalTrainer, TrainerSettings
from onward.modules import LocalModel, local
from onward.modules.batch import as_batch, check_target
from onward.nets.outputs import leading_tensor
from onward.nets.recorded_pass import feed_module

_BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
_SETTINGS = TrainerSettings(learning_rate=0.003, schedule="constant")
_SIZES = {
    "vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": 4, "use_cache": False,
}  # fmt: skip


class Architecture(NamedTuple):
    name: str
    package: str | None
    make: Callable[[Any], nn.Module]
    batch: Callable[[], Any]
    task: str | None = None
    no_chain: str | None = None
    """What a learner of it is refused for."""


class Ids(nn.Module):
    """A row of layers on token ids."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.words, self.layers, self.head = nn.Embedding(20, 12), nn.ModuleList(layers), nn.Linear(12, 20)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        for layer in self.layers:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return self.head(x)


def _pictures(side: int = 32) -> tuple[Tensor, Tensor]:
    return torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4


def _masked() -> dict[str, Tensor]:
    mask = torch.ones(6, 9, dtype=torch.long)
    mask[:3, 6:] = 0
    return {"input_ids": counting()[:6, :9], "attention_mask": mask, "labels": torch.arange(6) % 4}


def _timm(name: str, **options: Any) -> Callable[[Any], nn.Module]:
    return lambda timm: timm.create_model(name, num_classes=4, **options)


def _hugging(name: str, **sizes: Any) -> Callable[[Any], nn.Module]:
    def make(transformers: Any) -> nn.Module:
        config = getattr(transformers, name.replace("LMHeadModel", "For").partition("For")[0] + "Config")(
            **{**_SIZES, **sizes}
        )
        return getattr(transformers, name)(config)

    return make


def _own(name: str) -> Architecture:
    kind = next(kind for kind in KINDS if kind.name == name)
    return Architecture(name, None, lambda _: kind.make(), kind.batch, kind.task)


def _encoders() -> list[nn.Module]:
    return [nn.TransformerEncoderLayer(12, 2, 24, 0.0, batch_first=True, norm_first=True) for _ in range(3)]


_VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
_SWIN = {"img_size": 32, "patch_size": 2, "embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2), "window_size": 4}
ARCHITECTURES = (
    Architecture("ResNet-18 of timm", "timm", _timm("resnet18"), _pictures),
    Architecture("ConvNeXt of timm", "timm", _timm("convnext_atto", depths=(1, 1, 2, 1)), _pictures),
    Architecture("MobileNetV3 of timm", "timm", _timm("mobilenetv3_small_050"), lambda: _pictures(64)),
    Architecture("EfficientNet-B0 of timm", "timm", _timm("efficientnet_b0"), lambda: _pictures(64)),
    Architecture("MLP-Mixer of timm", "timm", _timm("mixer_s16_224", img_size=32), _pictures),
    Architecture("ViT of timm", "timm", _timm("vit_tiny_patch16_224", **_VIT), _pictures),
    Architecture("Swin of timm", "timm", _timm("swin_tiny_patch4_window7_224", **_SWIN), _pictures),
    Architecture("ResNet-18 of torchvision", "torchvision", lambda tv: tv.models.resnet18(num_classes=4), _pictures),
    Architecture(
        "ResNet of transformers", "transformers",
        _hugging("ResNetForImageClassification", hidden_sizes=[8, 12, 16, 20], depths=[1, 2, 1, 1], embedding_size=8,
                 layer_type="basic"),
        _pictures,
    ),
    Architecture(
        "ViT of transformers", "transformers",
        _hugging("ViTForImageClassification", image_size=32, patch_size=8), _pictures,
    ),
    Architecture(
        "BERT of transformers", "transformers", _hugging("BertForSequenceClassification"), _masked,
        no_chain="takes one tensor",
    ),
    Architecture(
        "GPT-2 of transformers", "transformers",
        _hugging("GPT2LMHeadModel", n_embd=16, n_layer=3, n_head=2, n_positions=16),
        lambda: counting()[:, :9], "next_token", "is tied across blocks",
    ),
    Architecture(
        "Llama of transformers", "transformers", _hugging("LlamaForCausalLM"), lambda: counting()[:, :9], "next_token"
    ),
    Architecture("transformer encoder on ids", None, lambda _: Ids(_encoders()), counting, "tokens"),
    Architecture(
        "GRU on ids", None, lambda _: Ids([nn.GRU(12, 12, batch_first=True) for _ in range(3)]), counting, "tokens"
    ),
    _own("1-D CNN"),
    _own("table"),
    _own("CNN that flattens"),
)  # fmt: skip
assert len(ARCHITECTURES) == 18


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(_BENCHMARKS)
    from any_model_subjects import library  # pyright: ignore[reportMissingImports]

    yield library
    for name in ("any_model_data", "any_model_subjects"):
        sys.modules.pop(name, None)


def _batch(architecture: Architecture) -> Any:
    batch = architecture.batch()
    return (batch, batch.roll(-1, 1)) if architecture.task == "tokens" else batch


def _output(model: nn.Module, inputs: Any) -> Tensor:
    with torch.no_grad():
        found = leading_tensor(feed_module(model, inputs))
    assert found is not None
    return found


def _same(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # torch's own, of recurrent layers
@pytest.mark.parametrize(
    "architecture",
    [pytest.param(a, id=a.name, marks=[pytest.mark.slow] if a.package else []) for a in ARCHITECTURES],
)
def test_it_conforms(architecture: Architecture, library, tmp_path):
    try:
        found = library(architecture.package) if architecture.package else None
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    torch.manual_seed(0)
    model, batch = architecture.make(found).train(), _batch(architecture)
    makes = [local(copy.deepcopy(model), batch, MonoForward(), task=architecture.task, settings=_SETTINGS, seed=3)
             for _ in range(3)]  # fmt: skip
    assert len(makes[0].plan.parts) >= 2 and not makes[0].plan.unreached
    _assert_gradients_stay(makes[0], makes[1], batch)
    own = local(copy.deepcopy(model), batch, MonoForward(), task=architecture.task, settings=_SETTINGS, seed=3)
    _assert_chain(own, makes[2], batch, architecture.no_chain)
    assert own.step(batch).isfinite().all()
    _assert_round_trip(own.module(), architecture.make(found), as_batch(batch).inputs, tmp_path)


def _assert_gradients_stay(given: LocalModel, other: LocalModel, batch: Any) -> None:
    """Another last block cannot move the weights of the blocks before it."""
    with torch.no_grad():
        for name, parameter in other.model.named_parameters():
            if name in other.plan.parts[-1].weights and name not in other.plan.tied:
                parameter.mul_(1.5).add_(0.1)
    before = {name: parameter.clone() for name, parameter in given.model.named_parameters()}
    given.step(batch)
    other.step(batch)
    weights, others = dict(given.model.named_parameters()), dict(other.model.named_parameters())
    for part in given.plan.parts[:-1]:
        assert all(torch.equal(weights[name], others[name]) for name in part.weights)
        assert any(not torch.equal(weights[name], before[name]) for name in part.weights)


def _assert_chain(own: LocalModel, other: LocalModel, batch: Any, refused: str | None) -> None:
    """The stretches give the model's output, and train to the same losses and weights, to the last bit."""
    if refused is not None:
        with pytest.raises(ValueError, match=refused):
            other.as_learner(batch)
        return
    x, y = as_batch(batch)
    y = check_target(y, own.plan.task, own.plan.outputs, x, -100, own.plan.parts[-1].layout)
    learner = other.as_learner(batch)
    trainer = LocalTrainer(learner, _SETTINGS, seed=3)
    for step in range(2):
        assert torch.equal(own.step(batch), trainer.step(x, y, step=step))
    assert _same(own.model, other.model)
    learner.eval()
    with torch.no_grad():
        activity = x
        for block in learner.blocks:
            activity = block.body(activity)
    assert torch.equal(activity, own.predict_scores(x))
    learner.train()


def _assert_round_trip(model: nn.Module, fresh: nn.Module, inputs: Any, folder: Path) -> None:
    expected = _output(model.eval(), inputs)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(_output(fresh.eval(), inputs), expected)
    save: Any = getattr(model, "save_pretrained", None)
    if save is not None:
        save(folder / "saved")
        loaded = type(model).from_pretrained(folder / "saved")  # pyright: ignore[reportAttributeAccessIssue]
        assert torch.equal(_output(loaded.eval(), inputs), expected)
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else ((inputs,), {})
    exported = leading_tensor(torch.export.export(model, args, kwargs).module()(*args, **kwargs))
    assert exported is not None and torch.allclose(exported, expected, atol=1e-5)
