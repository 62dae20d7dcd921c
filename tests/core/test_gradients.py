"""Modes of a training: they hold inside, regardless of those around it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import pytest
import torch

from onward.core import gradients_on

OTHER_MODES: dict[str, Callable[[], AbstractContextManager]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "device": lambda: torch.device("meta"),
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
}


@gradients_on()
def _modes() -> tuple[bool, bool, str, bool]:
    made = torch.ones(2) @ torch.ones(2)
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), made.device.type, made.dtype == torch.float32


@pytest.mark.parametrize("around", [nullcontext, *OTHER_MODES.values()], ids=["nothing", *OTHER_MODES])
def test_modes_of_a_training_hold_inside_and_those_around_it_return(around: Callable):
    wanted = (True, False, "cpu", True)
    with around():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
        assert _modes() == wanted
        with gradients_on():
            assert _modes() == wanted
            with around():  # somebody's own code within a training
                assert _modes() == wanted
        with pytest.raises(ZeroDivisionError), gradients_on():
            _ = 1 / 0
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")) == before
        assert torch.get_default_device().type == ("meta" if around is OTHER_MODES["device"] else "cpu")
