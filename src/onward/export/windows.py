"""Operators on windows of maps: convolutions and pools."""

from typing import Any

from torch.fx import Node

from onward.export.loops import Operator, Writer
from onward.export.operators import shape_of
from onward.export.values import Index, Value, linear, plus, times


def _pairs(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _convolve(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    x, weight, bias, stride, padding, dilation, transposed, _, groups = args
    if len(x.shape) != 4:
        raise ValueError("a convolution of other than maps cannot be written as plain loops: use --format onnx")
    x, weight = writer.ready(x), writer.ready(weight)
    window = _Window(*_pairs(stride), *_pairs(padding), *_pairs(dilation), transposed)
    shape = shape_of(node)
    result = writer.temporary(shape)
    assert result.array is not None
    inputs, outputs = x.shape[1] // groups, shape[1] // groups
    reads = x.reads | weight.reads | (bias.reads if bias is not None else frozenset())
    with writer.statement(reads, result.array), writer.loops(shape) as index:
        n, channel, row, column = index
        writer.local("a", "ZERO" if bias is None else bias.at((channel,)))
        group = "0" if groups == 1 else channel if outputs == 1 else f"INT({channel} / {outputs})"
        with writer.loops((inputs, *weight.shape[2:])) as (c, down, right):
            writer.line(f"{writer.dialect.counter} y = {window.at(row, down, 0)}, x = {window.at(column, right, 1)};")
            source = plus(times(group, inputs), c)
            inner = channel if groups == 1 else "0" if outputs == 1 else f"{channel} % {outputs}"
            kernel = weight.at((source, inner, down, right) if transposed else (channel, c, down, right))
            height, width = x.shape[2:]
            tests = f"y >= 0 && y < {height} && x >= 0 && x < {width}"
            writer.line(f"if ({window.fits(height, width)}) {{" if transposed else f"if ({tests}) {{")
            ys, xs = (f"(y / {window.down})", f"(x / {window.right})") if transposed else ("y", "x")
            writer.line(f"a += {x.at((n, source, ys, xs))} * {kernel};")
            writer.line("}")
        writer.line(f"{result.array}[{linear(index, shape)}] = a;")
    return result


class _Window:
    """The position on the input of an element of a kernel; times the stride if transposed."""

    def __init__(self, down: int, right: int, above: int, before: int, spread: int, wide: int, transposed: bool):
        self.down, self.right = down, right
        self.strides, self.pads, self.spreads = (down, right), (above, before), (spread, wide)
        self.transposed = transposed

    def at(self, position: str, inner: str, axis: int) -> str:
        if self.transposed:
            return f"{plus(position, self.pads[axis])} - {times(inner, self.spreads[axis])}"
        return plus(plus(times(position, self.strides[axis]), times(inner, self.spreads[axis])), -self.pads[axis])

    def fits(self, height: int, width: int) -> str:
        whole = [f"{v} % {s} == 0" for v, s in (("y", self.down), ("x", self.right)) if s > 1]
        inside = f"y >= 0 && x >= 0 && y < {height * self.down} && x < {width * self.right}"
        return " && ".join([inside, *whole])


def _average(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    """Write a mean over windows; values outside of the map count as zero if the pool includes its padding."""
    x, kernel = writer.ready(args[0]), _pairs(args[1])
    stride = _pairs(args[2]) if len(args) > 2 and args[2] else kernel
    pads = _pairs(args[3]) if len(args) > 3 else (0, 0)
    counted = args[5] if len(args) > 5 else True
    shape = shape_of(node)
    lead = len(shape) - 2
    result = writer.temporary(shape)
    assert result.array is not None
    with writer.statement(x.reads, result.array), writer.loops(shape) as index:
        ends = []
        for axis, name in enumerate("yx"):
            length, n = x.shape[lead + axis], kernel[axis]
            begin = plus(times(index[lead + axis], stride[axis]), -pads[axis])
            bound = length + pads[axis] if counted else length
            writer.line(f"{writer.dialect.counter} {name}0 = {begin}, {name}1 = LEAST({name}0 + {n}, {bound});")
            size = f"({name}1 - {name}0)" if counted else f"({name}1 - MOST({name}0, 0))"
            ends.append(size)
        writer.local("a", "ZERO")
        counter = writer.dialect.counter
        for axis, name in enumerate("yx"):
            last = f"LEAST({name}1, {x.shape[lead + axis]})"
            writer.line(f"for ({counter} {name} = MOST({name}0, 0); {name} < {last}; {name}++) {{")
        writer.line(f"a += {x.at((*index[:lead], 'y', 'x'))};")
        writer.line("}")
        writer.line("}")
        divisor = writer.number(args[6]) if len(args) > 6 and args[6] else f"NUMBER({ends[0]} * {ends[1]})"
        writer.line(f"{result.array}[{linear(index, shape)}] = a / {divisor};")
    return result


def _adaptive(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    """Write means over cells: cell k of n spans from the floor of k / n of the map to the ceiling of (k + 1) / n."""
    x, shape = writer.ready(args[0]), shape_of(node)
    lead = len(shape) - 2
    result = writer.temporary(shape)
    assert result.array is not None
    counter = writer.dialect.counter
    with writer.statement(x.reads, result.array), writer.loops(shape) as index:
        for axis, name in enumerate("yx"):
            length, cells, cell = x.shape[lead + axis], shape[lead + axis], index[lead + axis]
            begin, end = times(cell, length), plus(times(cell, length), length + cells - 1)
            writer.line(f"{counter} {name}0 = INT(({begin}) / {cells}), {name}1 = INT(({end}) / {cells});")
        writer.local("a", "ZERO")
        for name in "yx":
            writer.line(f"for ({counter} {name} = {name}0; {name} < {name}1; {name}++) {{")
        writer.line(f"a += {x.at((*index[:lead], 'y', 'x'))};")
        writer.line("}")
        writer.line("}")
        writer.line(f"{result.array}[{linear(index, shape)}] = a / NUMBER((y1 - y0) * (x1 - x0));")
    return result


def _largest_in_windows(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Value]:
    x, kernel = writer.ready(args[0]), _pairs(args[1])
    stride = _pairs(args[2]) if len(args) > 2 and args[2] else kernel
    pads = _pairs(args[3]) if len(args) > 3 else (0, 0)
    shape = tuple(node.meta["val"][0].shape)
    lead, (height, width) = len(shape) - 2, x.shape[-2:]
    position = writer.temporary(shape)
    assert position.array is not None
    with writer.statement(x.reads, position.array), writer.loops(shape) as index:
        writer.local("a", "-BIG")
        writer.local("b", "ZERO")
        with writer.loops(kernel) as (down, right):
            corner = [plus(plus(times(index[lead + k], stride[k]), e), -pads[k]) for k, e in enumerate((down, right))]
            writer.line(f"{writer.dialect.counter} y = {corner[0]}, x = {corner[1]};")
            element = x.at((*index[:lead], "y", "x"))
            inside = f"y >= 0 && y < {height} && x >= 0 && x < {width}"
            writer.line(f"if ({inside} && {element} > a) {{ a = {element}; b = NUMBER(y * {width} + x); }}")
        writer.line(f"{position.array}[{linear(index, shape)}] = b;")

    def at(index: Index) -> str:
        spot = f"INT({position.at(index)})"
        return x.at((*index[:lead], f"INT({spot} / {width})", f"({spot} % {width})"))

    return [writer.store(Value(shape, at, x.reads | position.reads)), position]


WINDOW_OPERATORS: dict[str, Operator] = {
    "convolution.default": _convolve,
    "avg_pool2d.default": _average,
    "_adaptive_avg_pool2d.default": _adaptive,
    "max_pool2d_with_indices.default": _largest_in_windows,
}
