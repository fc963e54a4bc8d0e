"""A frozen graph, changed so that it rounds as a precision does.

Weights are changed in the graph itself; where a runtime quantizes what an operation reads or answers, rounding nodes
are put there. For float32, every operation is given noise as large as independent roundings make it (`op_bounds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from export.graph_to_round import GraphToRound
from export.lowering.in_float32 import COMPUTED_IN
from export.op_bounds import (
    BATCHED,
    PRODUCTS,
    ROUNDOFF,
    half_roundings,
    products,
    roundings,
    summed_in,
    walk,
)
from export.weight_roundings import Rounded, Weight, to_int8

MakerOf = Callable[[str], Any | None]

_READ_QUANTIZED = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "Tanh", "AvgPool", "Mean"})
_ARITHMETIC = frozenset({"Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "SquaredDifference"})
_INTO_PRODUCTS = frozenset({"Add", "AddV2", "BiasAdd", "Sub", "Mul"})
"""With a constant, these become part of the product before them: its sum is still in 32 bits there."""
_FIXED_RANGES = {"Softmax": (0.0, 255 / 256), "Sigmoid": (0.0, 255 / 256), "Tanh": (-1.0, 127 / 128)}
"""TFLite's full integer quantization gives these answers the same scale in every model."""
_SEED = 7


def with_weights(
    graph: GraphToRound, rounded: Rounded, *, activation_bits: int | None = None, smallest: int = 0
) -> GraphToRound:
    """The graph with every weight of a product rounded, and with the data that these read quantized when asked.

    Weights of fewer than `smallest` elements are left alone, with their data.
    """
    changed = _copied(graph)
    read = _products_with_weights(changed, smallest)
    _round(read, rounded)
    if activation_bits is not None:
        maker_of = changed.makers()
        for node in {node.name: node for node, _ in read}.values():
            _quantize_data(changed.graph, node, activation_bits, maker_of)
    return changed


def in_integers(graph: GraphToRound, *, bits: int, in_float: Mapping[str, list[int]]) -> GraphToRound:
    """The graph with weights as int8 has them, and with what all operations read quantized, or what has fixed steps.

    But for those `in_float`, of which only what they read at these positions is.
    """
    changed = with_weights(graph, to_int8, activation_bits=bits)
    for node in [node for node in changed.graph.node if node.name in in_float]:
        for at in in_float[node.name]:
            node.input[at] = _quantized(changed.graph, node.input[at], f"{node.name}/{at}/scores", bits)
    maker_of = changed.makers()
    for node in [node for node in changed.graph.node if _reads_quantized(node, maker_of) and node.name not in in_float]:
        _quantize_data(changed.graph, node, bits, maker_of)
    maker_of = changed.makers()
    for node in [node for node in changed.graph.node if _is_arithmetic(node, maker_of) and node.name not in in_float]:
        for at, source in enumerate(node.input):
            if not source.startswith("^"):
                node.input[at] = _quantized(changed.graph, source, f"{node.name}/{at}", bits)
    for node in [node for node in changed.graph.node if node.op in _FIXED_RANGES and bits == 8]:
        _quantize_in_fixed_steps(changed.graph, node)
    return changed


def _reads_quantized(node: Any, maker_of: MakerOf) -> bool:
    """Whether it reads whole numbers, and no product with a weight does that already."""
    computed = not any(_is_constant(maker_of(name)) for name in node.input if not name.startswith("^"))
    return node.op in _READ_QUANTIZED or (_is_batched(node) and computed)


def with_constants(graph: GraphToRound, rounded: Rounded, *, weights: Rounded | None = None) -> GraphToRound:
    """The graph with every float32 constant rounded, biases and folded norms among them, as TF.js stores it.

    TFLite's converter narrows them all as well. `weights` rounds those of products, where that is another way.
    """
    import tensorflow as tf

    changed, float32 = _copied(graph), tf.float32.as_datatype_enum
    done: set[str] = set()
    if weights is not None:
        read = _products_with_weights(changed, 0)
        _round(read, weights)
        done = {constant.name for _, constant in read}
    constants = [node for node in changed.graph.node if node.op == "Const" and node.attr["dtype"].type == float32]
    left = [(constant, constant) for constant in constants if _value(constant).size and constant.name not in done]
    _round(left, rounded)
    return changed


