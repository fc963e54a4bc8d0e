"""A SavedModel as a graph, and cut: the same operations and weights with other inputs and outputs.

The signature's function is frozen for it: calls are inlined and variables become constants. What it would write to
variables (a model exported in training mode moves its statistics) is not written, so that each call is as the first.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.artifact_graph import ArtifactGraph, Node, Wire, needed
from export.graph_readings import first_output, maker, sorted_by_reading
from export.signature_of_saved_model import definitions_in, signatures_of_saved_model
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, TensorSpec

_MODEL_FILE = "saved_model.pb"
_WRITES = frozenset({"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"})


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frozen:
    definition: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    shapes: Mapping[str, tuple[str, tuple[int | None, ...] | None]]


def graph_of_saved_model(folder: Path, signature: str) -> ArtifactGraph:
    """The operations of one signature. Raises ModelFailed for a folder that does not load, or lacks it."""
    frozen = _frozen(folder, signature)
    nodes = {node.name: node for node in frozen.definition.node}
    reads = _reads(frozen.definition)
    return ArtifactGraph(
        nodes=tuple(
            Node(
                handle=name,
                names=(name,),
                op=nodes[name].op,
                inputs=tuple(reads[name]),
                dtype=frozen.shapes[name][0],
                shape=frozen.shapes[name][1],
            )
            for name in sorted_by_reading(nodes, reads)
            if nodes[name].op != "Placeholder"
        ),
        inputs={name: _input(maker(tensor)) for name, tensor in frozen.inputs.items()},
        outputs={name: maker(tensor) for name, tensor in frozen.outputs.items()},
    )


def cut_saved_model(
    folder: Path, *, into: Path, signature: str, feeds: Sequence[Wire], fetches: Sequence[Wire]
) -> Signature:
    """Write the SavedModel `into`, which makes the fetched tensors of the fed ones; its signature.

    A tensor that is both fed and fetched is made as before, while all that read it get what is fed.
    """
    import tensorflow as tf

    frozen = _frozen(folder, signature)
    given = {feed.handle: f"fed/{position}" for position, feed in enumerate(feeds)}
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(frozen.definition)
    for node in definition.node:
        readings = [given.get(first_output(reading) or "", reading) for reading in node.input]
        del node.input[:]
        node.input.extend(readings)
    for feed in feeds:
        node = definition.node.add(name=given[feed.handle], op="Placeholder")
        node.attr["dtype"].type = tf.as_dtype(feed.spec.dtype).as_datatype_enum
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(feed.spec.shape).as_proto())
    wanted = needed(_reads(definition), [wire.handle for wire in fetches])
    kept = [node for node in definition.node if node.name in wanted]
    del definition.node[:]
    definition.node.extend(kept)
    fed = [feed for feed in feeds if given[feed.handle] in wanted]
    _save(definition, {f.spec.name: (given[f.handle], f.spec) for f in fed}, fetches, into, signature)
    return signatures_of_saved_model(into)[signature]


def _save(
    definition: Any, fed: Mapping[str, tuple[str, TensorSpec]], fetches: Sequence[Wire], into: Path, signature: str
) -> None:
    import tensorflow as tf

    try:
        imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=""), [])
        pruned = imported.prune(
            [f"{node}:0" for node, _ in fed.values()], {wire.spec.name: f"{wire.handle}:0" for wire in fetches}
        )
    except ValueError as error:
        # Its shapes do not go together: what was changed in it shows before it runs.
        raise ModelFailed(
            f"a piece of the SavedModel is no graph that can run: {str(error).splitlines()[0]}",
            hint="export the model again",
        ) from error

    def serve(**given: Any) -> Any:
        return pruned(*(given[name] for name in fed))

    specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, (_, spec) in fed.items()}
    function = tf.function(serve, autograph=False).get_concrete_function(**specs)
    module = tf.Module()
    module.pruned = pruned
    # Gradients that a layer brought along, such as swish's, speak of tensors that are not in the piece.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(into), signatures={signature: function}, options=options)


def _frozen(folder: Path, signature: str) -> _Frozen:
    # Freezing takes a second or more, and an artifact is cut several times.
    changed = tuple(sorted((str(file), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()))
    return _frozen_as_of(folder, signature, changed)


@functools.lru_cache(maxsize=1)
def _frozen_as_of(folder: Path, signature: str, changed: tuple[tuple[str, int], ...]) -> _Frozen:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    del changed
    signatures = definitions_in(folder)
    if signature not in signatures:
        raise ModelFailed(
            f"{folder} has the signatures {sorted(signatures)}, not `{signature}`", hint="export the model again"
        )
    try:
        with _without_writes(folder) as unwritten:
            # Held until it is frozen: a function does not keep its variables alive.
            loaded = tf.saved_model.load(str(unwritten))
            function = loaded.signatures[signature]
            frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
    except Exception as error:  # TensorFlow raises what it likes for a damaged file
        raise ModelFailed(
            f"{folder} cannot be taken apart: {type(error).__name__}: {str(error).splitlines()[0]}",
            hint="if it loads in a server, it uses something that cannot be frozen, such as a lookup table",
        ) from error
    # Structures lie flat in the order of their sorted keys.
    inputs = sorted(function.structured_input_signature[1])
    outputs = sorted(function.structured_outputs)
    return _Frozen(
        definition=frozen.graph.as_graph_def(),
        inputs={name: tensor.name for name, tensor in zip(inputs, frozen.inputs, strict=True)},
        outputs={name: tensor.name for name, tensor in zip(outputs, frozen.outputs, strict=True)},
        shapes={operation.name: _kind(operation) for operation in frozen.graph.get_operations()},
    )


@contextmanager
def _without_writes(folder: Path) -> Iterator[Path]:
    """Yield the SavedModel as a copy that writes to no variable; variables and assets are the original's, by link."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((folder / _MODEL_FILE).read_bytes())
    for meta_graph in content.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            _drop_writes(function)
    with tempfile.TemporaryDirectory(prefix="tripoint-unwritten-") as copy:
        for part in folder.iterdir():
            if part.name != _MODEL_FILE:
                Path(copy, part.name).symlink_to(part.resolve())
        Path(copy, _MODEL_FILE).write_bytes(content.SerializeToString(deterministic=True))
        yield Path(copy)


def _drop_writes(function: Any) -> None:
    # The functions by which a SavedModel restores its own variables write as well, and take what they write as input.
    inputs = {argument.name for argument in function.signature.input_arg}
    dropped = {
        node.name for node in function.node_def if node.op in _WRITES and not {maker(i) for i in node.input} <= inputs
    }
    kept = [node for node in function.node_def if node.name not in dropped]
    for node in kept:
        readings = [reading for reading in node.input if not (reading.startswith("^") and maker(reading) in dropped)]
        del node.input[:]
        node.input.extend(readings)
    del function.node_def[:]
    function.node_def.extend(kept)
    for control in [name for name, node in function.control_ret.items() if node in dropped]:
        del function.control_ret[control]
        function.signature.control_output.remove(control)


def _kind(operation: Any) -> tuple[str, tuple[int | None, ...] | None]:
    if not operation.outputs:
        return "", None
    tensor = operation.outputs[0]
    return tensor.dtype.name, None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _input(name: str) -> Node:
    return Node(handle=name, names=(name,), op="Placeholder", inputs=())


def _reads(definition: Any) -> dict[str, Sequence[str]]:
    return {node.name: [maker(reading) for reading in node.input] for node in definition.node}
