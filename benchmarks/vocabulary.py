"""Language models of 50,000 tokens: what the local losses of a large vocabulary cost, and how well they learn.

A transformer of four layers of 64 reads the sources of the standard library of Python in 50,000 byte pairs, made from
that text (needs tokenizers, `onward[models]`). Few steps at one rate and one seed: a look at the start alone. Started
again, only the ways that are not on file are measured.
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from any_model import _WARMUP, Stock, _memory, _seconds
from any_model_data import Rows
from any_model_subjects import library
from onward.algorithms import Backprop, MonoForward
from onward.core import TrainerSettings
from onward.costs.step_benchmark import interleave
from onward.modules import LocalModel, local
from report import Order, begin, file, finish, rows_of

_WORDS, _WIDTH, _LAYERS, _LENGTH, _BATCH, _STEPS, _RATE = 50_000, 64, 4, 32, 4, 200, 0.003
_EACH, _SPANS = [f"layers.{k}" for k in range(_LAYERS - 1)], ["layers.1"]


class Way(NamedTuple):
    """Where the transformer is cut, and what reads its blocks; `frozen`: its output head stays as it was drawn."""

    cut: list[str]
    heads: str
    frozen: bool = False


_WAYS = {
    "backprop": Way([], "own"),
    "every layer, own heads": Way(_EACH, "own"),
    "every layer, shared head": Way(_EACH, "shared"),
    "every layer, shared head, frozen": Way(_EACH, "shared", frozen=True),
    "every layer, shared head, sampled": Way(_EACH, "sampled"),
    "spans of two layers, own heads": Way(_SPANS, "own"),
    "spans of two layers, shared head": Way(_SPANS, "shared"),
    "spans of two layers, shared head, sampled": Way(_SPANS, "sampled"),
}


def main() -> None:
    order = begin(__doc__ or "", parts=[*_WAYS])
    torch.set_num_threads(1)  # time is that of the processor, and other work may run on it
    words = 200 if order.quick else _WORDS
    title, known = f"A transformer of {words:,} tokens: local beside backprop", _known(order)
    asked = order.only or [name for name in _WAYS if name not in known]
    train, test = (_noise(words) if order.quick else _sources(words)) if asked else ({}, {})
    for name in asked:
        print(name, flush=True)
        known[name] = {"trained": name, **_cost(name, words, train, order), **_learned(name, words, train, test)}
        file("vocabulary", order, title, _beside_backprop(known))
    finish("vocabulary", order, title, _beside_backprop(known))


def _known(order: Order) -> dict[str, dict[str, Any]]:
    return {} if order.quick else {row["trained"]: row for row in rows_of("vocabulary", order)}


def _beside_backprop(known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    rows = [known[name] for name in _WAYS if name in known]
    for row in rows if "backprop" in known else []:
        row["memory_of_backprop"] = row["memory_MB"] / known["backprop"]["memory_MB"]
        row["step_of_backprop"] = row["step_ms"] / row["backprop_ms"]
    return rows


class Writer(nn.Module):
    """A transformer that gives scores of the next token."""

    def __init__(self, words: int):
        super().__init__()
        self.words, self.places = nn.Embedding(words, _WIDTH), nn.Embedding(_LENGTH, _WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(_WIDTH, 4, 2 * _WIDTH, 0.0, batch_first=True, norm_first=True)
            for _ in range(_LAYERS)
        )
        self.norm, self.head = nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, words, bias=False)
        for table in (self.words, self.places, self.head):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, input_ids: Tensor) -> Tensor:
        length = input_ids.shape[1]
        x = self.words(input_ids) + self.places(torch.arange(length))
        causal = nn.Transformer.generate_square_subsequent_mask(length)
        for layer in self.layers:
            x = layer(x, src_mask=causal, is_causal=True)
        return self.head(self.norm(x))


def _made(name: str, words: int, batch: dict[str, Tensor]) -> LocalModel:
    torch.manual_seed(0)
    way, model = _WAYS[name], Writer(words).train()
    model.head.requires_grad_(not way.frozen)
    algorithm = MonoForward() if way.cut else Backprop(of=MonoForward())
    settings = TrainerSettings(learning_rate=_RATE, warmup=_WARMUP)
    return local(model, batch, algorithm, cut=way.cut or 1, heads=way.heads, task="next_token", settings=settings)


def _cost(name: str, words: int, train: dict[str, Tensor], order: Order) -> dict[str, Any]:
    """Return what a step costs; its time is that beside steps of backprop, which alternate with it."""
    batch = {key: tensor[:_BATCH] for key, tensor in train.items()}
    trained, control = _made(name, words, batch), _made("backprop", words, batch)
    cost = _memory(Stock.of(trained), lambda: trained.step(batch), batch)
    control.step(batch)
    steps = [lambda model=model: _seconds(lambda: model.step(batch)) for model in (trained, control)]
    own, backprop = (1000 * median(seconds) for seconds in interleave(steps, order.steps))
    added = sum(p.numel() for head in trained.heads for _, p in _own(head.block))
    moving = {"memory_MB": cost.peak / 1e6, "moving_MB": cost.moving / 1e6, "added": added}
    return {**moving, "step_ms": own, "backprop_ms": backprop}


def _own(block: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, p) for name, p in block.named_parameters() if not name.startswith("body."))


def _learned(name: str, words: int, train: dict[str, Tensor], test: dict[str, Tensor]) -> dict[str, Any]:
    loader = Rows(train, _BATCH, seed=0)
    trained = _made(name, words, loader.batch(torch.arange(_BATCH)))
    trained.fit(loader)
    metrics = trained.evaluate(Rows(test, 10))
    return {"bits": metrics["bits"], "accuracy": 100 * metrics["accuracy"], "steps": len(loader), "rate": _RATE}


def _sources(words: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return windows of tokens of the standard library for training, and others for the test."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(p for p in folder.rglob("*.py") if not {"site-packages", "test", "tests"} & set(p.parts))
    tokenizers = library("tokenizers")
    byte_level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = byte_level
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=words, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train([str(path) for path in paths], trainer)
    assert tokenizer.get_vocab_size() == words
    order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(0)).tolist()
    ids: list[int] = []
    for k in order[:120]:
        ids += tokenizer.encode(paths[k].read_text(errors="ignore")).ids
    windows = torch.tensor(ids[: len(ids) // _LENGTH * _LENGTH]).view(-1, _LENGTH)
    windows = windows[torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))]
    count = _STEPS * _BATCH
    return {"input_ids": windows[:count]}, {"input_ids": windows[count : count + 100]}


def _noise(words: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    ids = torch.randint(words, (4 * _BATCH, _LENGTH), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids[: 3 * _BATCH]}, {"input_ids": ids[3 * _BATCH :]}


if __name__ == "__main__":
    main()
