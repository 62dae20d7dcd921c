"""Small networks of the kinds that people bring, each with a toy task that it can learn."""
# B batch, C channels, D features, H W map, T tokens

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Kind(NamedTuple):
    """A network, what makes one, a batch of its task, and the names of the cuts that are made in it."""

    name: str
    make: Callable[[], nn.Module]
    batch: Callable[[], Any]
    task: str | None = None
    classes: int = 4


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.second(self.act(self.norm(self.first(x)))))
        out += self.short(x)
        return self.act(out)


class Depthwise(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.depth = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        return x + self.down(nn.functional.gelu(self.up(y))).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """A pre-norm transformer layer that takes a padding mask."""

    def __init__(self, width: int, dropout: float = 0.0):
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None = None, causal: Tensor | None = None) -> Tensor:
        y = self.norm(x)
        y, _ = self.attention(y, y, y, key_padding_mask=padding, attn_mask=causal, need_weights=False)
        x = x + self.drop(y)
        return x + self.drop(self.feed(self.norm2(x)))


class ViT(nn.Module):
    def __init__(self, width: int = 16, depth: int = 3, dropout: float = 0.0):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, 17, width) * 0.1)
        self.layers = nn.ModuleList([Encoder(width, dropout) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


class MixerLayer(nn.Module):
    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
        self.within = nn.Sequential(nn.Linear(width, 24), nn.GELU(), nn.Linear(24, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 12, 2, 2)
        self.layers = nn.Sequential(*[MixerLayer(16, 12) for _ in range(3)])
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))


class Swinlike(nn.Module):
    """Maps with their channels on the last axis."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 12, 2, 2)
        self.layers = nn.ModuleList([nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 12), nn.GELU()) for _ in range(3)])
        self.merge = nn.Linear(48, 12)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        for layer in self.layers:
            x = x + layer(x)
        x = torch.cat([x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]], dim=-1)
        return self.head(self.merge(x).mean(dim=(1, 2)))


class Reader(nn.Module):
    """BERT's kind: ids and a mask in, classes out."""

    def __init__(self, width: int = 16, depth: int = 3):
        super().__init__()
        self.words, self.places = nn.Embedding(20, width), nn.Embedding(12, width)
        self.layers = nn.ModuleList([Encoder(width) for _ in range(depth)])
        self.pooler, self.head = nn.Linear(width, width), nn.Linear(width, 4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> dict[str, Tensor]:
        x = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1]))
        padding = None if attention_mask is None else attention_mask == 0
        for layer in self.layers:
            x = layer(x, padding=padding)
        return {"logits": self.head(torch.tanh(self.pooler(x[:, 0])))}


