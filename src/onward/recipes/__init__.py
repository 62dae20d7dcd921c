"""Recipes: Python functions, one per published table row or control, and the tuple RECIPES."""

from onward.recipes import digits, fashion_mnist, mnist
from onward.recipes.recipe import Published, Recipe

RECIPES = (
    digits.deeper_forward,
    digits.forward_forward,
    digits.backprop,
    digits.backprop_mlp,
    mnist.deeper_forward,
    mnist.forward_forward,
    mnist.backprop,
    mnist.backprop_mlp,
    fashion_mnist.deeper_forward,
    fashion_mnist.backprop,
)
"""Every recipe; the first is the default of `onward train`."""

__all__ = ["RECIPES", "Published", "Recipe"]
