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


class Pixels(nn.Module):
    """Scores of each pixel [B, H, W, C], channels last."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).relu()).relu().permute(0, 2, 3, 1))


TURNED = {
    "as it is": (lambda model, x: model(x), "map_last", 3),
    "turned": (lambda model, x: model(x).permute(0, 3, 1, 2), "map", 3),
    "two joined": (lambda model, x: model(x)[..., [0, 1, 2, 2, 1, 0]], "map_last", 6),
}


@pytest.mark.parametrize("name", TURNED)
def test_the_layout_of_an_output_is_what_feed_makes_of_it(name: str):
    feed, layout, outputs = TURNED[name]
    x = torch.randn(6, 1, 8, 8)
    batch = (x, (x[:, 0] > 0).long())
    trained = local(Pixels(), batch, MonoForward(), cut=["first"], feed=feed)
    assert (trained.plan.parts[-1].layout, trained.plan.outputs) == (layout, outputs)
    trained.step(batch)
    assert trained.predict(x).shape == batch[1].shape


def test_an_output_that_feed_stacks_has_its_own_axes():
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4))
    trained = local(
        model, (STEPS, torch.randn(6, 4, 8, 4)), MonoForward(), cut=1, task="values",
        feed=lambda model, x: torch.stack([model(x)] * 4, 1),
    )  # fmt: skip
    assert (trained.plan.parts[-1].layout, trained.plan.outputs) == ("map_last", 4)


class Video(nn.Module):
    """Volumes [B, T, H, W, C], channels last: Video Swin's kind."""

    def __init__(self, *, pooled: bool):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x).relu()).relu()
        return self.head(y.mean((1, 2, 3)) if self.pooled else y)


@pytest.mark.parametrize("sides", [(8, 8, 8), (3, 4, 5)])
def test_volumes_with_channels_last_are_read_so(sides: tuple[int, ...]):
    x, y = torch.randn(6, *sides, 8), torch.randint(3, (6, *sides))
    for pooled, target in ((True, torch.arange(6) % 3), (False, y)):
        trained = local(Video(pooled=pooled), (x, target), MonoForward(), cut=["first"])
        assert trained.plan.parts[0].layout == "volume_last"
        trained.step((x, target))
        scores = trained.predict_scores(x)
        assert torch.equal(trained.predict(x), scores.argmax(-1)) and scores.shape == (*target.shape, 3)
        assert trained.evaluate([(x, target)])["accuracy"] == pytest.approx(
            (scores.argmax(-1) == target).float().mean().item()
        )


class Frames(nn.Module):
    """A convolution of every frame of a video [B, T, D, H, W]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@pytest.mark.parametrize(("time", "side"), [(5, 7), (8, 8)])
def test_frames_of_a_video_have_features_behind_time(time: int, side: int):
    x, y = torch.randn(6, time, 3, side, side), torch.randint(3, (6, time, side, side))
    pooled = [Does(lambda x: x.mean((1, 3, 4))), nn.Linear(8, 3)]
    layers = [Frames(3, 8), nn.ReLU(), Frames(8, 8), nn.ReLU()]
    for last, target in ((pooled, torch.arange(6) % 3), ([Frames(8, 3)], y)):
        trained = local(nn.Sequential(*layers, *last), (x, target), MonoForward(), cut=["1"])
        assert trained.plan.parts[0].layout == "frames" and trained.plan.outputs == 3
        trained.step((x, target))
        axis = 1 if target.ndim == 1 else 2
        assert torch.equal(trained.predict(x), trained.predict_scores(x).argmax(axis))
        right = (trained.predict(x) == target).float().mean().item()
        assert trained.evaluate([(x, target)])["accuracy"] == pytest.approx(right)


def test_volumes_of_convolutions_have_them_first():
    model = nn.Sequential(nn.Conv3d(1, 8, 3, 1, 1), nn.ReLU(), nn.Conv3d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv3d(8, 3, 1))
    x = torch.randn(4, 1, 8, 8, 8)
    trained = local(model, (x, torch.randint(3, (4, 8, 8, 8))), MonoForward(), cut=["1"])
    assert [part.layout for part in trained.plan.parts] == ["volume", "volume"] and trained.plan.outputs == 3


@pytest.mark.parametrize(
    ("output", "labels"),
    [((12, 12), (12, 12)), ((6, 6), (12, 12)), ((6, 8), (24, 32)), ((2, 2), (9, 9)), ((7, 5), (13, 9))],
)
def test_an_output_may_stand_for_several_labels(output: tuple[int, int], labels: tuple[int, int]):
    model, x = _segments(), torch.randn(4, 1, *output)
    y = torch.randint(3, (4, *labels))
    trained = local(model, (x, y), MonoForward(), cut=["1"])
    trained.step((x, y))
    nearest = nn.functional.interpolate(trained.predict(x)[:, None].float(), labels)[:, 0].long()
    assert trained.evaluate([(x, y)])["accuracy"] == pytest.approx((nearest == y).float().mean().item())


@pytest.mark.parametrize("labels", [(3, 12), (12, 10), (1, 1), (13, 12), (6, 6), (24, 12)])
def test_labels_of_another_form_than_the_output_are_refused_and_move_nothing(labels: tuple[int, int]):
    model, x = _segments(), torch.randn(4, 1, 12, 12)
    trained = local(model, (x, torch.randint(3, (4, 12, 12))), MonoForward(), cut=["1"])
    before = [weight.clone() for weight in model.parameters()]
    wrong = (x, torch.randint(3, (4, *labels)))
    with pytest.raises(ValueError, match=rf"labels have the positions \[{labels[0]}, {labels[1]}\], .*\[12, 12\]"):
        trained.step(wrong)
    with pytest.raises(ValueError, match=r"labels have the positions"):
        trained.evaluate([wrong])
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def _segments() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 3, 1))
