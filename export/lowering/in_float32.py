"""Half floats and doubles as float32: TFLite and TF.js compute in nothing else. Keras's mixed policies ask for it.

Unlike the other lowerings it changes a type, not an operation, and so all functions of a SavedModel at once. What a
signature takes and gives stays of its dtype: such a function becomes a shell with casts, around a float32 twin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from export.functions_called import functions_called
from export.lowering.body import Body
from export.lowering.places import input_types, output_places, output_types

NAME = "in_float32"
BECOMES = "float32"
HALVES = ("float16", "bfloat16")
DOUBLES = ("float64",)
COMPUTED_IN = "_computed_in"
"""The attribute of a marked node that says in what the model itself computes it."""

# What reads or writes something outside of the graph, depends on the bits, or draws other numbers in another type.
_OF_ITS_TYPE = (
    *("Assign", "Resource", "ReadVariable", "VarHandle", "Variable", "Restore", "Save", "MergeV2", "Lookup"),
    *("HashTable", "MutableHashTable", "AnonymousHashTable", "MutableDenseHashTable", "AnonymousMutable"),
    *("Bitcast", "Decode", "AsString", "NextAfter", "PyFunc", "EagerPyFunc", "Random", "Stateless", "Stateful"),
)
# These begin as others above do.
_OF_ANY_TYPE = ("StatelessIf", "StatelessWhile", "StatelessCase", "StatefulPartitionedCall")
_ONLY_MOVES = frozenset(
    {"Const", "Cast", "Identity", "IdentityN", "EnsureShape", "NoOp", "PartitionedCall", *_OF_ANY_TYPE, "If", "While"}
)


def compute_in_float32(meta_graph: Any, narrow: tuple[str, ...], *, mark: bool = False) -> dict[str, set[str]]:
    """Change the functions of a MetaGraphDef in place: what computes in one of `narrow` computes in float32.

    Returns the names of the nodes by what they computed in, without those that only move values. Nothing is changed
    when there are only such, or when a constant would not fit. `mark` lets the nodes say, as COMPUTED_IN, what they
    computed in before.
    """
    kinds = _kinds(narrow)
    library = meta_graph.graph_def.library
    if not (_any_computes(library, kinds) and _all_fit(library, kinds)):
        return {}
    renamed = dict(_with_twins(meta_graph, kinds))
    shells = set(renamed)
    found: dict[str, set[str]] = defaultdict(set)
    for function in library.function:
        if function.signature.name not in shells:
            for node, name in _converted(function, library, kinds, renamed):
                found[name].add(node.name)
                if mark:
                    node.attr[COMPUTED_IN].s = name.encode()
    return dict(found)


def _kinds(narrow: tuple[str, ...]) -> dict[int, str]:
    import tensorflow as tf

    return {tf.as_dtype(name).as_datatype_enum: name for name in narrow}


def _any_computes(library: Any, kinds: Mapping[int, str]) -> bool:
    return any(
        value.type in kinds or any(kind in kinds for kind in value.list.type)
        for function in library.function
        for node in function.node_def
        if node.op not in _ONLY_MOVES and (node.op in _OF_ANY_TYPE or not node.op.startswith(_OF_ITS_TYPE))
        for value in node.attr.values()
    )


def _all_fit(library: Any, kinds: Mapping[int, str]) -> bool:
    """Whether no finite constant of these types is infinite in float32."""
    import tensorflow as tf

    largest = float(np.finfo(np.float32).max)
    for function in library.function:
        for node in function.node_def:
            if node.op == "Const" and node.attr["dtype"].type in kinds:
                value = np.asarray(tf.make_ndarray(node.attr["value"].tensor), np.float64)
                if np.any(np.isfinite(value) & (np.abs(value) > largest)):
                    return False
    return True


def _with_twins(meta_graph: Any, kinds: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Give each function that is called from outside, and takes or gives such a type, a twin: both names."""
    library = meta_graph.graph_def.library
    outside = set(meta_graph.object_graph_def.concrete_functions)
    outside |= {name for node in meta_graph.graph_def.node for name in functions_called(node)}
    for function in list(library.function):
        signature = function.signature
        arguments = (*signature.input_arg, *signature.output_arg)
        if signature.name in outside and any(argument.type in kinds for argument in arguments):
            twin = library.function.add()
            twin.CopyFrom(function)
            twin.signature.name = f"{signature.name}_{NAME}"
            yield signature.name, twin.signature.name
            _make_shell(function, twin.signature.name, kinds)


