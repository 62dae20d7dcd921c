"""Models of timm and transformers, small and untrained: they learn as they stand. Skipped where these are missing."""

import pytest
import torch
from torch import nn

from onward.algorithms import DistanceForward, MonoForward, PredSim
from onward.modules import local


def _library(name: str):
    try:
        return pytest.importorskip(name)
    except RuntimeError as error:  # torchvision of another torch
        pytest.skip(f"{name} cannot be imported: {error}")


def learns(model: nn.Module, batch, algorithm=None, **options) -> None:
    torch.manual_seed(0)
    trained = local(model, batch, algorithm or MonoForward(), **options)
    assert len(trained.plan.parts) > 1
    first = trained.step(batch)
    for _ in range(3):
        last = trained.step(batch)
    assert last.isfinite().all() and last.sum() < first.sum()
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet18", 64),
        ("convnext_atto", 64),
        ("efficientnet_b0", 64),
        ("mobilenetv3_small_100", 64),
        ("regnetx_002", 64),
        ("densenet121", 64),
        ("vit_tiny_patch16_224", 224),
        ("mixer_s32_224", 224),
        ("swin_tiny_patch4_window7_224", 224),
    ],
)
def test_timm(name: str, side: int):
    timm = _library("timm")
    for algorithm in (MonoForward(), PredSim(), DistanceForward(collaboration="none")):
        model = timm.create_model(name, num_classes=4)
        learns(model, (torch.randn(4, 3, side, side), torch.arange(4)), algorithm)


def _texts() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 90, (6, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(6, 12, dtype=torch.long)
    mask[:3, 7:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [MonoForward(), PredSim()], ids=lambda a: type(a).__name__)
def test_transformers(algorithm):
    transformers = _library("transformers")
    sizes = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    bert = transformers.BertConfig(**sizes, intermediate_size=64, num_labels=3)
    texts, classes = _texts(), torch.arange(6) % 3
    learns(transformers.BertForSequenceClassification(bert), {**texts, "labels": classes}, algorithm)
    tags = {**texts, "labels": texts["input_ids"] % 3}
    learns(transformers.BertForTokenClassification(bert), tags, algorithm)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    gpt = transformers.GPT2Config(vocab_size=99, n_embd=32, n_layer=4, n_head=2, n_positions=64, **ends)
    learns(transformers.GPT2LMHeadModel(gpt), texts, algorithm, task="next_token")
    llama = transformers.LlamaConfig(**sizes, intermediate_size=64)
    learns(transformers.LlamaForCausalLM(llama), texts["input_ids"], algorithm, task="next_token")
    vit = transformers.ViTConfig(**{**sizes, "intermediate_size": 64, "image_size": 16, "patch_size": 4})
    images = (torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 0, 1]))
    learns(transformers.ViTForImageClassification(vit), images, algorithm)
