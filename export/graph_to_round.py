"""A SavedModel's signature as one flat graph with its weights in it, normalizations folded, ready to be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.frozen_graph import FrozenGraph, FrozenSignature
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
        """A function from samples to answers, for several calls."""
        import tensorflow as tf

        # The graph is folded already: to optimize it again takes three times as long as to answer a few samples.
        settings = tf.compat.v1.ConfigProto()
        settings.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(self.graph, name="")
            with tf.compat.v1.Session(graph=graph, config=settings) as session:

                def ask(samples: Tensors) -> dict[str, NDArray[Any]]:
                    feed = {tensor: samples[name] for name, tensor in self.inputs.items()}
                    return {name: np.asarray(value) for name, value in session.run(dict(self.outputs), feed).items()}

                yield ask

    def makers(self) -> Callable[[str], Any | None]:
        """A function from a tensor to the node that computes it as the graph is now.

        Identity only hands on, and so does Enter, which hands a constant into a loop.
        """
        by_name = {node.name: node for node in self.graph.node}

        def maker_of(tensor: str) -> Any | None:
            node = by_name.get(_maker(tensor))
            while node is not None and node.op in ("Identity", "Enter"):
                node = by_name.get(_maker(node.input[0]))
            return node

        return maker_of


def frozen(saved_model: Path, signature: str) -> GraphToRound:
    """Freeze one signature and fold what is constant, as both converters do. Raises what TensorFlow raises.

    ValueError for a graph that cannot stand alone: it looks up tables, or has variables of TensorFlow 1.
    """
    source = FrozenSignature(saved_model, signature)
    if not source.stands_alone:
        raise ValueError("the graph does not hold all that it computes with: tables, or variables of TensorFlow 1")
    whole: frozenset[str] = frozenset()
    while True:
        # Without the large constants, which every pass would copy: 20 times their size in memory.
        small = source.frozen(whole=whole)
        graph = _folded(small)
        lost = small.large.lost(graph)
        if not lost:
            break
        whole |= lost
    for node in graph.node:
        if small.large.holds(node):
            _set_value(node, small.large.value(node))
    return GraphToRound(
        graph=graph,
        inputs={name: tensor.name for name, tensor in small.inputs.items()},
        outputs={name: tensor.name for name, tensor in small.outputs.items()},
    )


def _folded(small: FrozenGraph) -> Any:
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.grappler import tf_optimizer

    with tf.Graph().as_default() as known:
        tf.import_graph_def(small.graph, name="")
    meta = tf.compat.v1.train.export_meta_graph(graph_def=small.graph, graph=known)
    kept = [tensor.name for tensor in (*small.inputs.values(), *small.outputs.values())]
    meta.collection_def["train_op"].node_list.value.extend(kept)
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.optimizers.extend(_PASSES)
    rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    return tf_optimizer.OptimizeGraph(config, meta)


def _set_value(node: Any, value: NDArray[Any]) -> None:
    import tensorflow as tf

    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def _maker(tensor: str) -> str:
    return tensor.lstrip("^").split(":", 1)[0]
