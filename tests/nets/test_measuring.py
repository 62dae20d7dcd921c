"""Layouts of activities: declared ones are the measured ones, and every method reads windows as it reads maps."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from onward.algorithms import (
    ASGE,
    HCLFF,
    HFF,
    CaFo,
    CwComp,
    DeeperForward,
    DistanceForward,
    MonoForward,
    PredSim,
    RandomFeatures,
    Trifecta,
)
from onward.core import LocalTrainer, TrainerSettings
from onward.nets import NETS, Architecture, Net
from onward.nets.measuring import measure
from onward.nets.net import plain
from onward.parts.ops.feature_maps import outputs_feature_maps

CLASSES = 4


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_the_layout_that_a_network_declares_is_the_measured_one(net: type[Architecture]):
    small, shape = net(**({"width": 4} if hasattr(net, "width") else {})), (1, 16, 16)
    if small.whiten:
        shape = (24, 16, 16)
    built = small(shape, CLASSES)
    declared = [body.activity_layout for body in built.bodies]
    modes = [module.training for body in built.bodies for module in body.modules()]
    state = torch.get_rng_state()
    for body in built.bodies:
        del body.activity_layout
    measure(built, shape)
    assert [body.activity_layout for body in built.bodies] == declared
    assert [getattr(body, "activity_shape")[0] for body in built.bodies] == list(built.widths)  # noqa: B009
    assert [module.training for body in built.bodies for module in body.modules()] == modes and all(modes)
    assert torch.equal(torch.get_rng_state(), state)


@dataclass(frozen=True)
class Windows(Architecture):
    """Convolutions over time, which hand on [B, D, T], or the same as maps of one row [B, D, 1, T]."""

    takes = ("windows",)
    maps: bool = False

    def __call__(self, shape: tuple[int, ...], num_classes: int) -> Net:
        sizes = [shape[0], 8, 8, 12]
        bodies = [
            nn.Sequential(nn.Conv1d(inputs, outputs, 3, padding=1), nn.ReLU()) for inputs, outputs in pairwise(sizes)
        ]
        return plain([_Row(body) for body in bodies] if self.maps else bodies, sizes[1:])


class _Row(nn.Module):
    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.squeeze(2) if x.ndim == 4 else x).unsqueeze(2)


@pytest.mark.parametrize(
    "algorithm",
    [
        MonoForward(features=64),
        PredSim(decoder_features=64),
        HFF(),
        ASGE(alpha=0.0),
        DistanceForward(),
        DistanceForward(anchors="learned", collaboration="none"),
        HCLFF(),
        DeeperForward(),
        CwComp(head_features=64),
        CaFo(features=64),
        CaFo(features=64, feedback=True),
        CaFo(features=64, predictor="least_squares"),
        RandomFeatures(features=64),
    ],
    ids=str,
)
def test_windows_are_read_as_maps_of_one_row(algorithm):
    losses, scores = [], []
    x, y = torch.randn(8, 3, 10, generator=torch.Generator().manual_seed(0)), torch.arange(8) % CLASSES
    for maps in (False, True):
        torch.manual_seed(0)
        learner = algorithm(Windows(maps)((3, 10), CLASSES), CLASSES)
        trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01, schedule="constant"), seed=1)
        losses.append([trainer.step(x, y, step=step) for step in range(3)])
        scores.append(learner.eval()(x))
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(*scores)


@dataclass(frozen=True)
class Odd(Architecture):
    """One body of any kind."""

    body: str = "volume"

    def __call__(self, shape: tuple[int, ...], num_classes: int) -> Net:
        made: dict[str, nn.Module] = {
            "volume": nn.Conv3d(2, 6, 3),
            "tokens": nn.Linear(5, 6),
            "width": nn.Conv3d(2, 7, 3),
            "numbers": _Numbers(),
            "declared": _Numbers(),
        }
        body = made[self.body]
        if self.body == "declared":
            body.activity_layout = "vector"  # pyright: ignore
        return plain([body], [6])


class _Numbers(nn.Module):
    """A body that looks at the numbers of its input, which a pass of shapes has not."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :6] * float(x.sum().item())


def test_a_volume_is_measured_and_a_declared_layout_stays():
    body = Odd()((2, 5, 5, 5), CLASSES).bodies[0]
    assert body.activity_layout == "volume" and body.activity_shape == (6, 3, 3, 3) and outputs_feature_maps(body)
    assert not outputs_feature_maps(Odd("declared")((2, 5, 5, 5), CLASSES).bodies[0])


@pytest.mark.parametrize(
    ("body", "shape", "message"),
    [
        ("tokens", (8, 5), r"body 0 of Odd gives \[8, 6\] .*another axis than the first.*onward.local"),
        ("width", (2, 5, 5, 5), r"gives \[7, 3, 3, 3\] for each input, but its declared width is 6"),
    ],
)
def test_features_on_another_axis_are_refused(body: str, shape: tuple[int, ...], message: str):
    with pytest.raises(ValueError, match=message):
        Odd(body)(shape, CLASSES)


def test_who_needs_a_layout_says_so_where_it_is_not_known():
    with pytest.raises(ValueError, match=r"the layout of what a body \(_Numbers\) gives is None: let an Architecture"):
        MonoForward()(Odd("numbers")((2, 5, 5, 5), CLASSES), CLASSES)
    ASGE(alpha=0.0, fuse_from=0)(Odd("numbers")((2, 5, 5, 5), CLASSES), CLASSES)  # reads whatever comes


def test_batch_norm_is_found_whatever_its_axes():
    """A network that normalizes by itself hands on what it is."""
    for norm, kind in ((nn.BatchNorm1d(8), nn.Identity), (nn.ReLU(), None)):
        net = plain([nn.Sequential(nn.Flatten(), nn.Linear(12, 8), norm)], [8])
        block = Trifecta(overlapping=False, side=4)(net, CLASSES).blocks[0]
        assert isinstance(block.handoff.normalize, nn.Identity) == (kind is nn.Identity)  # pyright: ignore
