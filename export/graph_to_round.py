"""A SavedModel's signature as one flat graph with its weights in it, normalizations folded, ready to be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors

_PASSES = ("pruning", "constfold", "arithmetic", "dependency", "constfold")


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphToRound:
    """`graph` is a GraphDef; `inputs` and `outputs` give the tensor of each signature name."""

    graph: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        return int(self.graph.ByteSize())

    def changed(self, graph: Any) -> GraphToRound:
        """The same signature over another graph."""
        return GraphToRound(graph=graph, inputs=self.inputs, outputs=self.outputs)

    def answers(self, samples: Tensors) -> dict[str, NDArray[Any]]:
        """What the graph gives for all samples at once. Raises what TensorFlow raises."""
        with self.session() as ask:
            answered: dict[str, NDArray[Any]] = ask(samples)
        return answered

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Yield a function from samples to answers, for several calls."""
        import tensorflow as tf

        with tf.Graph().as_default() as graph:
            tf.import_graph_def(self.graph, name="")
            with tf.compat.v1.Session(graph=graph) as session:

                def ask(samples: Tensors) -> dict[str, NDArray[Any]]:
                    feed = {tensor: samples[name] for name, tensor in self.inputs.items()}
                    return {name: np.asarray(value) for name, value in session.run(dict(self.outputs), feed).items()}

                yield ask

    def constant_behind(self, tensor: str) -> Any | None:
        """The Const node that a tensor's value comes from, or None when it is computed."""
        makers = {node.name: node for node in self.graph.node}
        node = makers.get(_maker(tensor))
        while node is not None and node.op == "Identity":
            node = makers.get(_maker(node.input[0]))
        return node if node is not None and node.op == "Const" else None


def frozen(saved_model: Path, signature: str) -> GraphToRound:
    """Freeze one signature and fold what is constant, as both converters do. Raises what TensorFlow raises."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    from tensorflow.python.grappler import tf_optimizer

    loaded = tf.saved_model.load(str(saved_model))
    function = loaded.signatures[signature]
    constant = convert_variables_to_constants_v2(function)
    by_name = dict(function.structured_input_signature[1])
    # Feeds keep the names of the signature's arguments; outputs come in the order of the sorted names.
    inputs = {tensor.name.split(":")[0]: tensor.name for tensor in constant.inputs}
    if set(inputs) != set(by_name):
        raise ValueError(f"the frozen graph takes {sorted(inputs)}, the signature {sorted(by_name)}")
    outputs = dict(zip(sorted(function.structured_outputs), (tensor.name for tensor in constant.outputs), strict=True))
    meta = tf.compat.v1.train.export_meta_graph(graph_def=constant.graph.as_graph_def(), graph=constant.graph)
    fetched = meta.collection_def["train_op"].node_list
    fetched.value.extend([*inputs.values(), *outputs.values()])
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.optimizers.extend(_PASSES)
    rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    return GraphToRound(graph=tf_optimizer.OptimizeGraph(config, meta), inputs=inputs, outputs=outputs)


def _maker(tensor: str) -> str:
    return tensor.lstrip("^").split(":", 1)[0]