def _make_shell(function: Any, twin: str, kinds: Mapping[int, str]) -> None:
    """Let the function call its twin, with casts at its border."""
    single = _float32()
    del function.node_def[:]
    call = function.node_def.add(name="StatefulPartitionedCall", op="StatefulPartitionedCall")
    call.attr["f"].func.name = twin
    for argument in function.signature.input_arg:
        source, kind = argument.name, argument.type
        if kind in kinds:
            source, kind = _cast(function, f"{argument.name}/{NAME}", source, kind, single), single
        call.input.append(source)
        call.attr["Tin"].list.type.append(kind)
    for position, result in enumerate(function.signature.output_arg):
        source, kind = f"{call.name}:output:{position}", result.type
        if kind in kinds:
            source, kind = _cast(function, f"{result.name}/given", source, single, kind), single
        function.ret[result.name] = source
        call.attr["Tout"].list.type.append(kind)
    if function.control_ret:
        function.control_ret.clear()
        del function.signature.control_output[:]
        function.control_ret[call.name] = call.name
        function.signature.control_output.append(call.name)


def _cast(function: Any, name: str, source: str, given: int, wanted: int) -> str:
    node = function.node_def.add(name=name, op="Cast", input=[source])
    node.attr["SrcT"].type, node.attr["DstT"].type = given, wanted
    return f"{name}:y:0"


def _converted(
    function: Any, library: Any, kinds: Mapping[int, str], renamed: Mapping[str, str]
) -> Iterator[tuple[Any, str]]:
    """Change one function; yields what computed in one of these types, and in which."""
    single = _float32()
    for argument in (*function.signature.input_arg, *function.signature.output_arg):
        if argument.type in kinds:
            argument.type = single
    for node in list(function.node_def):
        if _keeps_its_type(node, kinds, single):
            _set_apart(function, node, kinds)
            continue
        names = [kinds[kind] for kind in _retyped(node, kinds, single)]
        for value in node.attr.values():
            for called in (value.func, *value.list.func) if value.HasField("func") or value.list.func else ():
                called.name = renamed.get(called.name, called.name)
        if names and node.op not in _ONLY_MOVES:
            yield node, names[0]
    body = Body(function, library)
    for node in body.nodes():
        if node.op == "Cast" and node.attr["SrcT"].type == node.attr["DstT"].type == single:
            body.pass_on(node)


def _keeps_its_type(node: Any, kinds: Mapping[int, str], single: int) -> bool:
    from tensorflow.python.framework import op_def_registry

    if node.op.startswith(_OF_ITS_TYPE) and node.op not in _OF_ANY_TYPE:
        return True
    definition = op_def_registry.get(node.op)
    limited = [] if definition is None else [one for one in definition.attr if one.allowed_values.list.type]
    return any(
        one.name in node.attr and node.attr[one.name].type in kinds and single not in one.allowed_values.list.type
        for one in limited
    )


def _set_apart(function: Any, node: Any, kinds: Mapping[int, str]) -> None:
    """Put casts around a node that keeps its types."""
    from tensorflow.python.framework import op_def_registry

    if op_def_registry.get(node.op) is None:
        return
    single = _float32()
    for position, kind in enumerate(input_types(node)):
        if kind in kinds:
            node.input[position] = _cast(function, f"{node.name}/{position}/given", node.input[position], single, kind)
    for position, (place, kind) in enumerate(zip(output_places(node), output_types(node), strict=True)):
        if kind in kinds:
            name = f"{node.name}/{position}/{NAME}"
            _read_instead(function, f"{node.name}:{place}", f"{name}:y:0")
            _cast(function, name, f"{node.name}:{place}", kind, single)


def _read_instead(function: Any, old: str, new: str) -> None:
    for reader in function.node_def:
        for position, name in enumerate(reader.input):
            if name == old:
                reader.input[position] = new
    for key, value in function.ret.items():
        if value == old:
            function.ret[key] = new


def _retyped(node: Any, kinds: Mapping[int, str], single: int) -> list[int]:
    """Write float32 for these types into the node's attributes; which they were."""
    import tensorflow as tf

    found = []
    for value in node.attr.values():
        if value.WhichOneof("value") == "type" and value.type in kinds:
            found.append(value.type)
            value.type = single
        for position, kind in enumerate(value.list.type if value.HasField("list") else ()):
            if kind in kinds:
                found.append(kind)
                value.list.type[position] = single
    if node.op == "Const" and found:
        wide = np.asarray(tf.make_ndarray(node.attr["value"].tensor)).astype(np.float32)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(wide))
    return found


def _float32() -> int:
    import tensorflow as tf

    return int(tf.float32.as_datatype_enum)
