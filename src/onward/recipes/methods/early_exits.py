"""Early exits on another method's row: the same training, and an inference rule with exits."""

from onward.algorithms import EarlyExits
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import TinyCNN
from onward.recipes.recipe import Recipe

ROWS = (
    Recipe(
        method="early_exits", variant="deeper_forward", description="exits of DeeperForward, 4-layer CNN, the default",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=EarlyExits(), net=TinyCNN(width=50, dropout=0.1),
        trainer=TrainerSettings(learning_rate=0.03, weight_decay=0.0005), epochs=30, batch_size=64, backprop_rate=0.002,
    ),
    Recipe(
        method="early_exits", variant="deeper_forward-heads",
        description="exits of DeeperForward with trained heads, 4-layer CNN, the default",
        data=DataSettings(name="digits", validation_fraction=0.1),
        algorithm=EarlyExits(heads="trained"), net=TinyCNN(width=50, dropout=0.1),
        trainer=TrainerSettings(learning_rate=0.03, weight_decay=0.0005), epochs=30, batch_size=64, backprop_rate=0.002,
    ),
)