def _products_with_weights(graph: GraphToRound, smallest: int) -> list[tuple[Any, Any]]:
    """Each product, and the constant of at least so many elements that it reads as its weight."""
    found, maker_of = [], graph.makers()
    for node in graph.graph.node:
        for at in _weights_at(node):
            weight = maker_of(node.input[at])
            if _is_constant(weight) and _value(weight).size >= smallest:
                found.append((node, weight))
    return found


def _weights_at(node: Any) -> tuple[int, ...]:
    """The positions at which an operation of floats may read a weight; none where it is no product."""
    if node.op in PRODUCTS:
        return (1,)
    return tuple(range(len(node.input))) if _is_batched(node) else ()


def _is_batched(node: Any) -> bool:
    """Whether this is such a product of floats: Keras's own quantization has them of integers."""
    import tensorflow as tf

    kind = node.attr["Ta" if node.op == "BatchMatMulV3" else "T"].type
    return node.op in BATCHED and kind == tf.float32.as_datatype_enum


def _is_constant(node: Any | None) -> bool:
    return node is not None and node.op == "Const"


def _is_arithmetic(node: Any, maker_of: MakerOf) -> bool:
    """Whether a fully quantized file computes this from whole numbers, one by one, in a step of its own."""
    import tensorflow as tf

    return node.op in _ARITHMETIC and node.attr["T"].type == tf.float32.as_datatype_enum and not _fused(node, maker_of)


def _fused(node: Any, maker_of: MakerOf) -> bool:
    """Whether the node is part of a product: one itself, or arithmetic with a constant on what is."""
    if node.op in PRODUCTS:
        return True
    read = [name for name in node.input if not name.startswith("^")]
    computed = [maker for maker in map(maker_of, read) if not _is_constant(maker)]
    if node.op not in _INTO_PRODUCTS or len(computed) != 1 or computed[0] is None:
        return False
    return _fused(computed[0], maker_of)


def _round(read: Sequence[tuple[Any, Any]], rounded: Rounded) -> None:
    """Round each constant once, as its first reader has it rounded."""
    rng = np.random.default_rng(_SEED)
    done: set[str] = set()
    for reader, constant in read:
        if constant.name not in done:
            done.add(constant.name)
            _set(constant, rounded(reader, _value(constant), rng))


def noisy(graph: GraphToRound, *, seed: int) -> GraphToRound:
    """The graph with the noise of float32 arithmetic in another order, and of halves where it is marked with them."""
    rng, maker_of = np.random.default_rng(seed), graph.makers()

    def jittered(node: Any, weight: Weight, _: np.random.Generator) -> Weight:
        spread = walk(2 * _summed(node, weight.shape, maker_of))
        if roundoff := _half(node):
            # The weight's own rounding, and that of the value that it is multiplied with.
            spread = math.hypot(spread, walk(2, roundoff))
        return weight * (1 + spread * math.sqrt(3) * rng.uniform(-1, 1, weight.shape))

    changed = with_weights(graph, jittered)
    counted = {name: (op, count) for name, op, count in roundings_by_node(changed)}
    for node in list(changed.graph.node):
        op, count = counted.get(node.name, (node.op, 0))
        spread = 0.0 if op in PRODUCTS else walk(count)
        if (roundoff := _half(node)) and node.name in counted:
            spread = math.hypot(spread, walk(half_roundings(op), roundoff))
        if spread:
            _multiply(changed.graph, node, spread, seed)
    return changed


