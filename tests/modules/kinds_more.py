"""Networks of families that `kinds.py` has none of: small, each with random rows that it can learn by heart."""
# B batch, C channels, D features, H W map, T tokens, N nodes

from typing import Any

import torch
import torch.nn.functional as F
from kinds import Kind
from torch import Tensor, nn

_ROWS = 8


def _drawn(*shape: int) -> Tensor:
    return torch.randn(_ROWS, *shape, generator=torch.Generator().manual_seed(0))


def _classes() -> Tensor:
    return torch.arange(_ROWS) % 4


def _layer(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU())


def _encoder(width: int = 12) -> nn.Module:
    return nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=True)


class Stack(nn.Module):
    """An entry, layers in a row, and a head that reads their mean or, with `each`, every place."""

    def __init__(self, entry: nn.Module, layers: list[nn.Module], head: nn.Module, *, each: bool = False):
        super().__init__()
        self.entry, self.layers, self.head, self.each = entry, nn.ModuleList(layers), head, each

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x if self.each else x.mean(dim=1))


class Gated(nn.Module):
    """gMLP: tokens are mixed by a gate."""

    def __init__(self, tokens: int = 16, width: int = 12):
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.across, self.down = (
            nn.Linear(width, 2 * width),
            nn.Linear(tokens, tokens),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = F.gelu(self.up(self.norm(x))).chunk(2, dim=-1)
        gate = self.across(self.inner(gate).transpose(1, 2)).transpose(1, 2)
        return x + self.down(kept * gate)


class Scan(nn.Module):
    """Mamba's kind: a state that every step gates and reads."""

    def __init__(self, width: int = 12, state: int = 4):
        super().__init__()
        self.norm, self.into = nn.LayerNorm(width), nn.Linear(width, 2 * width)
        self.near = nn.Conv1d(width, width, 3, groups=width, padding=2)
        self.told, self.out = nn.Linear(width, 1 + 2 * state), nn.Linear(width, width)
        self.decay, self.state = nn.Parameter(torch.zeros(width, state)), state

    def forward(self, x: Tensor) -> Tensor:
        seen, gate = self.into(self.norm(x)).chunk(2, dim=-1)
        seen = F.silu(self.near(seen.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        pace, write, read = self.told(seen).split([1, self.state, self.state], dim=-1)
        pace, held, given = F.softplus(pace), x.new_zeros(len(x), x.shape[2], self.state), []
        for t in range(x.shape[1]):
            held = held * torch.exp(-pace[:, t, :, None] * self.decay.exp())
            held = held + (pace[:, t] * seen[:, t]).unsqueeze(-1) * write[:, t, None]
            given.append((held * read[:, t, None]).sum(dim=-1))
        return x + self.out(torch.stack(given, dim=1) * F.silu(gate))


class Window(nn.Module):
    """Swin's kind: attention in shifted windows of a map with its channels last."""

    def __init__(self, shift: int, width: int = 12, side: int = 4):
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.near = nn.Parameter(torch.zeros(side**2, side**2))
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.shift, self.side = shift, side

    def forward(self, x: Tensor) -> Tensor:
        (rows, height, width, depth), side = x.shape, self.side
        y = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2))
        y = y.view(rows, height // side, side, width // side, side, depth).transpose(2, 3).reshape(-1, side**2, depth)
        q, k, v = self.qkv(y).chunk(3, dim=-1)
        y = self.out(torch.softmax(q @ k.transpose(1, 2) / depth**0.5 + self.near, dim=-1) @ v)
        y = y.view(rows, height // side, width // side, side, side, depth).transpose(2, 3).reshape(x.shape)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.feed(self.norm2(x))


class Swin(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.layers = nn.Conv2d(3, 12, 2, 2), nn.ModuleList([Window(0), Window(2), Window(0)])
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(dim=(1, 2)))


class Squeeze(nn.Module):
    """MobileNetV3's kind: an inverted residual with squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        wide = 3 * inputs
        self.up = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish(inplace=True)
        )
        self.depth = nn.Sequential(
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.Hardswish()
        )
        self.reduce, self.expand = nn.Conv2d(wide, 4, 1), nn.Conv2d(4, wide, 1)
        self.down = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.short = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.depth(self.up(x))
        y = y * F.hardsigmoid(self.expand(F.relu(self.reduce(y.mean(dim=(2, 3), keepdim=True)))))
        return x + self.down(y) if self.short else self.down(y)


class Inception(nn.Module):
    def __init__(self, inputs: int):
        super().__init__()
        self.one, self.three = nn.Conv2d(inputs, 4, 1), nn.Sequential(nn.Conv2d(inputs, 4, 1), nn.Conv2d(4, 6, 3, 1, 1))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.cat([self.one(x), self.three(x), self.pooled(x)], dim=1))


class Causal(nn.Module):
    """A layer of a temporal convolutional network, its weights split in direction and size."""

    def __init__(self, inputs: int, outputs: int, dilation: int):
        super().__init__()
        conv = nn.Conv1d(inputs, outputs, 3, dilation=dilation, padding=2 * dilation)
        self.conv = nn.utils.parametrizations.weight_norm(conv)
        self.short, self.late = nn.Conv1d(inputs, outputs, 1), 2 * dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.relu(self.conv(x)[..., : -self.late]) + self.short(x))


class Sequence(nn.Module):
    """Recurrent layers that hand on both their outputs and their states."""

    def __init__(self, *, bidirectional: bool):
        super().__init__()
        sizes = (5, 12, 12) if bidirectional else (5, 6, 6)
        kind = nn.GRU if bidirectional else nn.LSTM
        self.layers = nn.ModuleList([kind(n, 6, batch_first=True, bidirectional=bidirectional) for n in sizes])
        self.head, self.both = nn.Linear(sizes[-1], 4), bidirectional

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for layer in self.layers:
            x, state = layer(x) if self.both else layer(x, state)
        return self.head(torch.cat([state[0], state[1]], dim=1) if self.both else state[0][0])


class Graph(nn.Module):
    """Graph convolutions: nodes and an adjacency matrix, which may be sparse."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(n, 12) for n in (5, 12, 12, 12)])
        self.norms, self.head = nn.ModuleList([nn.LayerNorm(12) for _ in range(4)]), nn.Linear(12, 4)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(near @ layer(x)))
        return self.head(x)


class Perceiver(nn.Module):
    """A few learned tokens look at a long input."""

    def __init__(self):
        super().__init__()
        self.latent, self.entry = nn.Parameter(torch.randn(1, 6, 12)), nn.Linear(5, 12)
        self.look = nn.MultiheadAttention(12, 2, batch_first=True)
        self.layers, self.head = nn.ModuleList([_encoder() for _ in range(3)]), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        seen, own = self.entry(x), self.latent.expand(len(x), -1, -1)
        own = own + self.look(own, seen, seen)[0]
        for layer in self.layers:
            own = layer(own)
        return self.head(own.mean(dim=1))


class Wave(nn.Module):
    """wav2vec's kind: convolutions over the raw sound, then a transformer."""

    def __init__(self):
        super().__init__()
        self.ear = nn.Sequential(nn.Conv1d(1, 12, 10, 5), nn.GroupNorm(12, 12), nn.GELU(), nn.Conv1d(12, 12, 4, 2))
        self.norm, self.place = nn.LayerNorm(12), nn.Conv1d(12, 12, 3, padding=1, groups=4)
        self.layers, self.head = nn.ModuleList([_encoder() for _ in range(3)]), nn.Linear(12, 4)

    def forward(self, sound: Tensor) -> Tensor:
        x = self.norm(F.gelu(self.ear(sound[:, None])).transpose(1, 2))
        x = x + F.gelu(self.place(x.transpose(1, 2))).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(dim=1))


class Spectral(nn.Module):
    """A Fourier neural operator's layer: complex weights for the slow part of a signal."""

    def __init__(self, width: int = 8, modes: int = 4):
        super().__init__()
        self.slow = nn.Parameter(0.1 * torch.randn(width, width, modes, dtype=torch.cfloat))
        self.near, self.modes = nn.Conv1d(width, width, 1), modes

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.fft.rfft(x)
        mixed = torch.zeros_like(waves)
        mixed[..., : self.modes] = torch.einsum("bim,iom->bom", waves[..., : self.modes], self.slow)
        return F.gelu(torch.fft.irfft(mixed, n=x.shape[-1]) + self.near(x))


class Bag(nn.Module):
    """Words of all rows in one line, and where each row begins."""

    def __init__(self):
        super().__init__()
        self.words, self.layers = nn.EmbeddingBag(20, 8), nn.Sequential(_layer(8, 12), _layer(12, 12), nn.Linear(12, 4))

    def forward(self, words: Tensor, begins: Tensor) -> Tensor:
        return self.layers(self.words(words, begins))


class Towers(nn.Module):
    """A table and an image, each through an encoder of its own."""

    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(_layer(6, 12), nn.Linear(12, 8))
        self.right = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.both = nn.Sequential(_layer(16, 16), _layer(16, 12), nn.Linear(12, 4))

    def forward(self, row: Tensor, image: Tensor) -> Tensor:
        return self.both(torch.cat([self.left(row), self.right(image)], dim=1))


class Siamese(nn.Module):
    """One encoder for two inputs: it is called twice in a pass."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(_layer(6, 12), nn.Linear(12, 8))
        self.both = nn.Sequential(_layer(16, 16), _layer(16, 12), nn.Linear(12, 4))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return self.both(torch.cat([self.encoder(one), self.encoder(other)], dim=1))


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), nn.Conv2d(8, 12, 3, 2, 1))
        self.up = nn.Sequential(
            nn.Sequential(nn.ConvTranspose2d(12, 8, 2, 2), nn.ReLU()), nn.ConvTranspose2d(8, 3, 2, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


class Seq2Seq(nn.Module):
    """An encoder and a decoder of another length; the decoder looks at the encoder in every layer."""

    def __init__(self):
        super().__init__()
        self.words, self.body = nn.Embedding(20, 12), nn.Transformer(12, 2, 2, 3, 24, 0.0, batch_first=True)
        self.head = nn.Linear(12, 20)

    def forward(self, source: Tensor, given: Tensor) -> Tensor:
        causal = torch.ones(given.shape[1], given.shape[1], dtype=torch.bool).triu(1)
        return self.head(self.body(self.words(source), self.words(given), tgt_mask=causal))


def near(*, sparse: bool) -> Tensor:
    """Return an adjacency matrix of 16 nodes, rows adding up to 1."""
    found = torch.eye(16) + (torch.rand(16, 16, generator=torch.Generator().manual_seed(0)) < 0.2)
    found = found / found.sum(dim=1, keepdim=True)
    return found.to_sparse() if sparse else found


def tokens(length: int = 9) -> Tensor:
    return torch.randint(1, 20, (_ROWS, length), generator=torch.Generator().manual_seed(length))


def _mobile() -> nn.Module:
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish())
    stage = nn.Sequential(Squeeze(8, 8), Squeeze(8, 12, 2), Squeeze(12, 12))
    return nn.Sequential(stem, stage, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(12, 4))


def _inceptions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), Inception(8), Inception(12), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4)
    )


def _voxels() -> nn.Module:
    layers = [nn.Sequential(nn.Conv3d(n, 6, 3, 1, 1), nn.BatchNorm3d(6), nn.ReLU()) for n in (1, 6, 6)]
    return nn.Sequential(*layers, nn.Conv3d(6, 3, 1))


def _images() -> tuple[Tensor, Tensor]:
    return _drawn(3, 16, 16), _classes()


def _series() -> tuple[Tensor, Tensor]:
    return _drawn(24, 5), _classes()


MORE_KINDS = (
    Kind("gMLP", lambda: Stack(_Patches(), [Gated() for _ in range(3)], nn.Linear(12, 4)), _images),
    Kind("Mamba", lambda: Stack(nn.Linear(5, 12), [Scan() for _ in range(3)], nn.Linear(12, 4)), _series),
    Kind(
        "Mamba, next token",
        lambda: Stack(nn.Embedding(20, 12), [Scan() for _ in range(3)], nn.Linear(12, 20), each=True),
        tokens,
        "next_token",
        20,
    ),
    Kind("Swin with shifts", Swin, _images),
    Kind("MobileNetV3", _mobile, _images),
    Kind("Inception", _inceptions, _images),
    Kind(
        "TCN",
        lambda: nn.Sequential(
            Causal(5, 8, 1), Causal(8, 8, 2), Causal(8, 8, 4), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4)
        ),
        lambda: (_drawn(5, 24), _classes()),
    ),
    Kind("GRU, both directions", lambda: Sequence(bidirectional=True), _series),
    Kind("graph", Graph, lambda: (torch.randn(16, 5), near(sparse=False), torch.arange(16) % 4)),
    Kind("graph, sparse", Graph, lambda: (torch.randn(16, 5), near(sparse=True), torch.arange(16) % 4)),
    Kind("Perceiver", Perceiver, _series),
    Kind("wav2vec", Wave, lambda: (_drawn(200), _classes())),
    Kind(
        "Fourier neural operator",
        lambda: nn.Sequential(
            nn.Conv1d(5, 8, 1), *[Spectral() for _ in range(3)], nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4)
        ),
        lambda: (_drawn(5, 24), _classes()),
    ),
    Kind("bag of words", Bag, lambda: (torch.arange(48) * 7 % 20, torch.arange(0, 48, 6), _classes())),
    Kind("two towers", Towers, lambda: (_drawn(6), _drawn(3, 16, 16), _classes())),
    Kind("Siamese", Siamese, lambda: (_drawn(6), _drawn(6).flip(0), _classes())),
    Kind("autoencoder", AutoEncoder, lambda: (_drawn(3, 16, 16), _drawn(3, 16, 16)), "values", 3),
    Kind(
        "forecaster",
        lambda: Stack(nn.Linear(5, 12), [_encoder() for _ in range(3)], nn.Linear(12, 5), each=True),
        lambda: (_drawn(24, 5), _drawn(24, 5).roll(1, dims=1)),
        "values",
        5,
    ),
    Kind("voxels", _voxels, lambda: (_drawn(1, 4, 8, 8), (_drawn(1, 4, 8, 8)[:, 0] > 0).long()), "pixels", 3),
    Kind("encoder and decoder", Seq2Seq, lambda: (tokens(12), tokens(), tokens()), "tokens", 20),
)


class _Patches(nn.Module):
    """Patches of 4 x 4 as tokens."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(2).transpose(1, 2)
