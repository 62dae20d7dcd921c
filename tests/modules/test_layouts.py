"""Layouts where sizes decide nothing: channels, height and width alike, as many steps as features, as rows."""
# B batch, C channels, D features, H W map, T tokens

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from onward.algorithms import MonoForward
from onward.modules import local


class Does(nn.Module):
    def __init__(self, what: Callable[[Tensor], Tensor]):
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Tensor:
        return self.what(x)


class NextBlock(nn.Module):
    """A convolution of each channel, then a perceptron over channels, which are last meanwhile: ConvNeXt V2's kind."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.depth = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 16), nn.Linear(16, width)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.gelu(self.up(self.norm(self.depth(x).permute(0, 2, 3, 1))))
        y = y + y * y.norm(dim=(1, 2), keepdim=True)
        return x + self.down(y).permute(0, 3, 1, 2)


class Windowed(nn.Module):
    """A layer inside of windows of a map [B, H, W, C]: Swin's kind."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        y = x.roll((1, 1), (1, 2)).view(b, h // 4, 4, w // 4, 4, c).transpose(2, 3).reshape(-1, 16, c)
        y = self.feed(y).view(b, h // 4, w // 4, 4, 4, c).transpose(2, 3).reshape(b, h, w, c)
        return x + y.roll((-1, -1), (1, 2))


class Einsum(nn.Module):
    """A layer without a module that tells what it makes."""

    def __init__(self, letters: str):
        super().__init__()
        self.letters, self.weight = letters, nn.Parameter(torch.randn(8, 8) / 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum(self.letters, x, self.weight).relu()


class Recurrent(nn.Module):
    def __init__(self, cell: Callable[..., nn.RNNBase], *, time_first: bool = False):
        super().__init__()
        self.first = cell(5, 8, batch_first=not time_first)
        self.second = cell(8, 8, batch_first=not time_first)
        self.head, self.time_first = nn.Linear(8, 4), time_first

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1) if self.time_first else x
        x = self.second(self.first(x)[0])[0]
        return self.head(x.mean(0 if self.time_first else 1))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.first, self.second = nn.Embedding(9, 8), nn.Conv1d(8, 8, 3, 1, 1), nn.Conv1d(8, 8, 3, 1, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(self.words(x).transpose(1, 2)).relu()).relu().mean(2))


def _map(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 2, 2), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def _last(*layers: nn.Module) -> nn.Module:
    return _map(Does(lambda x: x.permute(0, 2, 3, 1)), *layers, Does(lambda x: x.permute(0, 3, 1, 2)))


def _encoder() -> nn.Module:
    layers = [nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(3)]
    return nn.Sequential(nn.Linear(5, 8), *layers, Does(lambda x: x.mean(1)), nn.Linear(8, 4))


def _convolutions() -> nn.Module:
    layers = [layer for _ in range(2) for layer in (nn.Conv1d(8, 8, 3, 1, 1), nn.ReLU())]
    return nn.Sequential(nn.Conv1d(5, 8, 3, 1, 1), *layers, Does(lambda x: x.mean(2)), nn.Linear(8, 4))


IMAGES, STEPS = torch.randn(6, 1, 16, 16), torch.randn(6, 8, 5)
SQUARE = {
    "ConvNeXt": (_map(NextBlock(), NextBlock(), NextBlock()), IMAGES, "map"),
    "Swin": (_last(Windowed(), Windowed(), Windowed()), IMAGES, "map_last"),
    "einsum on axis 1": (_map(Einsum("bchw,cd->bdhw"), Einsum("bchw,cd->bdhw")), IMAGES, "map"),
    "GRU": (Recurrent(nn.GRU), STEPS, "tokens"),
    "LSTM": (Recurrent(nn.LSTM), STEPS, "tokens"),
    "transformer": (_encoder(), STEPS, "tokens"),
    "1-D CNN": (_convolutions(), STEPS.transpose(1, 2), "windows"),
    "words and convolutions": (Words(), torch.randint(9, (6, 8)), "windows"),
    "time first inside, as many rows as steps": (Recurrent(nn.GRU, time_first=True), STEPS[:, :6], "time_first"),
    "batch first, as many rows as steps": (Recurrent(nn.GRU), STEPS[:, :6], "tokens"),
}


@pytest.mark.parametrize("name", SQUARE)
def test_the_axis_of_features_is_found_where_sizes_are_alike(name: str):
    model, x, layout = SQUARE[name]
    trained = local(model, (x, torch.arange(6) % 4), MonoForward())
    assert len(trained.plan.parts) > 1
    assert {part.layout for part in trained.plan.parts[:-1]} == {layout}
    assert all(8 in part.shape for part in trained.plan.parts[:-1])


def test_what_looks_alike_is_refused_by_name_and_can_be_declared():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(64) + torch.randn(64, 64) / 30)

        def forward(self, x: Tensor) -> Tensor:
            return (x.flatten(1) @ self.weight).view_as(x).relu()

    pooled = [Does(lambda x: x.mean((2, 3))), nn.Linear(4, 4)]
    model = nn.Sequential(Does(lambda x: x.view(-1, 4, 4, 4)), Odd(), Odd(), *pooled)
    batch = (torch.randn(6, 64), torch.arange(6) % 4)
    with pytest.raises(ValueError, match=r"the cut 1 gives .*, in which map and map_last look alike: .*'1': 'map'"):
        local(model, batch, MonoForward(), cut=["1"])
    assert local(model, batch, MonoForward(), cut=["1"], layouts={"1": "map"}).plan.parts[0].layout == "map"


def test_time_first_inputs_with_as_many_rows_as_steps_are_refused_by_name():
    model = nn.ModuleDict({"cell": nn.GRU(5, 8), "head": nn.Linear(8, 4)})

    def feed(model, x):
        return model["head"](model["cell"](x)[0][-1])

    with pytest.raises(ValueError, match=r"the cut cell reads time along its first axis .* as many rows as steps, 6"):
        local(model, (STEPS[:, :6], torch.arange(6) % 4), MonoForward(), cut=["cell"], feed=feed)
