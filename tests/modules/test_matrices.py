"""Which weights make a layer, where a model is cut: one output, one input, or a weight in parts change nothing."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as former_weight_norm

from onward.modules import cuts
from onward.nets.cuts import default_cuts

Change = Callable[[nn.Linear], nn.Module]


def _perceptron(inputs: int, outputs: int, change: Change = lambda layer: layer) -> nn.Sequential:
    sizes = [(inputs, 16), (16, 16), (16, 16)]
    hidden = [layer for size in sizes for layer in (change(nn.Linear(*size)), nn.ReLU())]
    return nn.Sequential(*hidden, change(nn.Linear(16, outputs)))


def _former(layer: nn.Linear) -> nn.Module:
    with pytest.warns(FutureWarning):
        return former_weight_norm(layer)


class Tokens(nn.Module):
    """Positions, a class token and a single factor are learned."""

    def __init__(self):
        super().__init__()
        self.positions, self.token = nn.Parameter(torch.zeros(1, 6, 8)), nn.Parameter(torch.zeros(1, 1, 8))
        self.factor = nn.Parameter(torch.tensor(1.0))
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        return self.head(self.layers(x * self.factor + self.positions).mean(dim=1))


@pytest.mark.parametrize(
    ("inputs", "outputs", "change"),
    [
        (5, 3, lambda layer: layer),
        (5, 1, lambda layer: layer),
        (1, 1, lambda layer: layer),
        (5, 3, parametrizations.weight_norm),
        (5, 3, parametrizations.spectral_norm),
        (5, 3, _former),
    ],
    ids=["plain", "one output", "one input", "weight norm", "spectral norm", "weight norm of former days"],
)
def test_every_layer_is_one_matrix(inputs: int, outputs: int, change: Change):
    model, example = _perceptron(inputs, outputs, change), torch.randn(4, inputs)
    assert [(cut.name, cut.matrices) for cut in cuts(model, example)] == [("1", 1), ("3", 1), ("5", 1)]
    assert [cut.name for cut in default_cuts(model, example)] == ["1", "3"]


def test_a_convolution_with_one_output_is_a_layer_too():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1))
    assert [(cut.name, cut.matrices) for cut in cuts(model, torch.randn(2, 1, 8, 8))] == [("1", 1), ("3", 1)]


def test_learned_tokens_are_no_layer():
    assert [(cut.name, cut.matrices) for cut in cuts(Tokens(), torch.randn(4, 5, 8))] == [
        ("layers.1", 1),
        ("layers", 1),
    ]
