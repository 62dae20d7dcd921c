"""Operators on single elements, as expressions; those whose results depend on many elements are in `gathering`."""

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from onward.export.loops import Operator, Writer
from onward.export.values import Index, Value, constant, linear, plus, times

_UNARY = {
    "neg": "(-{a})",
    "abs": "ABS({a})",
    "exp": "EXP({a})",
    "log": "LOG({a})",
    "log1p": "LOG1P({a})",
    "expm1": "EXPM1({a})",
    "sqrt": "SQRT({a})",
    "rsqrt": "(ONE / SQRT({a}))",
    "reciprocal": "(ONE / {a})",
    "sigmoid": "(ONE / (ONE + EXP(-{a})))",
    "tanh": "TANH({a})",
    "erf": "ERF({a})",
    "sin": "SIN({a})",
    "cos": "COS({a})",
    "floor": "FLOOR({a})",
    "relu": "RELU({a})",
    "sign": "SIGN({a})",
    "logical_not": "({a} != 0 ? ZERO : ONE)",
    "bitwise_not": "({a} != 0 ? ZERO : ONE)",
}
_BINARY = {
    "mul": "({a} * {b})",
    "div": "({a} / {b})",
    "maximum": "MAX({a}, {b})",
    "minimum": "MIN({a}, {b})",
    "eq": "({a} == {b} ? ONE : ZERO)",
    "ne": "({a} != {b} ? ONE : ZERO)",
    "lt": "({a} < {b} ? ONE : ZERO)",
    "le": "({a} <= {b} ? ONE : ZERO)",
    "gt": "({a} > {b} ? ONE : ZERO)",
    "ge": "({a} >= {b} ? ONE : ZERO)",
    "logical_and": "({a} != 0 && {b} != 0 ? ONE : ZERO)",
    "bitwise_and": "({a} != 0 && {b} != 0 ? ONE : ZERO)",
    "logical_or": "({a} != 0 || {b} != 0 ? ONE : ZERO)",
    "bitwise_or": "({a} != 0 || {b} != 0 ? ONE : ZERO)",
}
_SAME = ("clone", "_to_copy", "detach", "alias", "lift_fresh_copy", "contiguous")
_RESHAPES = ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "view_copy")
_CONSTANT = {"zeros": 0, "zeros_like": 0, "ones": 1, "ones_like": 1, "empty": 0, "empty_like": 0, "empty_permuted": 0}


