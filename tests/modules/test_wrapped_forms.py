"""Networks whose weights are computed, whose parts are wrapped, or whose rows take different ways."""
# B batch, D features, T tokens

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from onward.algorithms import MonoForward
from onward.core import TrainerSettings
from onward.modules import LocalModel, local

TABLE = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
WORDS = torch.randint(1, 20, (8, 7), generator=torch.Generator().manual_seed(1))
WORDS[::2, 5:] = 0
LABELS = torch.arange(8) % 4


def _perceptron(change: Callable[[nn.Linear], nn.Module] = lambda layer: layer) -> nn.Sequential:
    inner = [layer for size in (6, 16) for layer in (change(nn.Linear(size, 16)), nn.ReLU())]
    return nn.Sequential(*inner, nn.Linear(16, 4))


def _pruned(layer: nn.Linear) -> nn.Module:
    prune.l1_unstructured(layer, "weight", 0.3)
    return layer


class Experts(nn.Module):
    """Each row goes to one expert, chosen by what it is."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.choose = nn.Linear(width, 3)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        share, chosen = self.choose(x).softmax(dim=1).max(dim=1)
        out = torch.zeros_like(x)
        for k, expert in enumerate(self.experts):
            rows = (chosen == k).nonzero().squeeze(1)
            if len(rows):
                out = out.index_add(0, rows, expert(x[rows]) * share[rows, None])
        return x + out


class Called(nn.Module):
    """Calls a part of itself with weights that it hands over."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        weights: dict[str, Tensor] = dict(self.second.named_parameters())
        return self.head(torch.func.functional_call(self.second, weights, (self.first(x).relu(),)))


class Masked(nn.Module):
    """A transformer encoder with a padding mask, whose evaluation takes another way through the layers."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(20, 16, padding_idx=0), nn.Linear(16, 4)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.words(x), src_key_padding_mask=x == 0)[:, 0])


def _traced() -> nn.Module:
    torch.manual_seed(0)
    return torch.fx.symbolic_trace(_perceptron())


def _moe() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), Experts(), Experts(), nn.Linear(16, 4))


def _parallel() -> nn.Module:
    return nn.Sequential(nn.DataParallel(nn.Sequential(nn.Linear(6, 16), nn.ReLU())), *list(_perceptron())[2:])


FORMS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "weight norm": (lambda: _perceptron(parametrizations.weight_norm), TABLE),
    "spectral norm": (lambda: _perceptron(parametrizations.spectral_norm), TABLE),
    "spectral norm by hooks": (lambda: _perceptron(nn.utils.spectral_norm), TABLE),
    "orthogonal": (lambda: _perceptron(parametrizations.orthogonal), TABLE),
    "pruned": (lambda: _perceptron(_pruned), TABLE),
    "traced by torch.fx": (_traced, TABLE),
    "a part in DataParallel": (_parallel, TABLE),
    "experts chosen by row": (_moe, TABLE),
    "functional call": (Called, TABLE),
    "encoder with padding": (Masked, WORDS),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("name", FORMS)
def test_it_learns_predicts_as_it_does_itself_and_goes_on_from_a_file(name: str, tmp_path):
    make, x = FORMS[name]
    torch.manual_seed(0)
    model, batch = make().train(), (x, LABELS)
    names = list(model.state_dict())
    trained = local(model, batch, MonoForward(), settings=TrainerSettings(learning_rate=0.01, schedule="constant"))
    assert len(trained.plan.parts) > 1 and not trained.plan.unreached
    first = trained.step(batch)
    for _ in range(12):
        last = trained.step(batch)
    assert last.sum() < first.sum()
    trained.save(tmp_path / "model.safetensors")
    again = LocalModel.load(tmp_path / "model.safetensors", make().train())
    with torch.no_grad():
        own = trained.module().eval()(x)
    model.train()
    assert torch.equal(own, trained.predict_scores(x)) and torch.equal(own, again.predict_scores(x))
    assert torch.equal(trained.step(batch), again.step(batch))
    assert list(trained.module().state_dict()) == names