def _summed(node: Any, shape: tuple[int, ...], maker_of: MakerOf) -> int:
    """How many products with a weight of this shape a product sums up for one value."""
    if node.op not in BATCHED:
        transposed = node.op == "MatMul" and node.attr["transpose_b"].b
        return products(node.op, shape, transposed=transposed)
    first = _is_constant(maker_of(node.input[0]))
    if node.op == "Einsum":
        return summed_in(node.attr["equation"].s.decode(), 0 if first else 1, shape)
    turned = node.attr["adj_x" if first else "adj_y"].b
    return shape[-1] if first != turned else shape[-2]


def halves_in(graph: GraphToRound) -> str:
    """`bfloat16` or `float16` where nodes are marked with having been computed in it, else `float32`."""
    marks = {node.attr[COMPUTED_IN].s.decode() for node in graph.graph.node if COMPUTED_IN in node.attr}
    return next((name for name in ("bfloat16", "float16") if name in marks), "float32")


def _half(node: Any) -> float:
    """The roundoff of the halves that the node was computed in, 0 for others."""
    return ROUNDOFF.get(node.attr[COMPUTED_IN].s.decode(), 0.0) if COMPUTED_IN in node.attr else 0.0


def _multiply(graph: Any, node: Any, spread: float, seed: int) -> None:
    """Put `value * (1 + noise)` in the node's place, the noise even and of the given standard deviation."""
    import tensorflow as tf

    name, source = _step_aside(node)
    shape = graph.node.add(name=f"{name}/shape", op="Shape", input=[source])
    shape.attr["T"].type, shape.attr["out_type"].type = tf.float32.as_datatype_enum, tf.int32.as_datatype_enum
    noise = graph.node.add(name=f"{name}/noise", op="RandomUniform", input=[shape.name])
    noise.attr["dtype"].type, noise.attr["T"].type = tf.float32.as_datatype_enum, tf.int32.as_datatype_enum
    noise.attr["seed"].i, noise.attr["seed2"].i = seed, len(graph.node)
    # Evenly between -1 and 1, whose standard deviation is one by the root of three.
    middle = _constant(graph, f"{name}/middle", np.float32(0.5), beside=source)
    scale = _constant(graph, f"{name}/scale", np.float32(2 * math.sqrt(3) * spread), beside=source)
    centred = graph.node.add(name=f"{name}/centred", op="Sub", input=[noise.name, middle])
    small = graph.node.add(name=f"{name}/small", op="Mul", input=[centred.name, scale])
    change = graph.node.add(name=f"{name}/change", op="Mul", input=[source, small.name])
    total = graph.node.add(name=name, op="AddV2", input=[source, change.name])
    for added in (centred, small, change, total):
        added.attr["T"].type = tf.float32.as_datatype_enum


def _step_aside(node: Any) -> tuple[str, str]:
    """Give the node another name, so that what is put in its place can have its own: that name, and the new one."""
    name = str(node.name)
    node.name = f"{name}/exact"
    return name, node.name


def _quantize_in_fixed_steps(graph: Any, node: Any) -> None:
    """Put the value in the 256 steps that TFLite gives this operation's answer, whatever its values are."""
    low, high = _FIXED_RANGES[node.op]
    name, source = _step_aside(node)
    added = graph.node.add(name=name, op="FakeQuantWithMinMaxArgs", input=[source])
    added.attr["min"].f, added.attr["max"].f, added.attr["num_bits"].i = low, high, 8


def _quantize_data(graph: Any, node: Any, bits: int, maker_of: MakerOf) -> None:
    if node.op in BATCHED:
        for at, source in enumerate(node.input):
            if not source.startswith("^") and not _is_constant(maker_of(source)):
                node.input[at] = _quantized(graph, source, f"{node.name}/{at}", bits)
        return
    data = 2 if node.op == "Conv2DBackpropInput" else 0
    node.input[data] = _quantized(graph, node.input[data], node.name, bits)


