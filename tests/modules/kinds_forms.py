"""Networks whose code takes unusual forms: what they give, what they take, how they read it."""
# B batch, D features, H W map, T tokens

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from kinds import Kind
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

_ROWS = 8


def _layer(inputs: int, outputs: int = 12) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU())


def _drawn(*shape: int) -> Tensor:
    return torch.randn(_ROWS, *shape, generator=torch.Generator().manual_seed(0))


def classes() -> Tensor:
    return torch.arange(_ROWS) % 4


def table() -> tuple[Tensor, Tensor]:
    return _drawn(6), classes()


def _ids() -> Tensor:
    return torch.randint(1, 20, (_ROWS, 10), generator=torch.Generator().manual_seed(0))


class Layers(nn.Module):
    """Two layers and a head, the start of many forms."""

    def __init__(self, inputs: int = 6):
        super().__init__()
        self.layers, self.head = nn.ModuleList([_layer(inputs), _layer(12)]), nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class Viewed(nn.Module):
    """Flattens by view, which needs its map to lie in memory as it was given."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.full, self.head = nn.Linear(128, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x).relu()).relu()
        return self.head(self.full(x.view(len(x), -1)).relu())


class Packed(nn.Module):
    """Recurrent layers that hand on packed sequences."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 8, padding_idx=0)
        self.layers = nn.ModuleList([nn.LSTM(8, 4, batch_first=True, bidirectional=True) for _ in range(3)])
        self.head = nn.Linear(8, 4)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        x: Any = pack_padded_sequence(self.words(ids), lengths, batch_first=True, enforce_sorted=False)
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(pad_packed_sequence(x, batch_first=True)[0].sum(dim=1))


@dataclass
class Given:
    scores: Tensor
    hidden: Any = None


class Wraps(nn.Module):
    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Given:
        return Given(self.layer(x))


class Dataclasses(Layers):
    """Layers and the model itself give a dataclass."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Wraps(layer) for layer in self.layers])

    def forward(self, x: Tensor) -> Given:
        for layer in self.layers:
            x = layer(x).scores
        return Given(self.head(x), x)


class Holder:
    """No dataclass, with its tensor under a usual name."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    @property
    def last_hidden_state(self) -> Tensor:
        return self.tensor


class Holds(Wraps):
    def forward(self, x: Holder) -> Any:
        return Holder(self.layer(x.tensor))


class Objects(Layers):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Holds(layer) for layer in self.layers])

    def forward(self, x: Tensor) -> Tensor:
        held = Holder(x)
        for layer in self.layers:
            held = layer(held)
        return self.head(held.tensor)


class Counts(Layers):
    """Keeps a mean and a count of its own, also in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(12))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers[0](x)
        self.get_buffer("seen").add_(1)
        self.get_buffer("mean").mul_(0.9).add_(0.1 * x.detach().mean(dim=0))
        return self.head(self.layers[1](x - self.get_buffer("mean").clone()))


class Bytes(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float() / 255)


class Lookup(Layers):
    """Looks words up in a weight of its own."""

    def __init__(self):
        super().__init__(12)
        self.words = nn.Parameter(torch.randn(20, 12))

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(self.words[ids].mean(dim=1))


class OneHot(Layers):
    def __init__(self):
        super().__init__(20)

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(nn.functional.one_hot(ids, 20).float().mean(dim=1))


class ComplexFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.waves = nn.ModuleList([nn.Linear(6, 12, dtype=torch.cfloat), nn.Linear(12, 12, dtype=torch.cfloat)])
        self.rest = Layers(12)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.waves:
            x = layer(x)
        return self.rest(x.abs())


class Experts(nn.Module):
    """Sends each row to two of four experts."""

    def __init__(self, width: int = 12):
        super().__init__()
        self.router, self.norm = nn.Linear(width, 4, bias=False), nn.LayerNorm(width)
        self.experts = nn.ModuleList([nn.Sequential(_layer(width, 24), nn.Linear(24, width)) for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        weights, chosen = self.router(y).softmax(dim=1).topk(2, dim=1)
        out = torch.zeros_like(y)
        for k, expert in enumerate(self.experts):
            rows, at = torch.where(chosen == k)
            out = out.index_add(0, rows, weights[rows, at, None] * expert(y[rows]))
        return x + out


class Scripted(Layers):
    """A part of it is scripted, and hides its calls."""

    def __init__(self):
        super().__init__()
        self.layers[1] = torch.jit.script(self.layers[1])  # pyright: ignore[reportArgumentType]


class Listed(nn.Module):
    """Weights in a list, which no module of their own applies."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (6, 12, 12, 4)
        self.weights = nn.ParameterList([torch.randn(i, o) / i**0.5 for i, o in pairwise(sizes)])
        self.gates = nn.ModuleList([nn.ReLU(), nn.ReLU()])

    def forward(self, x: Tensor) -> Tensor:
        for weight, gate in zip(self.weights[:2], self.gates, strict=True):
            x = gate(x @ weight)
        return x @ self.weights[2]


