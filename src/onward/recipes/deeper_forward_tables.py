"""The tables of DeeperForward (Sun et al. 2025) with the released code's settings, and short rows for two cores.

With 100 classes no short row can be narrower, as every class needs a channel: there is none.
"""

from dataclasses import replace

from onward.algorithms import DeeperForward
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import VGG14, Architecture, Plain17, ResNet17, ResNet33, ResNet100, TinyCNN
from onward.recipes import airbench
from onward.recipes.recipe import Published, Recipe, control


def resnet17_cifar10() -> Recipe:
    """The headline row: the settings of the released code, in bf16; for a GPU.

    Weight decay is that of the released test script; what the paper used is unknown.
    """
    return Recipe(
        name="deeper_forward-resnet17-cifar10",
        description="DeeperForward, ResNet17, CIFAR-10",
        algorithm=DeeperForward(),
        net=ResNet17(),
        data=DataSettings(name="cifar10", size=32),
        trainer=TrainerSettings(
            learning_rate=0.08,
            final_learning_rate=0.008,
            schedule_every="epoch",
            weight_decay=1e-4,
            precision="bf16",
        ),
        epochs=150,
        batch_size=128,
        published=_printed(86.22, 1, deviation=0.17),
        backprop="backprop-resnet17-cifar10",
    )


def resnet17_mnist() -> Recipe:
    """Images brought to 32x32, 10,000 held out."""
    return replace(_like("resnet17-mnist", "ResNet17, MNIST", _printed(99.63, 1, deviation=0.04)), data=_gray("mnist"))


def resnet17_fashion_mnist() -> Recipe:
    """Images brought to 32x32, 10,000 held out."""
    row = _like("resnet17-fashion_mnist", "ResNet17, Fashion-MNIST", _printed(93.13, 1, deviation=0.13))
    return replace(row, data=_gray("fashion_mnist"))


def resnet17_cifar100() -> Recipe:
    """One channel per class in the first stage."""
    data = DataSettings(name="cifar100", size=32)
    return replace(_like("resnet17-cifar100", "ResNet17, CIFAR-100", _printed(53.09, 2, deviation=0.79)), data=data)


def resnet17x3_cifar100() -> Recipe:
    """Three times the width, 275 M parameters. That the paper's CHx3 is this network is inferred."""
    row = _like(
        "resnet17x3-cifar100", "ResNet17 of three times the width, CIFAR-100", _printed(60.28, 2, deviation=1.02)
    )
    return replace(row, data=DataSettings(name="cifar100", size=32), net=ResNet17(width=300))


def tiny_cnn_cifar10() -> Recipe:
    """Four layers at full width; AdamW's own weight decay, as in the released code, which sets none here."""
    row = _like("tiny_cnn-cifar10", "TinyCNN, CIFAR-10", _printed(79.49, 1))
    return _tiny(row)


def tiny_cnn_mnist() -> Recipe:
    """The same four layers; `deeper_forward-mnist` is the short row."""
    return replace(_tiny(_like("tiny_cnn-mnist", "TinyCNN, MNIST", _printed(99.50, 1))), data=_gray("mnist"))


def tiny_cnn_fashion_mnist() -> Recipe:
    """The same four layers; `deeper_forward-fashion_mnist` is the short row."""
    row = _like("tiny_cnn-fashion_mnist", "TinyCNN, Fashion-MNIST", _printed(91.83, 1))
    return replace(_tiny(row), data=_gray("fashion_mnist"))


def vgg14_cifar10() -> Recipe:
    """Fourteen layers; Adam without weight decay, as in the released code."""
    return _vgg(_like("vgg14-cifar10", "VGG14, CIFAR-10", _printed(81.76, 1)))


def vgg14_mnist() -> Recipe:
    """The same fourteen layers on digits."""
    return replace(_vgg(_like("vgg14-mnist", "VGG14, MNIST", _printed(99.65, 1))), data=_gray("mnist"))


