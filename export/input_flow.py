"""Where the values of a model's inputs go in its graph while they stay themselves: moved, cast, shifted or scaled.

The graph is that of a traced function, its calls inlined. Of what it computes nothing is run but small constants, so
that a look takes about as long as a pass of an optimizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IN_PLACE = frozenset(
    {
        *("Cast", "Ceil", "CheckNumerics", "EnsureShape", "Enter", "Exit", "Floor", "Identity", "NextIteration"),
        *("PreventGradient", "RegexReplace", "Rint", "Round", "StaticRegexReplace", "StopGradient", "StringLower"),
        *("StringStrip", "StringUpper", "Switch"),
    }
)
_FIRST_MOVED = frozenset(
    {
        *("BatchToSpaceND", "BroadcastTo", "ExpandDims", "GatherNd", "GatherV2", "MirrorPad", "Pad", "PadV2"),
        *("Reshape", "Reverse", "ReverseV2", "Roll", "Slice", "SpaceToBatchND", "SplitV", "Squeeze", "StridedSlice"),
        *("TensorListFromTensor", "TensorListGetItem", "TensorListStack", "Tile", "Transpose", "Unique", "UniqueV2"),
        *("Unpack",),
    }
)
_SECOND_MOVED = frozenset({"Split"})
_ALL_MOVED = frozenset({"ConcatV2", "Pack"})
_CHOSEN_FROM_ALL = frozenset({"IdentityN", "Maximum", "Merge", "Minimum"})
_CHOSEN_FROM_THE_LAST_TWO = frozenset({"Select", "SelectV2"})
_TAKEN_APART = frozenset({"StringNGrams", "StringSplit", "StringSplitV2", "UnicodeDecode"})
_COMPUTED = frozenset({"Add", "AddV2", "BiasAdd", "Div", "Mul", "RealDiv", "Sub"})
_ONLY_OUTPUT = {"Merge": 0, "StringSplit": 1, "StringSplitV2": 1, "UnicodeDecode": 1, "Unique": 0, "UniqueV2": 0}
_LARGEST_CONSTANT = 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow:
    """Values of an input, each as `value * scale + shift`.

    `whole` says that they have been made integers since, `parts` that they are parts of texts, `in_place` that each is
    where it was, so that scale and shift fit the input's last dimensions.
    """

    input: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    whole: bool = False
    parts: bool = False
    in_place: bool = True

    @property
    def untouched(self) -> bool:
        return bool((self.scale == 1).all() and (self.shift == 0).all())

    @property
    def largest_shift(self) -> float:
        return float(np.abs(self.shift).max())


class InputFlow:
    """The graph of a function with named arguments; `operations` in order, and what of the inputs each reads."""

    def __init__(self, function: Any, held: Mapping[str, Any], session: Any) -> None:
        """`session` is of the ConcreteFunction's graph, inlined, with stand-ins for what is `held`, by their names."""
        self._function = function
        self._held = held
        self._session = session
        self.operations: tuple[Any, ...] = tuple(session.graph.get_operations())
        self._steady = self._steady_operations()
        names = sorted(function.structured_input_signature[1])
        self._flows: dict[str, tuple[Flow, ...]] = {
            tensor.name: (Flow(input=name, scale=np.ones(()), shift=np.zeros(())),)
            # Structures lie flat in the order of their sorted keys; what follows the inputs is captured.
            for name, tensor in zip(names, function.inputs[: len(names)], strict=True)
        }
        # What a loop hands to its next turn comes after its readers, which therefore are visited again.
        for _ in range(2 if any(operation.type == "NextIteration" for operation in self.operations) else 1):
            for operation in self.operations:
                self._follow(operation)

    def read_by(self, operation: Any, position: int) -> tuple[Flow, ...]:
        """What of the model's inputs the operation reads there."""
        return self._flows.get(operation.inputs[position].name, ())

    def constant(self, tensor: Any) -> NDArray[Any] | None:
        """The value of a tensor that is the same whatever the model is given, without leading dimensions of one."""
        if tensor.op.name not in self._steady or (tensor.shape.num_elements() or 0) > _LARGEST_CONSTANT:
            return None
        fed = {f"{name}:0": held.numpy() for name, held in self._held.items() if name in self._steady}
        value = np.asarray(self._session.run(tensor, feed_dict=fed))
        # As it broadcasts: leading dimensions of one say nothing.
        return value.reshape(value.shape[_leading_ones(value.shape) :])

    def table(self, lookup: Any) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Keys and values of the table that a LookupTableFindV2 looks into, or None of one that cannot be read."""
        import tensorflow as tf

        handle = _passed_on(lookup.inputs[0])
        types = {"Tkeys": lookup.get_attr("Tin"), "Tvalues": lookup.get_attr("Tout")}
        held = self._held.get(handle.op.name)
        if held is not None:
            keys, values = tf.raw_ops.LookupTableExportV2(table_handle=held, **types)
            return keys.numpy(), values.numpy()
        own = self._function.graph
        if not hasattr(self._function, "prune") or handle.op.name not in {one.name for one in own.get_operations()}:
            return None
        # TensorFlow 1 makes its tables in the graph itself.
        with own.as_default():
            there = tf.raw_ops.LookupTableExportV2(table_handle=own.get_tensor_by_name(handle.name), **types)
        keys, values = self._function.prune([], [there.keys.name, there.values.name])()
        return keys.numpy(), values.numpy()

    def _steady_operations(self) -> frozenset[str]:
        found = {name for name, held in self._held.items() if hasattr(held, "numpy") and _is_plain(held.dtype)}
        for operation in self.operations:
            alone = not operation.inputs and operation.type == "Const"
            follows = operation.inputs and all(tensor.op.name in found for tensor in operation.inputs)
            if (alone or follows) and not operation.op_def.is_stateful:
                found.add(operation.name)
        return frozenset(found)

    def _follow(self, operation: Any) -> None:
        flows = tuple(self._through(operation))
        only = _ONLY_OUTPUT.get(operation.type)
        for position, output in enumerate(operation.outputs):
            if flows and only in (None, position) and output.dtype.name != "bool":
                whole = output.dtype.is_integer
                self._flows[output.name] = tuple(replace(flow, whole=flow.whole or whole) for flow in flows)

    def _through(self, operation: Any) -> Iterable[Flow]:
        kind, every = operation.type, range(len(operation.inputs))
        if kind in _IN_PLACE:
            return self.read_by(operation, 0)
        if kind in _CHOSEN_FROM_ALL:
            return self._chosen(operation, every)
        if kind in _CHOSEN_FROM_THE_LAST_TWO:
            return self._chosen(operation, every[1:])
        if kind in _COMPUTED:
            return self._computed(operation)
        if kind in _FIRST_MOVED or kind in _TAKEN_APART:
            moved: Iterable[Flow] = self.read_by(operation, 0)
        elif kind in _SECOND_MOVED:
            moved = self.read_by(operation, 1)
        elif kind in _ALL_MOVED:
            moved = [flow for position in every for flow in self.read_by(operation, position)]
        else:
            return ()
        return [replace(flow, in_place=False, parts=flow.parts or kind in _TAKEN_APART) for flow in moved]

    def _chosen(self, operation: Any, positions: Iterable[int]) -> Iterable[Flow]:
        every = [flow for position in positions for flow in self.read_by(operation, position)]
        # What is shifted farther are exceptions, such as indices that are counted from the end.
        least = {flow.input: min(one.largest_shift for one in every if one.input == flow.input) for flow in every}
        return [flow for flow in every if flow.largest_shift == least[flow.input]]

    def _computed(self, operation: Any) -> Iterable[Flow]:
        found: list[Flow] = []
        for position in (0, 1):
            flows = self.read_by(operation, position)
            number = self.constant(operation.inputs[1 - position]) if flows else None
            if number is not None and number.size and number.dtype.kind in "iuf" and np.isfinite(number).all():
                computed = (_computed(operation.type, flow, number, first=position == 0) for flow in flows)
                found += [flow for flow in computed if flow is not None]
        return found


@contextmanager
def input_flow(function: Any) -> Iterator[InputFlow]:
    """Look at a ConcreteFunction. Raises what TensorFlow does for a graph that it cannot inline."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        held = _imported(function)
    # The session is nobody's default: tables are read eagerly beside it.
    with closing(tf.compat.v1.Session(graph=graph)) as session:
        yield InputFlow(function, held, session)


