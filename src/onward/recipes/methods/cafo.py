"""CaFo (Zhao et al. 2023): predictors on blocks that stay random, or learn by direct feedback alignment.

The published numbers are for full-batch gradient descent over thousands of steps; here predictors learn in
mini-batches, or by least squares in one pass over the data.
"""

from onward.algorithms import CaFo
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import CaFoCNN
from onward.recipes.recipe import Published, Recipe

ROWS = (
    Recipe(
        method="cafo", description="3 random conv",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(width=8),
        trainer=TrainerSettings(learning_rate=0.003), epochs=20, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="cafo", variant="least_squares", description="3 conv, least squares",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(width=8),
        trainer=TrainerSettings(learning_rate=0.003), epochs=1, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="cafo", variant="feedback", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=CaFo(feedback=True), net=CaFoCNN(width=8),
        trainer=TrainerSettings(learning_rate=0.003), epochs=20, batch_size=64, backprop_rate=0.001,
    ),
    Recipe(
        method="cafo", description="3 random conv",
        data=DataSettings(name="mnist", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.988, source="Zhao et al. 2023, random blocks"),
    ),
    Recipe(
        method="cafo", variant="feedback", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="mnist", validation_fraction=0.1),
        algorithm=CaFo(feedback=True), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.9902, source="Spyra 2025 (arXiv 2509.19063), from logs, feedback"),
    ),
    Recipe(
        method="cafo", description="3 random conv",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.9036, source="Spyra 2025 (arXiv 2509.19063), from logs, random blocks"),
    ),
    Recipe(
        method="cafo", variant="feedback", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1),
        algorithm=CaFo(feedback=True), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.9172, source="Spyra 2025 (arXiv 2509.19063), from logs, feedback"),
    ),
    Recipe(
        method="cafo", description="3 random conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.6743, source="Zhao et al. 2023, random blocks"),
    ),
    Recipe(
        method="cafo", variant="least_squares", description="3 conv, least squares",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=1, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.6514, source="Zhao et al. 2023, note in the released code"),
    ),
    Recipe(
        method="cafo", variant="sparsemax", description="3 conv, sparsemax",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=CaFo(predictor="sparsemax"), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.6635, source="Zhao et al. 2023, note in the released code"),
    ),
    Recipe(
        method="cafo", variant="feedback", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=CaFo(feedback=True), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.776, source="Spyra 2025 (arXiv 2509.19063), from logs, feedback"),
    ),
    Recipe(
        method="cafo", description="3 random conv",
        data=DataSettings(name="cifar100", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=30, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.4075, source="a user's run of the released code, issue 5"),
    ),
    # Minutes on two cores.
    Recipe(
        method="cafo", scale="cpu", description="3 random conv",
        data=DataSettings(name="mnist", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.988, source="Zhao et al. 2023, random blocks (full width)"),
    ),
    Recipe(
        method="cafo", variant="least_squares", scale="cpu", description="3 conv, least squares",
        data=DataSettings(name="mnist", validation_fraction=0.1),
        algorithm=CaFo(predictor="least_squares"), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=1, batch_size=128, backprop_rate=0.001,
    ),
    Recipe(
        method="cafo", scale="cpu", description="3 random conv",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=128, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9036, source="Spyra 2025 (arXiv 2509.19063), from logs, random blocks (full width)",
        ),
    ),
    Recipe(
        method="cafo", variant="feedback", scale="cpu", description="3 conv, feedback-aligned blocks",
        data=DataSettings(name="fashion_mnist", validation_fraction=0.1),
        algorithm=CaFo(feedback=True), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=128, backprop_rate=0.001,
        published=Published(
            test_accuracy=0.9172, source="Spyra 2025 (arXiv 2509.19063), from logs, feedback (full width)",
        ),
    ),
    Recipe(
        method="cafo", scale="cpu", description="3 random conv",
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        algorithm=CaFo(), net=CaFoCNN(width=16),
        trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=128, backprop_rate=0.001,
        published=Published(test_accuracy=0.6743, source="Zhao et al. 2023, random blocks (full width)"),
    ),
)
