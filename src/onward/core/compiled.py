"""Programs: the work of a step on a CPU, as one recorded graph that runs as it is or is compiled first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx

from onward.core.captured import Graphs
from onward.core.fused import FORMULAS
from onward.core.tape import Program, Tape

Compiler = Callable[[fx.GraphModule, list[Tensor]], Program]


class CompiledPrograms(Graphs):
    """Programs that a compiler makes of recorded work; by default inductor, which needs a C++ compiler.

    The results are those of the plain step up to rounding: operations are joined, and sums go in another order.
    """

    def __init__(
        self,
        compiler: Compiler | None = None,
        formulas: Mapping[Any, Callable[..., None]] = FORMULAS,
        *,
        name: str = "compiled programs",
        exact: bool = False,
    ):
        """`exact`: a program must give the results of the recorded work bit for bit."""
        self.compiler = _inductor if compiler is None else compiler
        self.formulas, self.name, self.exact = formulas, name, exact

    def warm(self, work: Callable[[], object]) -> None:
        work()

    def record(
        self, work: Callable[[], list[Tensor]], generators: Sequence[torch.Generator]
    ) -> Callable[[], list[Tensor]]:
        tape = Tape(generators, self.formulas)
        taped = tape.record(work)
        with torch.enable_grad():  # as recorded: without, torch's LSTM does not keep what its gradient needs
            program = self.compiler(taped.graph, taped.inputs())
            tape.check(taped, program, exact=self.exact)

        def repeat() -> list[Tensor]:
            with torch.enable_grad():
                made = iter(program(*taped.inputs()))
            return [next(made) if tensor is None else tensor for tensor in taped.leaving]

        return repeat


def recorded_programs() -> CompiledPrograms:
    """Return programs that do the recorded operations one by one, without what Python does between them.

    The results are those of the plain step bit for bit, but for learning rates, which are rounded to fp32.
    """
    return CompiledPrograms(lambda graph, inputs: graph, formulas={}, name="recorded programs", exact=True)


def check_compilable(device: torch.device) -> None:
    """Raise ValueError where steps cannot be compiled: on another device than a CPU, and without a C++ compiler."""
    if device.type != "cpu":
        raise ValueError(
            f"compile makes programs for a CPU, and this training is on {device}: train on the CPU, or take capture "
            "'auto' in its place"
        )
    from torch._inductor.cpp_builder import get_cpp_compiler  # seconds to import
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise ValueError(
            "compile needs a C++ compiler and found none: install g++, or name one in the environment variable CXX, "
            "or leave compile out"
        ) from None


def _inductor(graph: fx.GraphModule, inputs: list[Tensor]) -> Program:
    import torch._inductor  # with the compiler's other parts, seconds to import

    program = torch._inductor.compile(graph, [*inputs])
    assert callable(program)
    return cast(Program, program)