def _imported(function: Any) -> dict[str, Any]:
    """Make the function's graph the current one, calls inlined; what it captured, by the names of its stand-ins."""
    import tensorflow as tf
    from tensorflow.core.framework import graph_pb2
    from tensorflow.python.framework import convert_to_constants as freezing
    from tensorflow.python.ops import handle_data_util

    # TensorFlow 1 notes there what fills its tables, by names that this graph need not have.
    function.graph.clear_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
    # As freezing does it, which would read all weights as well.
    inlined = freezing._run_inline_graph_optimization(function, True, True)  # noqa: FBT003, SLF001
    # The optimizer's answer may be shared, and is changed here.
    definition = graph_pb2.GraphDef()
    definition.CopyFrom(inlined)
    for node in definition.node:
        # Only constants are run here, which wait for nothing; asserts would be waited for, and what they assert.
        readings = [reading for reading in node.input if not reading.startswith("^")]
        del node.input[:]
        node.input.extend(readings)
    there = {node.name for node in definition.node}
    given, held_by = {}, {}
    for held, inner in function.graph.captures:
        if inner.op.name in there:
            stand_in = tf.compat.v1.placeholder(inner.dtype, inner.shape, name="held")
            if inner.dtype == tf.resource:
                # The shape of the variable behind it, from which the shapes of its readers follow.
                handle_data_util.copy_handle_data(held, stand_in)
            given[inner.name] = stand_in
            held_by[stand_in.op.name] = held
    tf.graph_util.import_graph_def(definition, name="", input_map=given)
    return held_by


def _computed(kind: str, flow: Flow, number: NDArray[Any], *, first: bool) -> Flow | None:
    value = number.astype(np.float64)
    try:
        if kind in ("Add", "AddV2", "BiasAdd"):
            return replace(flow, shift=flow.shift + value)
        if kind == "Sub" and first:
            return replace(flow, shift=flow.shift - value)
        if kind == "Sub":
            return replace(flow, scale=-flow.scale, shift=value - flow.shift)
        if (value == 0).any() or not (first or kind == "Mul"):
            return None
        factor = value if kind == "Mul" else 1 / value
        return replace(flow, scale=flow.scale * factor, shift=flow.shift * factor)
    except ValueError:
        # They do not broadcast: the constant fits the layout that the values have been brought into since.
        return None


def _leading_ones(shape: tuple[int, ...]) -> int:
    return next((position for position, size in enumerate(shape) if size != 1), len(shape))


def _passed_on(tensor: Any) -> Any:
    while tensor.op.type in ("Identity", "Enter", "Switch"):
        tensor = tensor.op.inputs[0]
    return tensor


def _is_plain(dtype: Any) -> bool:
    return dtype.name not in ("resource", "variant")
