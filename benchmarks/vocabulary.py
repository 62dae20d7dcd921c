"""Language models of 50,000 tokens: what the local losses of a large vocabulary cost, and how well they learn.

A transformer of four layers of 64 reads the sources of the standard library of Python in 50,000 byte pairs, made from
that text (needs tokenizers, `onward[models]`). A few steps at one rate and one seed: a look at the start alone.
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from any_model import _WARMUP, Stock, _memory, _seconds
from any_model_data import Rows
from any_model_subjects import library
from onward.algorithms import Backprop, MonoForward
from onward.core import TrainerSettings
from onward.costs.step_benchmark import interleave
from onward.modules import LocalModel, local
from report import Order, begin, file, finish

_WORDS, _WIDTH, _LAYERS, _LENGTH, _BATCH, _STEPS, _RATE = 50_000, 64, 4, 32, 4, 40, 0.003
_WAYS = {
    "backprop": ([], "own"),
    "every layer, own heads": ([f"layers.{k}" for k in range(_LAYERS - 1)], "own"),
    "every layer, shared head": ([f"layers.{k}" for k in range(_LAYERS - 1)], "shared"),
    "spans of two layers, own heads": (["layers.1"], "own"),
    "spans of two layers, shared head": (["layers.1"], "shared"),
}


def main() -> None:
    order = begin(__doc__ or "")
    torch.set_num_threads(1)  # time is that of the processor, and other work may run on it
    words = 200 if order.quick else _WORDS
    train, test = _noise(words) if order.quick else _sources(words)
    title, rows = f"A transformer of {words:,} tokens: local beside backprop", []
    costs = _costs(words, train, order)
    for name, cost in costs.items():
        print(name, flush=True)
        rows.append({**cost, **_learned(name, words, train, test)})
        file("vocabulary", order, title, rows)
    finish("vocabulary", order, title, rows)


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
    cut, heads = _WAYS[name]
    algorithm = MonoForward() if cut else Backprop(of=MonoForward())
    settings = TrainerSettings(learning_rate=_RATE, warmup=_WARMUP)
    return local(
        Writer(words).train(), batch, algorithm, cut=cut or 1, heads=heads, task="next_token", settings=settings
    )


def _costs(words: int, train: dict[str, Tensor], order: Order) -> dict[str, dict[str, Any]]:
    batch = {name: tensor[:_BATCH] for name, tensor in train.items()}
    stands = {name: _made(name, words, batch) for name in _WAYS}
    rows: dict[str, dict[str, Any]] = {}
    for name, trained in stands.items():
        cost = _memory(Stock.of(trained), lambda trained=trained: trained.step(batch), batch)
        added = sum(p.numel() for head in trained.heads for n, p in _own(head.block))
        rows[name] = {"trained": name, "memory_MB": cost.peak / 1e6, "moving_MB": cost.moving / 1e6, "added": added}
    steps = [lambda trained=trained: _seconds(lambda: trained.step(batch)) for trained in stands.values()]
    for row, seconds in zip(rows.values(), interleave(steps, order.steps), strict=True):
        row["step_ms"] = 1000 * sorted(seconds)[len(seconds) // 2]
    first = rows["backprop"]
    for row in rows.values():
        row["memory_of_backprop"] = row["memory_MB"] / first["memory_MB"]
        row["step_of_backprop"] = row["step_ms"] / first["step_ms"]
    return rows


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