def _quantized(graph: Any, source: str, before: str, bits: int) -> str:
    """Nodes that round to 2^bits levels over the range that the values turn out to have; the name of the last one.

    Zero is within the range, as TFLite has it: without, `FakeQuantWithMinMaxVars` would move the range to zero and cut
    off what is beyond.
    """
    import tensorflow as tf

    name, number = f"{before}/quantized", tf.float32.as_datatype_enum
    every = _constant(graph, f"{name}/all", np.array([-1], np.int32), beside=source)
    flat = graph.node.add(name=f"{name}/flat", op="Reshape", input=[source, every])
    flat.attr["T"].type, flat.attr["Tshape"].type = number, tf.int32.as_datatype_enum
    axis = _constant(graph, f"{name}/axis", np.int32(0), beside=source)
    zero = _constant(graph, f"{name}/zero", np.float32(0), beside=source)
    ends = []
    for op, with_zero in (("Min", "Minimum"), ("Max", "Maximum")):
        own = graph.node.add(name=f"{name}/{op}", op=op, input=[flat.name, axis])
        own.attr["T"].type, own.attr["Tidx"].type = number, tf.int32.as_datatype_enum
        end = graph.node.add(name=f"{name}/{with_zero}", op=with_zero, input=[own.name, zero])
        end.attr["T"].type = number
        ends.append(end.name)
    node = graph.node.add(name=name, op="FakeQuantWithMinMaxVars", input=[source, *ends])
    node.attr["num_bits"].i = bits
    return name


def _constant(graph: Any, name: str, value: Any, *, beside: str) -> str:
    import tensorflow as tf

    # Waiting for a node of the same loop puts the constant into it: what a loop computes with has to be inside.
    node = graph.node.add(name=name, op="Const", input=[f"^{beside.partition(':')[0]}"])
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return name


def roundings_by_node(graph: GraphToRound) -> list[tuple[str, str, int]]:
    """Name and kind of each float32 operation that computes from data, with its bound in ULP."""
    import tensorflow as tf

    with tf.Graph().as_default() as known:
        tf.import_graph_def(graph.graph, name="")
    found, maker_of = [], graph.makers()
    for operation in known.get_operations():
        outputs = operation.outputs
        if operation.type == "Const" or not outputs or outputs[0].dtype != tf.float32:
            continue
        weight: tuple[int, ...] = ()
        length = 0
        if operation.type in PRODUCTS:
            constant = maker_of(operation.inputs[1].name)
            weight = _value(constant).shape if _is_constant(constant) else ()
        elif operation.type in ("Softmax", "LogSoftmax"):
            length = int(operation.inputs[0].shape[-1] or 0)
        elif operation.type == "AvgPool":
            length = int(np.prod(operation.get_attr("ksize")))
        elif operation.type in ("Mean", "Sum", "Prod"):
            before, after = operation.inputs[0].shape[1:], outputs[0].shape[1:]
            sizes = [shape.num_elements() if shape.rank is not None else None for shape in (before, after)]
            length = int(sizes[0] / max(sizes[1], 1)) if sizes[0] and sizes[1] else 0
        transposed = operation.type == "MatMul" and operation.get_attr("transpose_b")
        # Of a product of two values that are both computed, nothing is known.
        unknown = operation.type in PRODUCTS and not weight
        found.append(
            (
                operation.name,
                operation.type,
                0
                if unknown
                else roundings(operation.type, weight_shape=weight, length=length, transposed=bool(transposed)),
            )
        )
    return found


def _copied(graph: GraphToRound) -> GraphToRound:
    copy = type(graph.graph)()
    copy.CopyFrom(graph.graph)
    return graph.changed(copy)


def _value(constant: Any) -> Weight:
    import tensorflow as tf

    return np.asarray(tf.make_ndarray(constant.attr["value"].tensor), dtype=np.float64)


def _set(constant: Any, value: Weight) -> None:
    import tensorflow as tf

    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))
