"""Constants: made once, except in a program that is traced."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from onward.core import constant, numbers


def _numbers(count: int, device: torch.device) -> torch.Tensor:
    return torch.arange(count, device=device)


def test_a_constant_is_made_once_for_the_same_values():
    cpu = torch.device("cpu")
    assert constant(_numbers, 7, cpu) is constant(_numbers, 7, cpu)
    assert len(constant(_numbers, 8, cpu)) == 8


def test_a_graph_may_hold_what_was_first_made_in_inference_mode():
    with torch.inference_mode():
        made = constant(_numbers, 11, torch.device("cpu"))
    x = torch.ones(11, requires_grad=True)
    (x * made).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.arange(11.0))


def test_a_traced_program_makes_its_constants_and_leaves_none_behind():
    def plus(x: torch.Tensor) -> torch.Tensor:
        return x + constant(_numbers, 13, x.device)

    for _ in range(2):  # known the second time, and traced the same way
        graph = make_fx(plus)(torch.zeros(13))
        assert any("arange" in str(node.target) for node in graph.graph.nodes)
        assert type(constant(_numbers, 13, torch.device("cpu"))) is torch.Tensor


def test_numbers_are_constants_of_their_type():
    cpu = torch.device("cpu")
    one, several = numbers(0.5, torch.float64, cpu), numbers((1.0, 2.0), torch.float32, cpu)
    assert one.shape == () and one.dtype == torch.float64 and one == 0.5
    assert several.dtype == torch.float32 and several.tolist() == [1.0, 2.0]
    assert numbers((1.0, 2.0), torch.float32, cpu) is several
    assert numbers(0.5, torch.float32, cpu) is not one
