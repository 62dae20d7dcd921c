"""Models of timm and transformers, small and untrained: they learn as they stand. Skipped where these are missing."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from onward.algorithms import DistanceForward, MonoForward, PredSim
from onward.modules import local

_BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch):
    """Import a library as the benchmarks do, whatever torchvision stands beside it; skip where it is missing."""
    monkeypatch.syspath_prepend(_BENCHMARKS)
    from any_model_subjects import library  # pyright: ignore[reportMissingImports]

    def imported(name: str) -> Any:
        try:
            return library(name)
        except ModuleNotFoundError as error:
            pytest.skip(str(error))

    yield imported
    for name in ("any_model_data", "any_model_subjects"):
        sys.modules.pop(name, None)


def assert_learns(model: nn.Module, batch, algorithm=None, **options) -> None:
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
def test_timm(library, name: str, side: int):
    timm = library("timm")
    for algorithm in (MonoForward(), PredSim(), DistanceForward(collaboration="none")):
        model = timm.create_model(name, num_classes=4)
        assert_learns(model, (torch.randn(4, 3, side, side), torch.arange(4)), algorithm)


def _texts() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 90, (6, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(6, 12, dtype=torch.long)
    mask[:3, 7:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [MonoForward(), PredSim()], ids=lambda a: type(a).__name__)
def test_transformers(library, algorithm):
    transformers = library("transformers")
    sizes = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    bert = transformers.BertConfig(**sizes, intermediate_size=64, num_labels=3)
    texts, classes = _texts(), torch.arange(6) % 3
    assert_learns(transformers.BertForSequenceClassification(bert), {**texts, "labels": classes}, algorithm)
    tags = {**texts, "labels": texts["input_ids"] % 3}
    assert_learns(transformers.BertForTokenClassification(bert), tags, algorithm)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    gpt = transformers.GPT2Config(vocab_size=99, n_embd=32, n_layer=4, n_head=2, n_positions=64, **ends)
    assert_learns(transformers.GPT2LMHeadModel(gpt), texts, algorithm, task="next_token")
    llama = transformers.LlamaConfig(**sizes, intermediate_size=64)
    assert_learns(transformers.LlamaForCausalLM(llama), texts["input_ids"], algorithm, task="next_token")
    vit = transformers.ViTConfig(**{**sizes, "intermediate_size": 64, "image_size": 16, "patch_size": 4})
    images = (torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 0, 1]))
    assert_learns(transformers.ViTForImageClassification(vit), images, algorithm)


_SIZES = {
    "vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": 3,
}  # fmt: skip
_T5 = {"vocab_size": 99, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2, "num_labels": 3}
_READERS = {
    "DistilBert": {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "Roberta": {},
    "Albert": {"embedding_size": 8, "num_hidden_groups": 3},
    "Electra": {"embedding_size": 8},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "FNet": {"type_vocab_size": 2},
}
_WRITERS = {
    "Llama": {},
    "Mistral": {"num_key_value_heads": 1},
    "Mixtral": {"num_key_value_heads": 1, "num_local_experts": 4},
    "Gemma2": {"num_key_value_heads": 1, "head_dim": 8},
    "Mamba": {"state_size": 4},
    "GPTNeoX": {},
}
_SEERS = {
    "ViT": {**_SIZES, "image_size": 32, "patch_size": 8},
    "Dinov2": {**_SIZES, "image_size": 32, "patch_size": 8},
    "ConvNext": {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 2, 1], "num_labels": 3},
    "MobileNetV2": {"depth_multiplier": 0.25, "image_size": 32, "num_labels": 3},
    "Swin": {
        "image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2], "window_size": 4,
        "num_labels": 3,
    },
}  # fmt: skip


def _made(transformers: Any, name: str, ending: str, sizes: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    return getattr(transformers, f"{name}For{ending}")(getattr(transformers, f"{name}Config")(**sizes)).train()


@pytest.mark.slow
@pytest.mark.parametrize("name", _READERS)
def test_readers_of_transformers(library, name: str):
    batch = {**_texts(), "labels": torch.arange(6) % 3}
    if name == "FNet":
        del batch["attention_mask"]
    model = _made(library("transformers"), name, "SequenceClassification", {**_SIZES, **_READERS[name]})
    assert_learns(model, batch)
    trained = local(model, batch, MonoForward())
    assert sum(cut.endswith(("layer.0", "layer.1", "groups.0", "groups.1")) for cut in trained.cuts) == 2
    assert not any("word_embeddings" in cut for cut in trained.cuts)


@pytest.mark.slow
@pytest.mark.parametrize("name", _WRITERS)
def test_writers_of_transformers(library, name: str):
    batch = {"input_ids": _texts()["input_ids"]}
    assert_learns(
        _made(library("transformers"), name, "CausalLM", {**_SIZES, **_WRITERS[name]}), batch, task="next_token"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", _SEERS)
def test_seers_of_transformers(library, name: str):
    batch = (torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))
    assert_learns(_made(library("transformers"), name, "ImageClassification", _SEERS[name]), batch)


@pytest.mark.slow
def test_encoders_and_decoders_of_transformers(library):
    transformers, texts = library("transformers"), _texts()
    whisper = transformers.WhisperConfig(
        vocab_size=99, d_model=16, encoder_layers=3, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=8, max_source_positions=20,
        num_labels=3, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    sounds = (torch.randn(6, 8, 40), torch.arange(6) % 3)
    assert_learns(transformers.WhisperForAudioClassification(whisper).train(), sounds)
    closed = torch.cat([texts["input_ids"], torch.ones(6, 1, dtype=torch.long)], dim=1)
    reader = _made(transformers, "T5", "SequenceClassification", {**_T5, "decoder_start_token_id": 0})
    assert_learns(reader, {"input_ids": closed, "labels": torch.arange(6) % 3})
    writer = _made(transformers, "T5", "ConditionalGeneration", {**_T5, "decoder_start_token_id": 0})
    batch = {**texts, "decoder_input_ids": texts["input_ids"][:, :9], "labels": texts["input_ids"][:, :9]}
    assert_learns(writer, batch, task="tokens")
    with pytest.raises(ValueError, match=r"shared\.weight is tied across blocks"):
        local(writer, batch, MonoForward(), task="tokens", cut=["decoder.block.0"])


def test_a_decoder_reads_the_labels_moved_on_and_its_own_mask(library):
    transformers, texts = library("transformers"), _texts()
    labels = texts["input_ids"].clone().masked_fill(torch.arange(12) > 7, -100)
    sizes = {"vocab_size": 99, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 32}
    sizes |= {"decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "dropout": 0.0}
    bart = transformers.BartForConditionalGeneration(transformers.BartConfig(**sizes, max_position_embeddings=32))
    batch = {**texts, "labels": labels}
    trained = local(bart, batch, MonoForward(), task="tokens", cut=1)
    torch.testing.assert_close(trained.predict_scores(batch), bart.eval()(**batch).logits)
    loss = bart(**batch).loss  # the mean over targets that count, whatever the encoder's mask says
    torch.testing.assert_close(trained.step(batch)[-1], loss.detach())


@pytest.mark.slow
def test_what_transformers_has_several_outputs_of_is_refused(library):
    transformers, texts = library("transformers"), _texts()
    bert = transformers.BertForPreTraining(transformers.BertConfig(**_SIZES))
    with pytest.raises(ValueError, match="several outputs"):
        local(bert, {**texts, "labels": texts["input_ids"]}, MonoForward(), task="tokens")
    reader = transformers.BertForQuestionAnswering(transformers.BertConfig(**{**_SIZES, "num_labels": 2}))
    with pytest.raises(ValueError, match=r"several outputs.*parts of one tensor"):
        local(reader, {**texts, "labels": torch.arange(6) % 3}, MonoForward())
    towers = {name: {**_SIZES, "image_size": 32, "patch_size": 8} for name in ("text_config", "vision_config")}
    clip = transformers.CLIPModel(transformers.CLIPConfig(**towers, projection_dim=8))
    batch = {"input_ids": texts["input_ids"], "pixel_values": torch.randn(6, 3, 32, 32)}
    with pytest.raises(ValueError, match="rows of a batch against each other"):
        local(clip, batch, MonoForward(), cut=["text_model"])