def vgg14_fashion_mnist() -> Recipe:
    """The same fourteen layers on clothes."""
    row = _like("vgg14-fashion_mnist", "VGG14, Fashion-MNIST", _printed(92.44, 1))
    return replace(_vgg(row), data=_gray("fashion_mnist"))


def plain17_cifar10() -> Recipe:
    """ResNet17 without its skip connections; Adam without weight decay, as in the released code."""
    row = _like("plain17-cifar10", "Plain17, CIFAR-10", _printed(81.16, 4))
    return replace(row, net=Plain17(), trainer=_without_decay(row.trainer))


def square_length_cifar10() -> Recipe:
    """Squared goodness and length normalisation: the row without mean goodness."""
    row = _like("square_length-cifar10", "ResNet17 with mean squares and unit lengths, CIFAR-10", _printed(79.38, 4))
    return replace(row, algorithm=DeeperForward(goodness="mean_square", normaliser="length"))


def square_variance_cifar10() -> Recipe:
    """Squared goodness and class-group normalisation: a cell that the paper leaves out."""
    row = _like("square_variance-cifar10", "ResNet17 with mean squares and unit variances, CIFAR-10")
    return replace(row, algorithm=DeeperForward(goodness="mean_square"))


def mean_length_cifar10() -> Recipe:
    """Mean goodness and length normalisation: a cell that the paper leaves out."""
    row = _like("mean_length-cifar10", "ResNet17 with means and unit lengths, CIFAR-10")
    return replace(row, algorithm=DeeperForward(normaliser="length"))


def resnet33_cifar10() -> Recipe:
    """The main text says that more layers bring no significant improvement, and gives no number."""
    return replace(_like("resnet33-cifar10", "ResNet33, CIFAR-10"), net=ResNet33())


def resnet100_cifar10() -> Recipe:
    """The main text says that more layers bring no significant improvement, and gives no number."""
    return replace(_like("resnet100-cifar10", "ResNet100, CIFAR-10"), net=ResNet100())


def cifar10_fast() -> Recipe:
    """TinyCNN at half width and few epochs, with the settings of `deeper_forward-mnist` and mirrored images."""
    return Recipe(
        name="deeper_forward-cifar10-fast",
        description="DeeperForward, 4-layer CNN of half width, CIFAR-10 in minutes",
        algorithm=DeeperForward(),
        net=TinyCNN(width=50, dropout=0.1),
        data=DataSettings(name="cifar10", augmentation=Augmentation(flip=True)),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=5e-4, precision="bf16"),
        epochs=10,
        batch_size=32,
        published=_printed(79.49, 1, " (full width, 150 epochs)"),
        backprop="backprop-cifar10-fast",
    )


def fast(row: Recipe, net: Architecture, told: str) -> Recipe:
    """A row's method and images on a narrower network, with the budget and settings of `cifar10_fast`."""
    short = cifar10_fast()
    published = row.published
    return replace(
        row,
        name=f"{row.name}-fast",
        description=f"{row.description}, {told}, in minutes",
        net=net,
        data=replace(row.data, size=None, augmentation=Augmentation(flip=row.data.name != "mnist")),
        trainer=short.trainer,
        epochs=short.epochs,
        batch_size=short.batch_size,
        published=published and replace(published, source=f"{published.source} (full width, 150 epochs)"),
        backprop=f"{row.backprop}-fast",
    )


