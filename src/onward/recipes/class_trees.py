"""Trees of classes of data sets, defined by hand, for methods that learn from coarse to fine classes.

HCL-FF's own trees come from clustering: see `onward.parts.goodness.class_tree.tree_of`.
"""

import json

CIFAR10 = "[[[0, 8], [1, 9]], [[2, 6], [[3, 5], [4, 7]]]]"
"""Vehicles (of air and water, of the road) and animals (bird and frog, pets, deer and horse)."""

FASHION_MNIST = "[[[[0, 6], [2, 4]], [1, 3]], [[5, [7, 9]], 8]]"
"""Clothes (tops, trousers and dress) and the rest (shoes, bag)."""

MNIST = "[[[4, 9], 7], [[[3, 5], 8], [[2, 6], 1]], 0]"
"""Digits that share strokes."""

_AQUATIC, _FISH = [4, 30, 55, 72, 95], [1, 32, 67, 73, 91]
_FLOWERS, _FRUIT, _TREES = [54, 62, 70, 82, 92], [0, 51, 53, 57, 83], [47, 52, 56, 59, 96]
_CONTAINERS, _DEVICES, _FURNITURE = [9, 10, 16, 28, 61], [22, 39, 40, 86, 87], [5, 20, 25, 84, 94]
_INSECTS, _INVERTEBRATES, _REPTILES = [6, 7, 14, 18, 24], [26, 45, 77, 79, 99], [27, 29, 44, 78, 93]
_CARNIVORES, _HERBIVORES = [3, 42, 43, 88, 97], [15, 19, 21, 31, 38]
_MEDIUM, _SMALL, _PEOPLE = [34, 63, 64, 66, 75], [36, 50, 65, 74, 80], [2, 11, 35, 46, 98]
_BUILT, _NATURAL = [12, 17, 37, 68, 76], [23, 33, 49, 60, 71]
_ROAD, _OTHER_VEHICLES = [8, 13, 48, 58, 90], [41, 69, 81, 85, 89]

_MAMMALS = [_CARNIVORES, _HERBIVORES, _MEDIUM, _SMALL, _PEOPLE]
_ANIMALS = [[_AQUATIC, _FISH], [_INSECTS, _INVERTEBRATES, _REPTILES], _MAMMALS]
_OUTDOORS = [[_FLOWERS, _FRUIT, _TREES], [_BUILT, _NATURAL]]
_THINGS = [[_CONTAINERS, _DEVICES, _FURNITURE], [_ROAD, _OTHER_VEHICLES]]

CIFAR100 = json.dumps([_ANIMALS, _OUTDOORS, _THINGS])
"""The set's own 20 superclasses; above them 7 groups, and animals, plants and scenes, things."""
