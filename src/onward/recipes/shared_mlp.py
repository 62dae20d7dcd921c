"""Every method on one multi-layer perceptron: rows that differ in the method alone, each with a control of its own.

Fashion-MNIST, three layers of 500, ten epochs with AdamW at 1e-3: minutes on two cores. It is the network that all
methods can train, those too that need fully connected layers, or that try every label. Nothing was tuned here: settings
are those of a method's short rows, where they do not need maps, or its defaults.
"""

from onward.algorithms import (
    ASGE,
    FFGAFSNN,
    HCLFF,
    HFF,
    SCFF,
    Algorithm,
    CaFo,
    CwComp,
    DeeperForward,
    DistanceForward,
    DistanceForwardPairs,
    ForwardForward,
    LayerCollaboration,
    MonoForward,
    PredSim,
    RandomFeatures,
    RecurrentForwardForward,
    SymBa,
    Trifecta,
    UnsupervisedForwardForward,
)
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import class_trees
from onward.recipes.recipe import Recipe, control

_METHODS: dict[str, tuple[str, Algorithm]] = {
    "forward_forward": ("Forward-Forward", ForwardForward()),
    "layer_collaboration": ("Layer collaboration", LayerCollaboration()),
    "symba": ("SymBa", SymBa()),
    "trifecta": ("The Trifecta", Trifecta(sharpness=16.0)),
    "recurrent_forward_forward": (
        "Recurrent Forward-Forward",
        RecurrentForwardForward(sharpness=300.0, wrong_labels=3, peer_weight=100.0),
    ),
    "unsupervised_forward_forward": ("Unsupervised Forward-Forward", UnsupervisedForwardForward(read_from=0)),
    "scff": ("SCFF", SCFF()),
    "deeper_forward": ("DeeperForward", DeeperForward()),
    "hcl_ff": ("HCL-FF", HCLFF(tree=class_trees.FASHION_MNIST)),
    "asge": ("ASGE", ASGE(map_scale="features")),
    "distance_forward": ("Distance-Forward over two layers (reconstruction)", DistanceForward()),
    "distance_forward_pairs": (
        "Distance-Forward with image-label pairs over two layers (reconstruction)",
        DistanceForwardPairs(wrong_labels=3),
    ),
    "predsim": ("predsim", PredSim()),
    "mono_forward": ("Mono-Forward (reconstruction)", MonoForward()),
    "cwcomp": ("CwComp", CwComp(first_end=0.5, last_end=0.8)),
    "cafo": ("CaFo", CaFo()),
    "cafo_feedback": ("CaFo with feedback-aligned layers", CaFo(feedback=True)),
    "hff": ("HFF (reconstruction)", HFF()),
    "ffgaf_snn": ("FFGAF-SNN (reconstruction)", FFGAFSNN(steps=4)),
    "random_features": ("Random features", RandomFeatures()),
}


def row(method: str) -> Recipe:
    """Return a method's row."""
    title, algorithm = _METHODS[method]
    return Recipe(
        name=f"{method}-fashion_mnist-shared_mlp",
        description=f"{title}, MLP, fashion_mnist",
        algorithm=algorithm,
        net=MLP(width=500, depth=3),
        data=DataSettings(name="fashion_mnist", validation_fraction=0.05),
        trainer=TrainerSettings(learning_rate=1e-3, precision="bf16"),
        epochs=10,
        batch_size=100,
        backprop=f"backprop-{method}-fashion_mnist-shared_mlp",
    )


RECIPES = tuple(recipe for method in _METHODS for recipe in (row(method), control(row(method), learning_rate=1e-3)))
