"""Every row: those of each method, then those of comparisons."""

from onward.recipes.comparisons import fashion_mnist_airbench, fashion_mnist_mlp
from onward.recipes.methods import (
    asge,
    cafo,
    cwcomp,
    decoupled_greedy,
    deeper_forward,
    distance_forward,
    early_exits,
    ffgaf_snn,
    forward_forward,
    hcl_ff,
    hff,
    layer_collaboration,
    mono_forward,
    predsim,
    random_features,
    recurrent_forward_forward,
    scff,
    symba,
    trifecta,
    unsupervised_forward_forward,
)
from onward.recipes.recipe import Recipe

RECIPES: tuple[Recipe, ...] = (
    *deeper_forward.ROWS,
    *forward_forward.ROWS,
    *asge.ROWS,
    *distance_forward.ROWS,
    *predsim.ROWS,
    *decoupled_greedy.ROWS,
    *mono_forward.ROWS,
    *symba.ROWS,
    *trifecta.ROWS,
    *cwcomp.ROWS,
    *cafo.ROWS,
    *random_features.ROWS,
    *hff.ROWS,
    *scff.ROWS,
    *unsupervised_forward_forward.ROWS,
    *layer_collaboration.ROWS,
    *early_exits.ROWS,
    *ffgaf_snn.ROWS,
    *hcl_ff.ROWS,
    *recurrent_forward_forward.ROWS,
    *fashion_mnist_airbench.ROWS,
    *fashion_mnist_mlp.ROWS,
)
"""Every row; the first is the default of `onward train`."""

ROWS: dict[str, Recipe] = {recipe.name: recipe for recipe in RECIPES}
"""The same by name."""
