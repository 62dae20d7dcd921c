"""Annotations of the library are checked while tests run: arguments, results, fields and sizes of named axes."""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from torch import Tensor

from jaxtyping_once import check_once
from onward.nets import TinyCNN
from onward.parts.ops import one_hot

_checked = check_once(typechecker=None)


@_checked
def _product(left: Float[Tensor, "a b"], right: Float[Tensor, "b"], *, wrong: bool = False) -> Float[Tensor, "a"]:
    return torch.zeros(len(left) + 1) if wrong else left @ right


@_checked
def _letter(number: int = 0, *rest: int, **more: str) -> str:
    return "ab"[number] if number < 2 else number  # pyright: ignore


@_checked
@dataclass
class _Held:
    size: int


@_checked
def _numbers(count: int) -> Iterator[int]:
    yield from range(count)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (_product, (torch.zeros(2, 3), torch.zeros(4))),
        (_product, (torch.zeros(3), torch.zeros(3))),
        (lambda left, right: _product(left, right, wrong=True), (torch.zeros(2, 3), torch.zeros(3))),
        (_letter, ("a",)),
        (_letter, (0, "a")),
        (lambda: _letter(more=1), ()),  # pyright: ignore
        (_letter, (2,)),
        (_Held, ("a",)),
        (_numbers, ("a",)),
        (TinyCNN, ("a",)),
        (one_hot, (torch.zeros(2, 2), 3)),
    ],
)
def test_what_does_not_fit_its_annotation_is_found(call: Callable, parts: tuple[Any, ...]):
    with pytest.raises(BeartypeCallHintViolation):
        call(*parts)


def test_a_test_can_do_without(types_unchecked):
    assert _letter(2) == 2 and _Held("a").size == "a"  # pyright: ignore


def test_what_fits_is_let_through():
    assert _product(torch.ones(2, 3), torch.ones(3)).tolist() == [3, 3]
    assert _product(torch.ones(2, 4), torch.ones(4)).tolist() == [4, 4]  # sizes are those of one call
    assert _letter() == "a" and _letter(1, 2, a="b") == "b" and _Held(1).size == 1 and list(_numbers(2)) == [0, 1]


def test_a_check_holds_nothing_while_its_function_runs():
    @_checked
    def drop(batches: list[Tensor]) -> bool:
        found = weakref.ref(batches[0])
        batches.clear()
        return found() is None

    assert drop([torch.zeros(1)])
