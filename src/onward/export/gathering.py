"""Operators whose results depend on many elements: sums, products of matrices, and selections."""

import math
from typing import Any

from torch.fx import Node

from onward.export.loops import Operator, Writer
from onward.export.operators import OPERATORS, elementwise, shape_of
from onward.export.values import Index, Value, linear, plus, times
from onward.export.windows import WINDOW_OPERATORS

Args = tuple[Any, ...]
Named = dict[str, Any]


def _axes(value: Value, wanted: Any) -> list[int]:
    rank = len(value.shape)
    if wanted is None or wanted == []:
        return list(range(rank))
    return sorted({k % rank for k in ([wanted] if isinstance(wanted, int) else wanted)}) if rank else []


def _reduce(start: str, add: str, end: str = "{a}") -> Operator:
    """Return the operator that reduces some axes; in `add`, {a} is the accumulator and {x} an element."""

    def write(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
        value = args[0]
        axes = _axes(value, args[1] if len(args) > 1 else kwargs.get("dim"))
        count = math.prod(value.shape[k] for k in axes)
        kept = [1 if k in axes else n for k, n in enumerate(value.shape)]
        result = writer.temporary(shape_of(node))
        assert result.array is not None
        with writer.statement(value.reads, result.array), writer.loops(kept) as outer:
            writer.local("a", start)
            with writer.loops([n if k in axes else 1 for k, n in enumerate(value.shape)]) as inner:
                index = tuple(inner[k] if k in axes else outer[k] for k in range(len(value.shape)))
                writer.line(f"a = {add.format(a='a', x=value.at(index))};")
            offset = linear(outer, kept)
            writer.line(f"{result.array}[{offset}] = {end.format(a='a', n=writer.number(count))};")
        return result

    return write


_SUM = _reduce("ZERO", "{a} + {x}")
_MEAN = _reduce("ZERO", "{a} + {x}", "{a} / {n}")
_LARGEST = _reduce("-BIG", "MAX({a}, {x})")
_SMALLEST = _reduce("BIG", "MIN({a}, {x})")


def _choose(sign: str) -> Operator:
    """Return the operator for the index of the largest or smallest element of an axis, of equal ones the first."""

    def write(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
        value = args[0] if len(args[0].shape) else args[0].moved((1,), lambda i: ())
        axis = args[1] if len(args) > 1 else None
        if axis is None:
            value, axis = _flat(writer, value), 0
        axis %= len(value.shape)
        kept = [1 if k == axis else n for k, n in enumerate(value.shape)]
        result = writer.temporary(shape_of(node))
        assert result.array is not None
        value = writer.ready(value)
        with writer.statement(value.reads, result.array), writer.loops(kept) as outer:
            first = (*outer[:axis], "0", *outer[axis + 1 :])
            writer.local("a", value.at(first))
            writer.local("b", "ZERO")
            with writer.loops([n if k == axis else 1 for k, n in enumerate(value.shape)]) as inner:
                element = value.at((*outer[:axis], inner[axis], *outer[axis + 1 :]))
                writer.line(f"if ({element} {sign} a) {{ a = {element}; b = NUMBER({inner[axis]}); }}")
            writer.line(f"{result.array}[{linear(outer, kept)}] = b;")
        return result

    return write


def _flat(writer: Writer, value: Value) -> Value:
    solid = writer.solid(value)
    array = solid.array
    return Value((solid.size,), lambda i: f"{array}[{i[0]}]", solid.reads, True, array)


_LARGEST_AT, _SMALLEST_AT = _choose(">"), _choose("<")


def _norm(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    value, order = writer.ready(args[0]), args[1] if len(args) > 1 else 2
    if order != 2:
        raise ValueError(f"a vector norm of order {order} cannot be written as plain loops: use --format onnx")
    return _reduce("ZERO", "{a} + SQUARE({x})", "SQRT({a})")(writer, node, (value, *args[2:]), kwargs)


def _any(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    return _reduce("ZERO", "({x} != 0 ? ONE : {a})")(writer, node, args, kwargs)


def _cumulate(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    value, axis = args[0], args[1] % len(args[0].shape)
    result = writer.temporary(value.shape)
    assert result.array is not None
    kept = [1 if k == axis else n for k, n in enumerate(value.shape)]
    with writer.statement(value.reads, result.array), writer.loops(kept) as outer:
        writer.local("a", "ZERO")
        with writer.loops([n if k == axis else 1 for k, n in enumerate(value.shape)]) as inner:
            index = (*outer[:axis], inner[axis], *outer[axis + 1 :])
            writer.line(f"a = a + {value.at(index)};")
            writer.line(f"{result.array}[{linear(index, result.shape)}] = a;")
    return result


def _top(writer: Writer, node: Node, args: Args, kwargs: Named) -> list[Value]:
    """Write the largest elements of each row in order, and their indices; of equal ones the first."""
    value, count = writer.ready(args[0]), args[1]
    axis = len(value.shape) - 1
    if len(args) > 2 and args[2] % len(value.shape) != axis:
        raise ValueError("topk along another axis than the last cannot be written as plain loops: use --format onnx")
    shape = (*value.shape[:axis], count)
    best, position = writer.temporary(shape), writer.temporary(shape)
    assert best.array is not None and position.array is not None
    length = value.shape[axis]
    for rank in range(count):
        with writer.statement(value.reads | position.reads, position.array), writer.loops((*shape[:axis], 1)) as outer:
            writer.local("a", "-BIG")
            writer.local("b", "ZERO")
            with writer.loops((*(1 for _ in outer[:axis]), length)) as inner:
                element = value.at((*outer[:axis], inner[axis]))
                at = [f"{position.array}[{linear((*outer[:axis], str(k)), shape)}]" for k in range(rank)]
                unused = "".join(f" && {spot} != {inner[axis]}" for spot in at)
                writer.line(f"if ({element} > a{unused}) {{ a = {element}; b = NUMBER({inner[axis]}); }}")
            writer.line(f"{position.array}[{linear((*outer[:axis], str(rank)), shape)}] = b;")
    gathered = Value(shape, lambda i: value.at((*i[:axis], f"INT({position.at(i)})")), value.reads | position.reads)
    return [writer.store(gathered, best), position]


def _largest_and_position(writer: Writer, node: Node, args: Args, kwargs: Named) -> list[Value]:
    value, axis = writer.ready(args[0]), args[1] % len(args[0].shape)
    position = _along(writer, value, axis)
    largest = Value(
        position.shape,
        lambda i: value.at((*i[:axis], f"INT({position.at(i)})", *i[axis + 1 :])),
        value.reads | position.reads,
    )
    if len(args) > 2 and args[2]:
        return [largest, position]
    shape = tuple(n for k, n in enumerate(value.shape) if k != axis)
    return [v.moved(shape, lambda i: (*i[:axis], "0", *i[axis:])) for v in (writer.store(largest), position)]


def _along(writer: Writer, value: Value, axis: int) -> Value:
    """Return the index of the largest element along an axis, which is kept with length 1."""
    kept = tuple(1 if k == axis else n for k, n in enumerate(value.shape))
    result = writer.temporary(kept)
    assert result.array is not None
    with writer.statement(value.reads, result.array), writer.loops(kept) as outer:
        writer.local("a", value.at((*outer[:axis], "0", *outer[axis + 1 :])))
        writer.local("b", "ZERO")
        with writer.loops([n if k == axis else 1 for k, n in enumerate(value.shape)]) as inner:
            element = value.at((*outer[:axis], inner[axis], *outer[axis + 1 :]))
            writer.line(f"if ({element} > a) {{ a = {element}; b = NUMBER({inner[axis]}); }}")
        writer.line(f"{result.array}[{linear(outer, kept)}] = b;")
    return result


def _product(
    writer: Writer, node: Node, left: Value, right: Value, start: Value | None = None, scale: float = 1.0
) -> Value:
    """Write a product of matrices, or of pairs of matrices along the first axis, times `scale`, plus `start`."""
    left, right = writer.ready(left), writer.ready(right)
    shape, depth = shape_of(node), left.shape[-1]
    bias = None if start is None else writer.ready(start).broadcast(shape)
    result = writer.temporary(shape)
    assert result.array is not None
    reads = left.reads | right.reads | (bias.reads if bias is not None else frozenset())
    with writer.statement(reads, result.array), writer.loops(shape) as index:
        *batch, row, column = index
        first = "ZERO" if bias is None else bias.at(index)
        writer.local("a", first if scale == 1 else "ZERO")
        with writer.loops((depth,)) as (inner,):
            writer.line(f"a += {left.at((*batch, row, inner))} * {right.at((*batch, inner, column))};")
        total = "a" if scale == 1 else f"{writer.number(scale)} * a + {first}"
        writer.line(f"{result.array}[{linear(index, shape)}] = {total};")
    return result


def _multiply(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    return _product(writer, node, args[0], args[1])


def _multiply_add(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    share, start = kwargs.get("beta", 1), args[0]
    if share == 0:  # then torch does not read it
        start = None
    elif share != 1:
        start = elementwise(writer, node, [start, share], "({a} * {b})")
    return _product(writer, node, args[1], args[2], start, float(kwargs.get("alpha", 1)))


def _dot(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    left, right = args[:2]
    return _product(writer, node, left, right.moved((*right.shape, 1), lambda i: i[:-1]))


def _gather(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    value, axis, index = writer.ready(args[0]), args[1] % len(args[0].shape), writer.ready(args[2])
    return Value(
        index.shape,
        lambda i: value.at((*i[:axis], f"INT({index.at(i)})", *i[axis + 1 :])),
        value.reads | index.reads,
    )


def _index(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    """Read elements by indices along one axis, or along several that are indexed together."""
    value, indices, shape = writer.ready(args[0]), list(args[1]), shape_of(node)
    axes = [k for k, index in enumerate(indices) if index is not None]
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise ValueError("indices with an axis between them cannot be written as plain loops: use --format onnx")
    first, count = axes[0], len(axes)
    inner = len(shape) - (len(value.shape) - count)
    ready = [writer.ready(indices[k]).broadcast(shape[first : first + inner]) for k in axes]

    def at(index: Index) -> str:
        middle = index[first : first + inner]
        wrapped = (f"WRAP({r.at(middle)}, {value.shape[k]})" for k, r in zip(axes, ready, strict=True))
        return value.at((*index[:first], *wrapped, *index[first + inner :]))

    return Value(shape, at, value.reads.union(*(r.reads for r in ready)))


def _scatter(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    """Write a number, or the elements of another value, at indices along an axis."""
    value, axis, index, source = args[0], args[1] % len(args[0].shape), writer.ready(args[2]), args[3]
    result = writer.temporary(value.shape)
    assert result.array is not None
    writer.store(value, result)
    whole = isinstance(source, Value)
    reads = index.reads | (source.reads if whole else frozenset()) | result.reads
    adds = "scatter_add" in str(node.target) or kwargs.get("reduce") == "sum"
    with writer.statement(reads, result.array), writer.loops(index.shape) as i:
        offset = linear((*i[:axis], f"INT({index.at(i)})", *i[axis + 1 :]), result.shape)
        text = source.at(i) if whole else writer.number(source)
        writer.line(f"{result.array}[{offset}] {'+=' if adds else '='} {text};")
    return result


def _put_slice(writer: Writer, node: Node, args: Args, kwargs: Named) -> Value:
    """Write a value with a slice of one axis replaced."""
    value, source = args[:2]
    axis, start, stop, step = (*args[2:], *(None,) * (6 - len(args)))
    axis = (axis or 0) % len(value.shape)
    begin, _, step = slice(start, stop, step).indices(value.shape[axis])
    result = writer.store(value, writer.temporary(value.shape))
    return writer.store(source, result, at=lambda i: (*i[:axis], plus(times(i[axis], step), begin), *i[axis + 1 :]))


_MATRICES: dict[str, Operator] = {
    "mm.default": _multiply,
    "bmm.default": _multiply,
    "addmm.default": _multiply_add,
    "baddbmm.default": _multiply_add,
    "mv.default": _dot,
}
OPERATORS_OF_MANY: dict[str, Operator] = {
    **dict.fromkeys(("sum.default", "sum.dim_IntList"), _SUM),
    **dict.fromkeys(("mean.default", "mean.dim"), _MEAN),
    **dict.fromkeys(("amax.default", "max.default"), _LARGEST),
    **dict.fromkeys(("amin.default", "min.default"), _SMALLEST),
    **dict.fromkeys(("any.default", "any.dim", "any.dims"), _any),
    "argmax.default": _LARGEST_AT,
    "argmin.default": _SMALLEST_AT,
    "max.dim": _largest_and_position,
    "linalg_vector_norm.default": _norm,
    "cumsum.default": _cumulate,
    "topk.default": _top,
    "slice_scatter.default": _put_slice,
    "gather.default": _gather,
    "index.Tensor": _index,
    **dict.fromkeys(("scatter.value", "scatter.src", "scatter_add.default"), _scatter),
    **_MATRICES,
}
ALL_OPERATORS: dict[str, Operator] = {**OPERATORS, **OPERATORS_OF_MANY, **WINDOW_OPERATORS}
