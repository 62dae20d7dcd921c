"""Recipes: a file per method with a function per published row, and the tuple RECIPES of them and their controls."""

from onward.recipes import (
    airbench,
    asge,
    cafo,
    cwcomp,
    deeper_forward,
    deeper_forward_tables,
    distance_forward,
    early_exits,
    ffgaf_snn,
    forward_forward,
    hcl_ff,
    hff,
    layer_collaboration,
    local_fields,
    mono_forward,
    one_gpu,
    predsim,
    random_features,
    recurrent_forward_forward,
    scff,
    shared,
    shared_mlp,
    symba,
    trifecta,
    unsupervised_forward_forward,
)
from onward.recipes.controls import further_controls
from onward.recipes.recipe import Published, Recipe

RECIPES: tuple[Recipe, ...] = (
    *deeper_forward.RECIPES,
    *deeper_forward_tables.RECIPES,
    *forward_forward.RECIPES,
    *asge.RECIPES,
    *distance_forward.RECIPES,
    *predsim.RECIPES,
    *airbench.RECIPES,
    *mono_forward.RECIPES,
    *symba.RECIPES,
    *trifecta.RECIPES,
    *cwcomp.RECIPES,
    *cafo.RECIPES,
    *random_features.RECIPES,
    *hff.RECIPES,
    *scff.RECIPES,
    *unsupervised_forward_forward.RECIPES,
    *layer_collaboration.RECIPES,
    *early_exits.RECIPES,
    *ffgaf_snn.RECIPES,
    *hcl_ff.RECIPES,
    *local_fields.RECIPES,
    *recurrent_forward_forward.RECIPES,
    *shared.RECIPES,
    *shared_mlp.RECIPES,
    *one_gpu.RECIPES,
)
"""Every published row and its backprop control; the first is the default of `onward train`."""

CONTROLS: tuple[Recipe, ...] = further_controls(RECIPES)
"""What else can stand beside a row, derived from it and its backprop control; not listed one by one."""

__all__ = ["CONTROLS", "RECIPES", "Published", "Recipe"]