class Writer(nn.Module):
    """GPT's kind: the next token of each, the output head tied to the embedding."""

    def __init__(self, width: int = 16, depth: int = 3, *, tied: bool = True):
        super().__init__()
        self.words, self.places = nn.Embedding(20, width), nn.Embedding(12, width)
        self.layers = nn.ModuleList([Encoder(width) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 20, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).triu(1)
        x = self.words(ids) + self.places(torch.arange(length))
        for layer in self.layers:
            x = layer(x, causal=causal)
        return self.head(self.norm(x))


class Gated(nn.Module):
    """Llama's kind of layer: root mean square norms, rotary positions, a gated feed-forward part, no bias."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, 2 * width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm(x)).chunk(3, dim=-1)
        query, key = (self._turned(part, angles)[:, None] for part in (query, key))
        read = nn.functional.scaled_dot_product_attention(query, key, value[:, None], is_causal=True)
        x = x + self.out(read[:, 0])
        y = self.norm2(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))

    def _turned(self, x: Tensor, angles: Tensor) -> Tensor:
        one, other = x.chunk(2, dim=-1)
        cosine, sine = angles.cos(), angles.sin()
        return torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=-1)


class Llama(nn.Module):
    """The next token of each; positions turn what attention compares, and reach every layer beside the tokens."""

    def __init__(self, width: int = 16, depth: int = 3):
        super().__init__()
        self.words = nn.Embedding(20, width)
        self.layers = nn.ModuleList([Gated(width) for _ in range(depth)])
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, 20, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        angles = torch.arange(ids.shape[1])[:, None] / 10 ** torch.arange(x.shape[-1] // 2)
        for layer in self.layers:
            x = layer(x, angles)
        return self.head(self.norm(x))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.GRU(inputs, 12, batch_first=True) for inputs in (3, 12, 12)])
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


class UNet(nn.Module):
    """Skips from the way down to the way up; one label per pixel."""

    def __init__(self):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())
        self.side = nn.Conv2d(8, 8, 1)
        self.up = nn.Sequential(nn.Conv2d(24, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        side = self.side(first)
        low = self.down2(first)
        low = nn.functional.interpolate(low, scale_factor=2)
        return self.head(self.up(torch.cat([low, side], dim=1)))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(1 + 4 * k, 4, 3, 1, 1) for k in range(3)])
        self.narrow = nn.Conv2d(13, 8, 1)
        self.more = nn.Conv2d(8, 8, 3, 1, 1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x).relu()], dim=1)
        x = nn.functional.avg_pool2d(self.narrow(x), 2)
        x = torch.cat([x, self.more(x).relu()], dim=1)
        return self.head(x.mean(dim=(2, 3)))


def images() -> tuple[Tensor, Tensor]:
    """Return 16 images of 8 x 8 with a bright square in one of four corners."""
    labels = torch.arange(16) % 4
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for image, label in zip(x, labels.tolist(), strict=True):
        image[0, 4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 2
    return x - x.mean(), labels


def pixels() -> tuple[Tensor, Tensor]:
    x, _ = images()
    return x, (x[:, 0] > 0.5).long()


def rows() -> tuple[Tensor, Tensor]:
    """Return 16 rows of a table whose class is in two of six columns."""
    x, labels = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 4
    x[:, 0], x[:, 1] = (labels // 2) * 2.0 - 1, (labels % 2) * 2.0 - 1
    return x, labels


def windows() -> tuple[Tensor, Tensor]:
    """Return 16 windows [3 sensors, 20 times] of four frequencies."""
    labels = torch.arange(16) % 4
    time = torch.arange(20.0)[None, None] * (labels[:, None, None] + 1) / 4
    return torch.sin(time + torch.arange(3)[None, :, None] + 0.1 * torch.arange(16)[:, None, None]), labels


def steps() -> tuple[Tensor, Tensor]:
    x, labels = windows()
    return x.transpose(1, 2).contiguous(), labels


def texts() -> dict[str, Tensor]:
    """Return 16 texts of up to 10 tokens, padded; the class is told by their kind of token."""
    labels = torch.arange(16) % 4
    ids = torch.randint(1, 5, (16, 10), generator=torch.Generator().manual_seed(0)) + 4 * labels[:, None]
    mask = torch.ones(16, 10, dtype=torch.long)
    mask[::2, 6:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels}


def counting() -> Tensor:
    """Return 16 texts in which each token is one more than the one before."""
    return (torch.arange(10)[None] + torch.arange(16)[:, None]) % 20


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1),
        Residual(8, 8),
        Residual(8, 12, 2),
        Residual(12, 12),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 4),
    )


def _flattened() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Flatten()),
        nn.Linear(32, 4),
    )


def _windows_net() -> nn.Module:
    return nn.Sequential(
        *[
            nn.Sequential(nn.Conv1d(inputs, 12, 3, 1, 1), nn.BatchNorm1d(12), nn.ReLU(inplace=True))
            for inputs in (3, 12, 12)
        ],
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(12, 4),
    )


def _table_net() -> nn.Module:
    return nn.Sequential(
        *[nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Dropout(0.1)) for inputs in (6, 16, 16)], nn.Linear(16, 4)
    )


def _depthwise() -> nn.Module:
    body = [Depthwise(12) for _ in range(3)]
    return nn.Sequential(nn.Conv2d(1, 12, 2, 2), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))


def _post_norm() -> nn.Module:
    layers = [nn.TransformerEncoderLayer(12, 2, 24, dropout=0.0, batch_first=True) for _ in range(3)]
    return nn.Sequential(nn.Linear(3, 12), *layers, nn.Flatten(), nn.Linear(240, 4))


KINDS = (
    Kind("residual CNN", _cnn, images),
    Kind("depthwise CNN", _depthwise, images),
    Kind("CNN that flattens", _flattened, images),
    Kind("ViT", ViT, images),
    Kind("mixer", Mixer, images),
    Kind("swin", Swinlike, images),
    Kind("BERT", Reader, texts),
    Kind("GPT", Writer, counting, "next_token", 20),
    Kind("transformer, post-norm", _post_norm, steps),
    Kind("GRU", Recurrent, steps),
    Kind("1-D CNN", _windows_net, windows),
    Kind("table", _table_net, rows),
    Kind("U-Net", UNet, pixels, "pixels", 2),
    Kind("DenseNet", Dense, images),
    Kind("Llama", Llama, counting, "next_token", 20),
)
