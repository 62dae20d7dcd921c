"""Every method on one multi-layer perceptron: rows that differ in the method alone.

Fashion-MNIST, three layers of 500, ten epochs with AdamW at 1e-3: minutes on two cores. All methods can train this
network, also those that need fully connected layers or try every label. Nothing was tuned here: settings are those of a
method's short rows, if they do not need maps, or its defaults.
"""

from onward.algorithms import (
    ASGE,
    FFGAFSNN,
    HCLFF,
    HFF,
    SCFF,
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
from onward.recipes.budgets import Budget

_BUDGET = Budget(
    data=DataSettings(name="fashion_mnist", validation_fraction=0.05), net=MLP(width=500, depth=3),
    trainer=TrainerSettings(learning_rate=0.001, precision="bf16"), epochs=10, batch_size=100, backprop_rate=0.001,
)

ROWS = (
    *_BUDGET.rows(
        variant="mlp", description="MLP",
        forward_forward=ForwardForward(),
        layer_collaboration=LayerCollaboration(),
        symba=SymBa(),
        trifecta=Trifecta(sharpness=16.0),
        recurrent_forward_forward=RecurrentForwardForward(sharpness=300.0, wrong_labels=3, peer_weight=100.0),
        unsupervised_forward_forward=UnsupervisedForwardForward(read_from=0),
        scff=SCFF(),
        deeper_forward=DeeperForward(),
        hcl_ff=HCLFF(tree=class_trees.FASHION_MNIST),
        asge=ASGE(map_scale="features"),
        predsim=PredSim(),
        cwcomp=CwComp(first_end=0.5, last_end=0.8),
        cafo=CaFo(),
        random_features=RandomFeatures(),
    ),
    *_BUDGET.rows(variant="mlp-feedback", description="MLP, feedback-aligned layers", cafo=CaFo(feedback=True)),
    *_BUDGET.rows(
        variant="mlp", description="MLP, over two layers (reconstruction)",
        distance_forward=DistanceForward(), distance_forward_pairs=DistanceForwardPairs(wrong_labels=3),
    ),
    *_BUDGET.rows(
        variant="mlp", description="MLP (reconstruction)",
        mono_forward=MonoForward(),
        hff=HFF(),
        ffgaf_snn=FFGAFSNN(steps=4),
    ),
)
