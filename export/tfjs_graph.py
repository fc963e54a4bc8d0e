"""A frozen graph optimized for TF.js, by the passes of TF.js's own converter, without its large constants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.frozen_graph import FrozenGraph, FrozenSignature
from export.stand_ins import StandIns
from export.tensorflowjs_import import graph_model_converter
from export.tfjs_batch_norms import fold_batch_norms
from export.tfjs_hard_swish import take_hard_swish_apart

_TYPES = frozenset(
    (
        *("float32", "float16", "float64", "int32", "int64", "int8", "uint8"),
        *("bool", "string", "complex64", "complex128"),
    )
)
_FUSIONS = frozenset({"_FusedMatMul", "_FusedConv2D"})


class UnsupportedOperations(Exception):  # named after what happened, like our other errors
    """Operations that TF.js does not have. `nodes` has the names of those nodes by operation."""

    def __init__(self, nodes: dict[str, list[str]]) -> None:
        super().__init__(f"TF.js has no {', '.join(sorted(nodes))}")
        self.nodes = nodes


@dataclass(frozen=True, kw_only=True)
class TfjsGraph:
    """A GraphDef that TF.js runs, the signature (a SignatureDef) that its tensors have, and its large constants."""

    graph: Any
    signature: Any
    large: StandIns
    tensorflow_version: str


def tfjs_graph(saved_model: Path, signature_name: str) -> TfjsGraph | None:
    """Freeze and optimize one signature, or None when its graph cannot stand alone: it holds tables, for instance.

    Raises UnsupportedOperations.
    """
    source = FrozenSignature(saved_model, signature_name)
    if not source.stands_alone:
        return None
    whole: frozenset[str] = frozenset()
    while True:
        frozen = source.frozen(whole=whole)
        signature = _signature(frozen)
        graph = _optimized(frozen, signature)
        lost = frozen.large.lost(graph)
        if not lost:
            return TfjsGraph(
                graph=graph, signature=signature, large=frozen.large, tensorflow_version=source.tensorflow_version
            )
        # A pass has computed with these stand-ins, or their constants are read nowhere: once more, with their values.
        whole |= lost


def optimized_graph(saved_model: Path, signature_name: str) -> Any:
    """The GraphDef that TF.js would run, for looking at: large constants are stand-ins, tables are left out.

    Raises UnsupportedOperations.
    """
    frozen = FrozenSignature(saved_model, signature_name).frozen()
    return _optimized(frozen, _signature(frozen))


def _signature(frozen: FrozenGraph) -> Any:
    from tensorflow.core.protobuf import meta_graph_pb2

    signature = meta_graph_pb2.SignatureDef()
    for named, infos in ((frozen.inputs, signature.inputs), (frozen.outputs, signature.outputs)):
        for name, tensor in named.items():
            infos[name].name = tensor.name
            infos[name].dtype = tensor.dtype.as_datatype_enum
            infos[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return signature


def _optimized(frozen: FrozenGraph, signature: Any) -> Any:
    """What the converter's `optimize_graph` does, step by step."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    converter = graph_model_converter()
    converter.define_transform_graph_func()
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen.graph, name="")
    for info in signature.outputs.values():
        graph.add_to_collection("train_op", graph.get_operation_by_name(info.name.split(":")[0]))
    config = config_pb2.ConfigProto()
    passes = config.graph_options.rewrite_options
    _check_operations(converter, frozen.graph)
    once = ["pruning", "constfold", "arithmetic", "dependency"]
    passes.optimizers[:] = [*once, *once]
    optimized = converter._run_grappler(config, graph.as_graph_def(), graph, signature)  # noqa: SLF001  # its own steps
    optimized = fold_batch_norms(optimized, frozen.large)
    optimized = converter.normalize_bias_add.normalize_bias_add_op(optimized)
    for node in optimized.node:
        # TensorFlow fuses these for the CPU only.
        if node.op in ("Conv2D", "MatMul"):
            node.device = "/device:CPU:0"
    passes.optimizers[:] = ["remap", "constfold", "arithmetic", "dependency"]
    optimized = converter._run_grappler(config, optimized, graph, signature)  # noqa: SLF001  # as above
    optimized = take_hard_swish_apart(optimized)
    optimized = converter._remove_unused_control_flow_inputs(optimized)  # noqa: SLF001  # as above
    optimized = converter.fuse_prelu.fuse_ops_for_prelu(optimized)
    optimized = converter.fuse_depthwise_conv2d.fuse_depthwise_conv2d(optimized)
    optimized = converter.fuse_prelu.fuse_prelu_with_fused_conv2d_or_matmul(optimized)
    _check_operations(converter, optimized)
    return optimized


def _check_operations(converter: Any, graph: Any) -> None:
    unsupported = set(converter.validate(graph, skip_op_check=False, strip_debug_ops=False))
    # The converter lets every fusion of TensorFlow's optimizer pass, and TF.js has these alone.
    unsupported |= {node.op for node in graph.node if node.op.startswith("_") and node.op not in _FUSIONS}
    lacking = {name: [node.name for node in graph.node if node.op == name] for name in sorted(unsupported)}
    lacking |= _casts_to_unknown_types(graph)
    if lacking:
        raise UnsupportedOperations(lacking)


def _casts_to_unknown_types(graph: Any) -> dict[str, list[str]]:
    """Casts to types that TF.js has no name for: its converter lets them pass, and its executor fails on them.

    The types that it has are those of `parseDtypeParam` in tfjs-converter's `operation_mapper.ts`.
    """
    import tensorflow as tf

    found: dict[str, list[str]] = {}
    for node in graph.node:
        made = tf.as_dtype(node.attr["DstT"].type) if node.op == "Cast" else None
        if made is not None and made.name not in _TYPES:
            found.setdefault(f"Cast to {made.name}", []).append(node.name)
    return found
