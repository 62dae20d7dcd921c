"""CaFo (Zhao et al. 2023), each row beside backprop through the same network.

Its printed numbers are for full-batch gradient descent over thousands of steps; here predictors learn in mini-batches.
"""

from dataclasses import replace

from onward.algorithms import CaFo
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import CaFoCNN
from onward.recipes.recipe import Published, Recipe, control

_PAPER = "Zhao et al. 2023, random blocks"
_SPYRA = "Spyra 2025 (arXiv 2509.19063), from logs"


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return Recipe(
        name="cafo-digits",
        description="CaFo, 3 random conv, digits",
        algorithm=CaFo(),
        net=CaFoCNN(width=8),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=3e-3),
        epochs=20,
        batch_size=64,
        backprop="backprop-cafo-digits",
    )


def _row(data: str, published: Published) -> Recipe:
    return Recipe(
        name=f"cafo-{data}",
        description=f"CaFo, 3 random conv, {data}",
        algorithm=CaFo(),
        net=CaFoCNN(),
        data=DataSettings(name=data, validation_fraction=0.1),
        trainer=TrainerSettings(learning_rate=1e-3, precision="bf16"),
        epochs=30,
        batch_size=128,
        published=published,
        backprop=f"backprop-cafo-{data}",
    )


def mnist() -> Recipe:
    """Cross-entropy predictors on random blocks."""
    return _row("mnist", Published(test_accuracy=0.9880, source=_PAPER))


def fashion_mnist() -> Recipe:
    """Cross-entropy predictors on random blocks."""
    return _row("fashion_mnist", Published(test_accuracy=0.9036, source=f"{_SPYRA}, random blocks"))


def cifar10() -> Recipe:
    """Cross-entropy predictors on random blocks."""
    return _row("cifar10", Published(test_accuracy=0.6743, source=_PAPER))


def cifar100() -> Recipe:
    """Cross-entropy predictors on random blocks."""
    return _row("cifar100", Published(test_accuracy=0.4075, source="a user's run of the released code, issue 5"))


def least_squares(row: Recipe, published: Published | None) -> Recipe:
    """The same with predictors in closed form: one pass over the data."""
    return _variant(row, "least_squares", CaFo(predictor="least_squares"), "least squares", published, epochs=1)


def sparsemax(row: Recipe, published: Published | None) -> Recipe:
    """The same with the loss of sparsemax."""
    return _variant(row, "sparsemax", CaFo(predictor="sparsemax"), "sparsemax", published, epochs=row.epochs)


def feedback(row: Recipe, published: Published | None) -> Recipe:
    """The same with blocks that learn by direct feedback alignment."""
    return _variant(row, "feedback", CaFo(feedback=True), "feedback-aligned blocks", published, epochs=row.epochs)


def _variant(row: Recipe, name: str, algorithm: CaFo, words: str, published: Published | None, *, epochs: int):
    assert row.backprop is not None
    return replace(
        row,
        name=row.name.replace("cafo-", f"cafo_{name}-", 1),
        description=row.description.replace("CaFo,", f"CaFo with {words},", 1).replace("random conv", "conv"),
        algorithm=algorithm,
        epochs=epochs,
        published=published,
        backprop=row.backprop.replace("-cafo-", f"-cafo_{name}-", 1),
    )


def fast(row: Recipe) -> Recipe:
    """Half the width and a third of the epochs, for two cores."""
    assert row.backprop is not None
    published = row.published
    return replace(
        row,
        name=f"{row.name}-fast",
        net=CaFoCNN(width=16),
        epochs=max(1, row.epochs // 3),
        published=None if published is None else replace(published, source=f"{published.source} (full width)"),
        backprop=f"{row.backprop}-fast",
    )


_SOLVED = (
    least_squares(digits(), None),
    least_squares(mnist(), None),
    least_squares(fashion_mnist(), None),
    least_squares(cifar10(), Published(test_accuracy=0.6514, source="Zhao et al. 2023, note in the released code")),
)
_SPARSE = sparsemax(cifar10(), Published(test_accuracy=0.6635, source="Zhao et al. 2023, note in the released code"))
_ALIGNED = (
    feedback(digits(), None),
    feedback(mnist(), Published(test_accuracy=0.9902, source=f"{_SPYRA}, feedback")),
    feedback(fashion_mnist(), Published(test_accuracy=0.9172, source=f"{_SPYRA}, feedback")),
    feedback(cifar10(), Published(test_accuracy=0.776, source=f"{_SPYRA}, feedback")),
)
_ROWS = (mnist(), fashion_mnist(), cifar10())
_FAST = (*_ROWS, *_SOLVED[1:], *_ALIGNED[1:])
_LOCAL = (digits(), *_ROWS, cifar100(), *_SOLVED, _SPARSE, *_ALIGNED, *[fast(row) for row in _FAST])
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