def with_muon(row: Recipe, *, epochs: int) -> Recipe:
    """A short residual row with Muon, without dropout, in larger batches; reads mirror images too.

    On 12,000 clothes and 5 epochs (validation): AdamW in batches of 32, with dropout, 87.4 %, Muon without, at 0.15,
    89.9. On 16,000 and 10 epochs: 90.6 % at 0.05, 90.2 at 0.02; at 0.05 shifts of a pixel cost 0.4, skip connections
    joined by class 0.3. In 12 epochs on all clothes 0.15 stayed below 86 % until it had fallen. On 8,000 photographs
    and 4 epochs, both with dropout: AdamW 48.0 %, in batches of 128 46.4; Muon in those 54.9, 61.1, 58.8 and 57.1 at
    0.05, 0.15, 0.3 and 0.6; a temperature of 0.01 cost 3 %, 0.1 4 %; shifts of two pixels cost 0.8; no dropout and a
    linear schedule gave 2.4.
    """
    return replace(
        row,
        algorithm=DeeperForward(temperature=0.03, mirrored=True),
        net=ResNet17(width=20, dropout=0.0),
        data=replace(row.data, validation_fraction=0.05, augmentation=Augmentation(alternate_flip=True)),
        trainer=replace(airbench.TRAINER, learning_rate=0.05),
        epochs=epochs,
        batch_size=128,
    )


def _like(row: str, description: str, published: Published | None = None) -> Recipe:
    """Return the headline row under another name, with a control of its own."""
    return replace(
        resnet17_cifar10(),
        name=f"deeper_forward-{row}",
        description=f"DeeperForward, {description}",
        published=published,
        backprop=f"backprop-{row}",
    )


def _printed(percent: float, table: int, remark: str = "", deviation: float | None = None) -> Published:
    """Return a number of the paper; where it prints a deviation, that is over five trials."""
    return Published(
        test_accuracy=round(percent / 100, 4),
        source=f"Sun et al. 2025, table {table}{remark}",
        deviation=None if deviation is None else round(deviation / 100, 4),
        seeds=None if deviation is None else 5,
    )


def _without_decay(trainer: TrainerSettings) -> TrainerSettings:
    return replace(trainer, optimizer="adam", weight_decay=0.0)


def _tiny(row: Recipe) -> Recipe:
    return replace(row, net=TinyCNN(), trainer=replace(row.trainer, weight_decay=0.01))


def _vgg(row: Recipe) -> Recipe:
    return replace(row, net=VGG14(), trainer=_without_decay(row.trainer))


def _gray(name: str) -> DataSettings:
    return DataSettings(name=name, size=32, validation_fraction=1 / 6)


_DIGITS_AND_CELLS = (resnet17_mnist(), square_length_cifar10(), square_variance_cifar10(), mean_length_cifar10())
_FOURTEEN = (vgg14_cifar10(), vgg14_mnist(), vgg14_fashion_mnist())
_FIFTH = "a fifth of the width"
_NARROW = ResNet17(width=20, dropout=0.1)
_ROWS = (
    resnet17_cifar10(),
    resnet17_fashion_mnist(),
    *_DIGITS_AND_CELLS,
    resnet17_cifar100(),
    resnet17x3_cifar100(),
    tiny_cnn_cifar10(),
    tiny_cnn_mnist(),
    tiny_cnn_fashion_mnist(),
    *_FOURTEEN,
    plain17_cifar10(),
    resnet33_cifar10(),
    resnet100_cifar10(),
    cifar10_fast(),
    with_muon(fast(resnet17_cifar10(), _NARROW, _FIFTH), epochs=12),
    with_muon(fast(resnet17_fashion_mnist(), _NARROW, _FIFTH), epochs=24),
    *(fast(row, _NARROW, _FIFTH) for row in _DIGITS_AND_CELLS),
    *(fast(row, VGG14(width=10, dropout=0.1), "a seventh of the width") for row in _FOURTEEN),
    fast(plain17_cifar10(), Plain17(width=20, dropout=0.1), _FIFTH),
    fast(resnet33_cifar10(), ResNet33(width=20, dropout=0.1), _FIFTH),
    fast(resnet100_cifar10(), ResNet100(width=10, dropout=0.1), "a tenth of the width"),
)
RECIPES = tuple(
    recipe
    for row in _ROWS
    for recipe in (row, control(row, learning_rate=0.1 if row.trainer.optimizer == "muon" else 1e-3))
)
