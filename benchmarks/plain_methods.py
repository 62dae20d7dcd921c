"""Methods as plain PyTorch loops: with care, and CaFo and Forward-Forward in the order of public code too."""
# B batch, C classes, F features that a predictor reads, N images

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainDeeperForward:
    """One module and one AdamW per layer, in fp32, as one would write the method from its paper."""

    def __init__(self, width: int, classes: int, device: torch.device, dropout: float = 0.2):
        sizes = [(3, width, 5), (width, 2 * width, 5), (2 * width, 4 * width, 3), (4 * width, 4 * width, 3)]
        self.classes = classes
        self.layers = []
        for index, (inputs, outputs, kernel) in enumerate(sizes):
            conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
            pool = [nn.AvgPool2d(2, ceil_mode=True)] if index in (1, 2) else []
            layer = nn.Sequential(*pool, conv, nn.ReLU(inplace=True), nn.Dropout(dropout)).to(device)
            self.layers.append((layer, torch.optim.AdamW(layer.parameters(), lr=1e-3)))

    def step(self, x: Tensor, y: Tensor) -> None:
        x = F.group_norm(x, 1)
        for layer, optimizer in self.layers:
            activity = layer(x)
            scores = activity.unflatten(1, (self.classes, -1)).mean(dim=(2, 3, 4))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(scores, y).backward()
            optimizer.step()
            with torch.no_grad():
                x = F.group_norm(activity, self.classes)


def cafo_blocks(width: int) -> list[nn.Module]:
    """Return CaFo's three random blocks: convolution, ReLU, max pool, batch norm."""
    sizes = [3, width, 4 * width, 16 * width]
    return [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.BatchNorm2d(b))
        for a, b in itertools.pairwise(sizes)
    ]


class ReleasedCaFo:
    """The order of CaFo's released code: a block's whole maps once, of all images; then descent on its predictor.

    A gradient is the mean of the products of features and error of each image, and the loss is computed before and
    after every step. Images do not change their order.
    """

    def __init__(self, width: int, classes: int):
        self.blocks, self.classes = cafo_blocks(width), classes

    @torch.no_grad()
    def train(self, x: Tensor, y: Tensor, *, epochs: int, batch_size: int) -> None:
        labels = F.one_hot(y, self.classes).float()
        for block in self.blocks:
            x = block(x)
            self._fit(x.flatten(1), labels, epochs, batch_size)

    def _fit(self, rows: Tensor, labels: Tensor, epochs: int, batch_size: int) -> None:
        weight = torch.ones(rows.shape[1], self.classes)
        for _ in range(epochs):
            for inputs, wanted in zip(rows.split(batch_size), labels.split(batch_size), strict=True):
                scores = inputs @ weight
                _loss(scores, wanted)
                error = scores.softmax(dim=1) - wanted
                weight -= 0.01 * (inputs[:, :, None] @ error[:, None, :]).mean(dim=0)
                _loss(inputs @ weight, wanted)


def _loss(scores: Tensor, wanted: Tensor) -> Tensor:
    return -(wanted * scores.log_softmax(dim=1)).sum(dim=1).mean()


class PlainCaFo:
    """CaFo with care: a block's features once, in batches; then a linear layer and AdamW, in random order."""

    def __init__(self, width: int, classes: int):
        self.blocks, self.classes = cafo_blocks(width), classes

    def train(self, x: Tensor, y: Tensor, *, epochs: int, batch_size: int) -> None:
        for block in self.blocks:
            with torch.no_grad():
                x = torch.cat([block(part) for part in x.split(batch_size)])
            rows = x.flatten(1)
            layer = nn.Linear(rows.shape[1], self.classes)
            optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3)
            for _ in range(epochs):
                for chosen in torch.randperm(len(y)).split(batch_size):
                    optimizer.zero_grad(set_to_none=True)
                    F.cross_entropy(layer(rows[chosen]), y[chosen]).backward()
                    optimizer.step()


class ReleasedForwardForward:
    """The step of the replication of Forward-Forward that is used most: both views and all layers in one pass.

    Beside the layers' losses with peer normalization, a linear classifier learns from a neutral view in every step.
    """

    def __init__(self, sizes: Sequence[int], classes: int):
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.means = [torch.full((size,), 0.5) for size in sizes[1:]]
        self.classifier, self.classes = nn.Linear(sum(sizes[2:]), classes, bias=False), classes
        groups = [{"params": self.layers.parameters()}, {"params": self.classifier.parameters(), "lr": 1e-2}]
        self.optimizer = torch.optim.SGD(groups, lr=1e-3, momentum=0.9, weight_decay=3e-4)

    def step(self, x: Tensor, y: Tensor) -> None:
        x = x.flatten(1)
        real = torch.arange(2 * len(y)) < len(y)
        views = torch.cat([_labeled(x, y, self.classes), _labeled(x, _wrong(y, self.classes), self.classes)])
        loss, z = torch.zeros(()), _unit(views)
        for k, layer in enumerate(self.layers):
            z = _StraightThrough.apply(layer(z))
            self.means[k] = 0.9 * self.means[k].detach() + 0.1 * z[: len(y)].mean(dim=0)
            loss = loss + 0.03 * (self.means[k].mean() - self.means[k]).square().mean()
            goodness = z.square().sum(dim=1) - z.shape[1]
            loss = loss + F.binary_cross_entropy_with_logits(goodness, real.float())
            ((goodness > 0) == real).float().mean().item()
            z = _unit(z.detach())
        loss = loss + self._classifier_loss(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        loss.item()

    def _classifier_loss(self, x: Tensor, y: Tensor) -> Tensor:
        features = []
        with torch.no_grad():
            z = _unit(torch.cat([torch.full((len(y), self.classes), 1 / self.classes), x[:, self.classes :]], dim=1))
            for layer in self.layers:
                z = _unit(layer(z).relu())
                features.append(z)
        return F.cross_entropy(self.classifier(torch.cat(features[1:], dim=1)), y)


class PlainForwardForward:
    """Forward-Forward with care: both views in one batch, one AdamW per layer, and nothing beside the layers."""

    def __init__(self, sizes: Sequence[int], classes: int):
        self.layers, self.classes = [], classes
        for a, b in itertools.pairwise(sizes):
            layer = nn.Sequential(nn.Linear(a, b), nn.ReLU(inplace=True))
            self.layers.append((layer, torch.optim.AdamW(layer.parameters(), lr=1e-3)))

    def step(self, x: Tensor, y: Tensor) -> None:
        x = x.flatten(1)
        z = torch.cat([_labeled(x, y, self.classes), _labeled(x, _wrong(y, self.classes), self.classes)])
        sign = torch.ones(len(z))
        sign[len(y) :] = -1
        z = _unit(z)
        for layer, optimizer in self.layers:
            activity = layer(z)
            optimizer.zero_grad(set_to_none=True)
            F.softplus(200.0 * sign * (0.15 - activity.square().mean(dim=1))).mean().backward()
            optimizer.step()
            z = _unit(activity.detach())


def _labeled(x: Tensor, y: Tensor, classes: int) -> Tensor:
    x = x.clone()
    x[:, :classes] = F.one_hot(y, classes)
    return x


def _wrong(y: Tensor, classes: int) -> Tensor:
    return (y + torch.randint(1, classes, y.shape)) % classes


def _unit(z: Tensor) -> Tensor:
    return z / (z.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)


class _StraightThrough(torch.autograd.Function):
    """ReLU whose gradient is 1 everywhere, as in that replication."""

    @staticmethod
    def forward(ctx, z: Tensor) -> Tensor:
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient.clone()