class DenseLayers(nn.Module):
    """Each layer reads all maps before it."""

    def __init__(self, inputs: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(inputs + 6 * k, 6, 3, 1, 1) for k in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        for layer in self.layers:
            found.append(layer(torch.cat(found, dim=1).relu()))
        return torch.cat(found, dim=1)


class Sampled(nn.Module):
    """A variational autoencoder's classifier: the spread is used in training alone."""

    def __init__(self):
        super().__init__()
        self.entry, self.mean, self.spread = _layer(6), nn.Linear(12, 6), nn.Linear(12, 6)
        self.rest = nn.Sequential(_layer(6), nn.Linear(12, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        mean, spread = self.mean(x), self.spread(x)
        return self.rest(mean + torch.randn_like(mean) * (spread / 2).exp() if self.training else mean)


def _dense() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), DenseLayers(8), nn.Conv2d(20, 12, 1), nn.ReLU(), DenseLayers(12),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip


def _adapted() -> nn.Module:
    """Return a frozen network with a small trained part beside each layer."""

    class Beside(nn.Module):
        def __init__(self, base: nn.Linear):
            super().__init__()
            self.base = base.requires_grad_(False)
            self.down, self.up = nn.Linear(base.in_features, 2, bias=False), nn.Linear(2, base.out_features, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.base(x) + self.up(self.down(x))

    layers = [nn.Sequential(Beside(nn.Linear(inputs, 12)), nn.ReLU()) for inputs in (6, 12, 12)]
    return nn.Sequential(*layers, nn.Linear(12, 4).requires_grad_(False))


def _normed() -> nn.Module:
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(*[nn.Sequential(norm(nn.Linear(n, 12)), nn.ReLU()) for n in (6, 12, 12)], nn.Linear(12, 4))


def _images() -> tuple[Tensor, Tensor]:
    return _drawn(3, 16, 16), classes()


FORMS = (
    Kind("view", Viewed, _images),
    Kind("packed sequences", Packed, lambda: (_ids(), torch.arange(10, 2, -1), classes())),
    Kind("dataclasses", Dataclasses, table),
    Kind("objects", Objects, table),
    Kind("own buffers", Counts, table),
    Kind("bytes", Bytes, lambda: (torch.randint(256, (_ROWS, 6), dtype=torch.uint8), classes())),
    Kind("lookup", Lookup, lambda: (_ids(), classes())),
    Kind("one-hot", OneHot, lambda: (_ids(), classes())),
    Kind("complex, then real", ComplexFirst, lambda: (_drawn(6).to(torch.cfloat), classes())),
    Kind("joined maps", _dense, _images),
    Kind("sampled in training", Sampled, table),
    Kind(
        "mixture of experts",
        lambda: nn.Sequential(nn.Linear(6, 12), Experts(), Experts(), Experts(), nn.Linear(12, 4)),
        table,
    ),
    Kind("weights in a list", Listed, table),
    Kind("adapters", _adapted, table),
    Kind("spectral norm", _normed, table),
)
"""Each is cut, learns and is saved as any other."""
