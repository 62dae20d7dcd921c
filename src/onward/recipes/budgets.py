"""Budgets that rows share: optimizers of many rows, and one training for many methods."""

from dataclasses import dataclass

from onward.algorithms import Algorithm
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import Architecture
from onward.recipes.recipe import Recipe, Scale

MUON = TrainerSettings(
    optimizer="muon", learning_rate=0.1, momentum=0.6, schedule="linear", warmup=0.1, precision="bf16"
)
"""The optimizer of the airbench speed runs (Jordan 2024)."""

MUON_READ_OUT = TrainerSettings(
    optimizer="muon",
    learning_rate=0.1,
    momentum=0.6,
    schedule="linear",
    warmup=0.1,
    adamw_lr_scale=0.1,
    precision="bf16",
)
"""The same with a larger learning rate of read-outs, for methods with no other training, or with one in every block."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One training for many methods: all fields of a recipe but its algorithm and its texts."""

    data: DataSettings
    net: Architecture
    trainer: TrainerSettings
    epochs: int
    batch_size: int
    backprop_rate: float
    scale: Scale = "shared"

    def rows(self, *, variant: str = "", description: str, **algorithms: Algorithm) -> tuple[Recipe, ...]:
        """Return a recipe for each algorithm, by the name of its method."""
        return tuple(
            Recipe(
                method=method,
                variant=variant,
                scale=self.scale,
                description=description,
                algorithm=algorithm,
                net=self.net,
                data=self.data,
                trainer=self.trainer,
                epochs=self.epochs,
                batch_size=self.batch_size,
                backprop_rate=self.backprop_rate,
            )
            for method, algorithm in algorithms.items()
        )