def shape_of(node: Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def elementwise(writer: Writer, node: Node, parts: list[Any], template: str) -> Value:
    """Return a value whose elements are an expression of the corresponding elements of others."""
    shape, ready = shape_of(node), []
    for part in parts:
        if not isinstance(part, Value):
            part = constant(writer.number(part), ())
        ready.append((part if part.shape == shape else writer.ready(part)).broadcast(shape))
    reads = frozenset[str]().union(*(part.reads for part in ready))
    names = "abc"[: len(ready)]

    def at(index: Index) -> str:
        return template.format(**{name: part.at(index) for name, part in zip(names, ready, strict=True)})

    return Value(shape, at, reads, cheap=not reads)


def _unary(template: str) -> Operator:
    return lambda writer, node, args, kwargs: elementwise(writer, node, [args[0]], template)


def _binary(template: str) -> Operator:
    return lambda writer, node, args, kwargs: elementwise(writer, node, list(args[:2]), template)


def _add(sign: str) -> Operator:
    def write(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
        alpha = kwargs.get("alpha", 1)
        scaled = "{b}" if alpha == 1 else f"{writer.number(alpha)} * {{b}}"
        return elementwise(writer, node, list(args[:2]), f"({{a}} {sign} {scaled})")

    return write


def _divide(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    template = {None: "({a} / {b})", "floor": "FLOOR({a} / {b})", "trunc": "TRUNC({a} / {b})"}
    return elementwise(writer, node, list(args[:2]), template[kwargs.get("rounding_mode")])


def _power(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    base, exponent = args[:2]
    if exponent == 2:
        return elementwise(writer, node, [writer.ready(base)], "({a} * {a})")
    if exponent in (0.5, 1):
        return elementwise(writer, node, [base], "SQRT({a})" if exponent == 0.5 else "{a}")
    return elementwise(writer, node, [base, exponent], "POW({a}, {b})")


def _clamp(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    low, high = (args[k] if len(args) > k else kwargs.get(name) for k, name in ((1, "min"), (2, "max")))
    result = args[0]
    for bound, template in ((low, "MAX({a}, {b})"), (high, "MIN({a}, {b})")):
        result = result if bound is None else elementwise(writer, node, [result, bound], template)
    return result


def _remainder(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    first = writer.ready(args[0])
    return elementwise(writer, node, [first, args[1]], "({a} - FLOOR({a} / {b}) * {b})")


def _where(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    return elementwise(writer, node, list(args[:3]), "({a} != 0 ? {b} : {c})")


def _same(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    dtype, value = kwargs.get("dtype"), args[0]
    if dtype is not None and not dtype.is_floating_point and dtype != torch.bool and _is_float(node.args[0]):
        return elementwise(writer, node, [value], "TRUNC({a})")
    return value


def _is_float(node: Any) -> bool:
    return node.meta["val"].dtype.is_floating_point


def _fill(value: int) -> Operator:
    return lambda writer, node, args, kwargs: constant(writer.number(value), shape_of(node))


def _full(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    return constant(writer.number(args[1]), shape_of(node))


def _scalar(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    return constant(writer.number(args[0]), ())


def _arange(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    bounds = list(args)
    start, step = (0, 1) if len(bounds) == 1 else (bounds[0], bounds[2] if len(bounds) > 2 else 1)

    def at(index: Index) -> str:
        return f"NUMBER({plus(times(index[0], step), start)})"

    return Value(shape_of(node), at, cheap=True)


def _view(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    """Reshape a value: the same array, or the same elements if only axes of length 1 differ."""
    value, shape = args[0], shape_of(node)
    if value.array is not None:
        array = value.array
        return Value(shape, lambda i: f"{array}[{linear(i, shape)}]", value.reads, True, array)
    old = [k for k, n in enumerate(value.shape) if n != 1]
    new = [k for k, n in enumerate(shape) if n != 1]
    if [value.shape[k] for k in old] != [shape[k] for k in new]:
        return _view(writer, node, (writer.store(value),), kwargs)
    pairs, rank = dict(zip(old, new, strict=True)), len(value.shape)
    return value.moved(shape, lambda i: tuple(i[pairs[k]] if k in pairs else "0" for k in range(rank)))


def _permute(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    value, rank = args[0], len(args[0].shape)
    order = [k % rank for k in args[1]]
    back = [order.index(k) for k in range(rank)]
    return value.moved(shape_of(node), lambda i: tuple(i[k] for k in back))


def _transpose(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    order = list(range(len(args[0].shape)))
    a, b = (*args[1:3], 0, 1)[:2]
    order[a], order[b] = order[b], order[a]
    return _permute(writer, node, (args[0], order), kwargs)


def _expand(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    return writer.ready(args[0]).broadcast(shape_of(node))


def _copy(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    return _expand(writer, node, (args[1],), kwargs)


def _repeat(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    shape = (1,) * (len(args[1]) - len(args[0].shape)) + args[0].shape
    if any(n > 1 and times_ > 1 for n, times_ in zip(shape, args[1], strict=True)):
        raise ValueError("repeat along an axis longer than 1 cannot be written as plain loops: use --format onnx")
    return writer.ready(args[0]).broadcast(shape_of(node))


def _select(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    value, axis, position = args[0], args[1] % len(args[0].shape), args[2] % args[0].shape[args[1]]
    return value.moved(shape_of(node), lambda i: (*i[:axis], str(position), *i[axis:]))


def _slice(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    value = args[0]
    axis, start, stop, step = (*args[1:], *(None,) * (5 - len(args)))
    axis = (axis or 0) % len(value.shape)
    begin, _, step = slice(start, stop, step).indices(value.shape[axis])
    if shape_of(node) == value.shape:
        return value
    return value.moved(shape_of(node), lambda i: (*i[:axis], plus(times(i[axis], step), begin), *i[axis + 1 :]))


def _split(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Value]:
    value, sizes, axis = args[0], args[1], (args[2] if len(args) > 2 else kwargs.get("dim", 0))
    value, axis = writer.ready(value), axis % len(value.shape)
    if isinstance(sizes, int):
        whole = value.shape[axis]
        sizes = [min(sizes, whole - begin) for begin in range(0, whole, sizes)]
    begins = [sum(sizes[:k]) for k in range(len(sizes))]
    return [_part(value, axis, begin, size) for begin, size in zip(begins, sizes, strict=True)]


def _part(value: Value, axis: int, begin: int, size: int) -> Value:
    shape = (*value.shape[:axis], size, *value.shape[axis + 1 :])
    return value.moved(shape, lambda i: (*i[:axis], plus(i[axis], begin), *i[axis + 1 :]))


def _getitem(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0][args[1]]


def _flip(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    value = args[0]
    axes, lengths = {k % len(value.shape) for k in args[1]}, value.shape

    def index(i: Index) -> Index:
        turned = (f"({lengths[k] - 1} - ({e}))" if k in axes and lengths[k] > 1 else e for k, e in enumerate(i))
        return tuple(turned)

    return value.moved(shape_of(node), index)


def _cat(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    parts, axis = args[0], (args[1] if len(args) > 1 else 0)
    result, begin = writer.temporary(shape_of(node)), 0
    axis %= len(result.shape)
    for part in parts:
        if part.size:
            writer.store(part, result, at=_shifted(axis, begin))
            begin += part.shape[axis]
    return result


def _shifted(axis: int, begin: int) -> Callable[[Index], Index]:
    return lambda i: (*i[:axis], plus(i[axis], begin), *i[axis + 1 :])


def _pad(writer: Writer, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    value, pads = writer.ready(args[0]), args[1]
    rank, fill = len(value.shape), writer.number(args[2] if len(args) > 2 else 0)
    before = {rank - 1 - k: pads[2 * k] for k in range(len(pads) // 2)}
    shape = shape_of(node)

    def at(index: Index) -> str:
        own = tuple(plus(e, -before.get(k, 0)) for k, e in enumerate(index))
        changed = [k for k in before if shape[k] != value.shape[k]]
        tests = [f"{own[k]} >= 0 && {own[k]} < {value.shape[k]}" for k in changed]
        return f"({' && '.join(tests)} ? {value.at(own)} : {fill})" if tests else value.at(own)

    return Value(shape, at, value.reads)


def _overloads(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{kind}" for kind in ("default", "Tensor", "Scalar", "Tensor_Tensor", "Tensor_Scalar"))


OPERATORS: dict[str, Operator] = {
    **{full: _unary(template) for name, template in _UNARY.items() for full in _overloads(name)},
    **{full: _binary(template) for name, template in _BINARY.items() for full in _overloads(name)},
    **{full: _same for name in _SAME for full in _overloads(name)},
    **{
        full: _fill(value) for name, value in _CONSTANT.items() for full in (*_overloads(name), f"{name}.memory_format")
    },
    **dict.fromkeys(_overloads("add"), _add("+")),
    **dict.fromkeys(_overloads("sub"), _add("-")),
    **dict.fromkeys(("div.Tensor_mode", "div.Scalar_mode"), _divide),
    **dict.fromkeys(_overloads("pow"), _power),
    **dict.fromkeys((*_overloads("clamp"), *_overloads("clamp_min")), _clamp),
    **dict.fromkeys(_overloads("clamp_max"), _binary("MIN({a}, {b})")),
    **dict.fromkeys(_overloads("remainder"), _remainder),
    **dict.fromkeys(("where.self", "where.ScalarOther", "where.ScalarSelf"), _where),
    **dict.fromkeys(("full.default", "full_like.default"), _full),
    "scalar_tensor.default": _scalar,
    **dict.fromkeys(("arange.start_step", "arange.default", "arange.start"), _arange),
    **{f"{name}.{kind}": _view for name in _RESHAPES for kind in ("default", "dim", "dims")},
    "permute.default": _permute,
    **dict.fromkeys(("transpose.int", "t.default"), _transpose),
    "expand.default": _expand,
    "copy.default": _copy,
    "repeat.default": _repeat,
    "select.int": _select,
    "slice.Tensor": _slice,
    **dict.fromkeys(("split_with_sizes.default", "split.Tensor", "split_with_sizes_copy.default"), _split),
    "getitem": _getitem,
    "flip.default": _flip,
    "cat.default": _cat,
    "constant_pad_nd.default": _pad,
}
