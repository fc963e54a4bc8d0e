"""Which values the inputs of a model take, as far as its operations say: rows of tables, keys, bins, masks, lengths.

Models say of an input that it is a floating point number, and then look rows up by it: Keras's inputs are float32
unless one says otherwise. What they do with it is in the graph.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.input_flow import Flow, InputFlow, input_flow
from pipeline.core.known_values import Key, KnownValues

_MOST_KEYS = 512
_MASKS_AWAY = 1e3
"""A product of 1 - mask with at least this takes what is masked out of any softmax."""
_BYTES = (100, 300)
"""What bytes are divided by to lie in 0 to 1, -1 to 1, or about there."""
_DISTANCE = 2.0
"""In standard deviations: 95 % of normally distributed values."""
_TEXTS_OF_NUMBERS = tuple(f"{number / 4:g}".encode() for number in range(-8, 41))

_Told = Iterator[tuple[str, KnownValues]]


def known_values(function: Any) -> Mapping[str, KnownValues]:
    """What is known of the inputs of a ConcreteFunction with named arguments, by their names; of some nothing is.

    Where several operations say something, the narrowest range holds, and keys go before ranges. Raises what TensorFlow
    does for a graph that it cannot inline.
    """
    found: dict[str, list[KnownValues]] = defaultdict(list)
    with input_flow(function) as graph:
        for operation in graph.operations:
            for name, known in _READINGS.get(operation.type, _nothing)(operation, graph):
                found[name].append(known)
    joined = {name: _joined(every) for name, every in found.items()}
    return {name: known for name, known in joined.items() if known is not None}


def _joined(every: Sequence[KnownValues]) -> KnownValues | None:
    for keys in (known for known in every if known.keys):
        return keys
    whole = [known for known in every if known.between is not None and known.whole]
    if whole:
        return _narrowest(whole)
    for first in (known for known in every if known.words or known.around is not None):
        return first
    return _narrowest([known for known in every if known.between is not None])


def _narrowest(ranges: Sequence[KnownValues]) -> KnownValues | None:
    lows, highs = zip(*(known.between for known in ranges if known.between is not None), strict=True)
    low, high = max(lows), min(highs)
    if low > high:
        return None
    at = min(range(len(ranges)), key=lambda position: highs[position] - lows[position])
    return KnownValues(between=(low, high), whole=ranges[at].whole, why=ranges[at].why)


def _nothing(operation: Any, graph: InputFlow) -> _Told:
    del operation, graph
    yield from ()


def _rows_of_table(operation: Any, graph: InputFlow) -> _Told:
    indices = graph.read_by(operation, 1)
    if indices:
        shape = operation.inputs[0].shape
        axis = graph.constant(operation.inputs[2]) if len(operation.inputs) > 2 else np.zeros((), np.int64)
        if axis is not None and shape.rank is not None:
            yield from _below(shape[int(axis)], indices, "the rows of a table")


def _rows_of_variable(operation: Any, graph: InputFlow) -> _Told:
    from tensorflow.python.ops import handle_data_util

    indices = graph.read_by(operation, 1)
    held = handle_data_util.get_resource_handle_data(operation.inputs[0]) if indices else None
    if held is not None and held.is_set and held.shape_and_type[0].shape.dim:
        yield from _below(held.shape_and_type[0].shape.dim[0].size, indices, "the rows of a table")


def _one_hot(operation: Any, graph: InputFlow) -> _Told:
    indices = graph.read_by(operation, 0)
    depth = graph.constant(operation.inputs[1]) if indices else None
    if depth is not None:
        yield from _below(int(depth), indices, "the classes of a one-hot encoding")


def _counted(operation: Any, graph: InputFlow) -> _Told:
    indices = graph.read_by(operation, 0)
    size = _at_most(operation.inputs[1], graph) if indices else None
    if size is not None:
        yield from _below(size, indices, "the classes that are counted")


def _at_most(tensor: Any, graph: InputFlow) -> int | None:
    value = graph.constant(tensor)
    if value is not None:
        return int(value)
    if tensor.op.type == "Minimum":
        return next((found for found in (_at_most(one, graph) for one in tensor.op.inputs) if found is not None), None)
    return None


def _below(rows: int | None, indices: Sequence[Flow], what: str) -> _Told:
    """Indices of 0 to rows - 1, from which `value * scale + shift` is undone."""
    if rows is None or rows < 1:
        return
    for flow in (flow for flow in indices if flow.whole):
        ends = np.sort(np.stack(np.broadcast_arrays(-flow.shift, rows - 1 - flow.shift)) / flow.scale, axis=0)
        whole = bool((np.abs(flow.scale) == 1).all())
        low, high = float(ends[0].max()), float(ends[1].min())
        between = (float(math.ceil(low)), float(math.floor(high))) if whole else (low, high)
        if between[0] <= between[1]:
            yield flow.input, KnownValues(between=between, whole=whole, why=f"{what} of {rows}")


def _looked_up(operation: Any, graph: InputFlow) -> _Told:
    flows = [flow for flow in graph.read_by(operation, 1) if flow.untouched]
    table = graph.table(operation) if flows else None
    if table is None or not len(table[0]) or table[0].dtype.kind not in "iuOS":
        return
    keys = _in_order(*table)
    for flow in flows:
        if not flow.parts:
            yield flow.input, KnownValues(keys=keys, whole=True, why=f"keys of a lookup table of {len(table[0])}")
            continue
        words = [key for key in keys if isinstance(key, bytes) and key not in (b"", b"[UNK]")]
        if words:
            yield flow.input, KnownValues(words=words, why=f"words of a vocabulary of {len(table[0])}")


def _in_order(keys: NDArray[Any], values: NDArray[Any]) -> list[Key]:
    """The first keys by what the table has for them: it gives them in an order of its own in each process."""
    by_key = sorted(zip(values.tolist(), keys.tolist(), strict=True))
    return [key for _, key in by_key[:_MOST_KEYS]]


def _binned(operation: Any, graph: InputFlow) -> _Told:
    bounds = sorted(operation.get_attr("boundaries"))
    for flow in graph.read_by(operation, 0):
        if flow.untouched and bounds:
            # As much room below and above as the bins have on average.
            room = (bounds[-1] - bounds[0]) / (len(bounds) - 1) if len(bounds) > 1 else abs(bounds[0]) or 1.0
            low = bounds[0] - room if bounds[0] < 0 else max(0.0, bounds[0] - room)
            between = (low, bounds[-1] + room)
            yield flow.input, KnownValues(between=between, why=f"bins from {bounds[0]:g} to {bounds[-1]:g}")


def _as_truth(operation: Any, graph: InputFlow) -> _Told:
    if operation.outputs[0].dtype.name == "bool":
        for flow in graph.read_by(operation, 0):
            if flow.untouched:
                yield flow.input, KnownValues(between=(0.0, 1.0), whole=True, why="a mask")


def _lengths(operation: Any, graph: InputFlow) -> _Told:
    """`range(n) < lengths`, as a mask of sequences is made."""
    for position in (0, 1):
        flows = [flow for flow in graph.read_by(operation, position) if flow.untouched]
        places = graph.constant(operation.inputs[1 - position]) if flows else None
        if places is not None and places.size > 1 and np.array_equal(places.reshape(-1), np.arange(places.size)):
            for flow in flows:
                # Nothing at all is left out: masked averages divide by the length.
                between = (1.0, float(places.size))
                yield flow.input, KnownValues(between=between, whole=True, why=f"lengths up to {places.size}")


def _scaled(operation: Any, graph: InputFlow) -> _Told:
    """What is masked away, divided as bytes are, or normalized by a mean and a standard deviation."""
    for position in (0, 1) if operation.type == "Mul" else (0,):
        flows = graph.read_by(operation, position)
        number = graph.constant(operation.inputs[1 - position]) if flows else None
        if number is None or number.dtype.kind not in "iuf" or not number.all() or not np.isfinite(number).all():
            continue
        divisor = number.astype(np.float64) if operation.type != "Mul" else 1 / number.astype(np.float64)
        for flow in flows:
            known = _known_of_divided(flow, divisor)
            if known is not None:
                yield flow.input, known


def _known_of_divided(flow: Flow, divisor: NDArray[np.float64]) -> KnownValues | None:
    if (flow.scale * flow.shift == -1).all() and (np.abs(flow.scale) == 1).all():
        masks = bool((np.abs(divisor) <= 1 / _MASKS_AWAY).all())
        return KnownValues(between=(0.0, 1.0), whole=True, why="a mask") if masks else None
    if not (flow.scale == 1).all() or flow.whole or not (divisor > 0).all():
        return None
    alone, middle = divisor.size == 1, -flow.shift
    if alone and (middle == divisor.item()).all():
        return KnownValues(
            between=(0.0, 2 * divisor.item()), why=f"what ({middle.item():g} ± {divisor.item():g}) spans"
        )
    if alone and not middle.any():
        spans = _BYTES[0] <= divisor.item() <= _BYTES[1]
        return KnownValues(between=(0.0, 255.0), why=f"divided by {divisor.item():g}") if spans else None
    if middle.any() and flow.in_place:
        why = "a normalization's mean, 2 standard deviations either way"
        return KnownValues(around=(middle, _DISTANCE * divisor), why=why)
    return None


def _number_as_text(operation: Any, graph: InputFlow) -> _Told:
    for flow in graph.read_by(operation, 0):
        yield flow.input, KnownValues(keys=_TEXTS_OF_NUMBERS, why="numbers as text")


_READINGS: Mapping[str, Callable[[Any, InputFlow], _Told]] = {
    "Bincount": _counted,
    "Bucketize": _binned,
    "Cast": _as_truth,
    "DenseBincount": _counted,
    "Div": _scaled,
    "Gather": _rows_of_table,
    "GatherV2": _rows_of_table,
    "Greater": _lengths,
    "GreaterEqual": _lengths,
    "Less": _lengths,
    "LessEqual": _lengths,
    "LookupTableFindV2": _looked_up,
    "Mul": _scaled,
    "OneHot": _one_hot,
    "RealDiv": _scaled,
    "ResourceGather": _rows_of_variable,
    "StringToNumber": _number_as_text,
}
