"""One quantized TFLite file in two runtimes: every operation by itself, fed the same integers in both.

TFLite's own kernels and XNNPACK's round a quantized product in different ways, once or twice (tensorflow/tensorflow
#50290), and so may be one step apart (#99072 shows it); its quantization specification says that implementations need
not be equal to the bit. Over a whole model the steps add up and are amplified, so that the outputs of two sound
runtimes may be several apart. Fed the same, no single operation may be more than one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import ArtifactGraph, Node, Quantized, Wire
from pipeline.core.artifact import Artifact, Format
from pipeline.core.errors import UsageError
from pipeline.core.signature import Tensors, TensorSpec, sample_count
from pipeline.core.target import Session
from pipeline.explain.cutting import cut, graph_of
from pipeline.explain.measure import as_stored
from pipeline.parity.values import Value

SCHEMA = "tripoint.kernels/1"
MAY_BE_STEPS = 1
_BATCH = 64


class Kernel(Value, frozen=True):
    """One tensor: the operation that makes it, how many steps of its scale the two are apart at most, and how often."""

    tensor: str
    operation: str
    steps: int
    share: float


class Kernels(Value, frozen=True):
    """Two runtimes beside each other. `outputs` has by output how many steps apart the whole models are at most.

    `first_apart` is the first operation, in the file's order, that is more than a step apart by itself.
    """

    schema: str
    model: str
    target: str
    beside: str
    artifact: str
    samples: int
    lines: tuple[Kernel, ...]
    outputs: dict[str, int]
    first_apart: Kernel | None
    sentence: str


def compared(
    artifact: Artifact, one: Session, other: Session, *, samples: Tensors, names: tuple[str, str], variant: str = ""
) -> Kernels:
    """Run the file in both sessions, whole and operation by operation.

    `samples` are real inputs; what the operations are fed is what `one` makes of them. Raises UsageError for what is no
    TFLite file or has no quantized tensor, and what loading and running raise.
    """
    if artifact.format is not Format.TFLITE:
        raise UsageError(f"{artifact.label} is no TFLite file", hint="name an edge target")
    graph = graph_of(artifact)
    nodes = [node for node in graph.nodes if node.handle in graph.fed and _counts(node)]
    if not nodes:
        raise UsageError(f"{artifact.label} has no quantized tensor", hint="name int8, int8-io or int16x8")
    carried = [node for node in graph.nodes if node.handle in graph.fed and _carries(node)]
    bench = _Bench(artifact=artifact, graph=graph, variant=variant, samples=samples)
    given = bench.stored(one, carried, {})
    alone = [bench.stored(session, nodes, given) for session in (one, other)]
    lines = tuple(_line(node, alone[0][node.handle], alone[1][node.handle]) for node in nodes)
    whole = [_answers(artifact, session, variant, samples) for session in (one, other)]
    outputs = {
        name: _steps(whole[0][name], whole[1][name], scale)
        for name, handle in graph.outputs.items()
        if (scale := _scale_behind(graph, handle)) is not None and name in whole[0]
    }
    first = next((line for line in lines if line.steps > MAY_BE_STEPS), None)
    return Kernels(
        schema=SCHEMA,
        model=artifact.model,
        target=names[0],
        beside=names[1],
        artifact=str(artifact.path),
        samples=sample_count(samples),
        lines=lines,
        outputs=outputs,
        first_apart=first,
        sentence=_sentence(first, lines, outputs, names),
    )


def as_text(kernels: Kernels) -> str:
    """A line for each operation, in the file's order, then the finding."""
    rows = [("operation", "steps apart", "of values", "makes")]
    rows += [
        (line.operation, str(line.steps), f"{line.share:.2%}", line.tensor.split(";")[0]) for line in kernels.lines
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        "  ".join([row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3]]) for row in rows
    ]
    head = f"{kernels.model} in {kernels.target} and {kernels.beside}, one file: {kernels.samples} samples"
    return "\n".join([head, "", *table, "", kernels.sentence])


class _Bench:
    """The file, to be cut and run in either session."""

    def __init__(self, *, artifact: Artifact, graph: ArtifactGraph, variant: str, samples: Tensors) -> None:
        self._artifact = artifact
        self._graph = graph
        self._variant = variant
        self._samples = samples

    def stored(self, session: Session, nodes: Sequence[Node], given: Tensors) -> dict[str, NDArray[Any]]:
        """What each node holds, as it is stored there, by handle; `given` tensors are fed to whatever reads them."""
        inputs = {spec.name: spec for spec in self._artifact.signature.inputs}
        by_handle = self._graph.by_handle
        feeds = [
            Wire(handle=node.handle, spec=inputs[name]) for name, node in self._graph.inputs.items() if name in inputs
        ]
        feeds += [Wire(handle=handle, spec=_spec(f"in_{handle}", by_handle[handle])) for handle in given]
        fetches = [Wire(handle=node.handle, spec=_spec(f"out_{node.handle}", node)) for node in nodes]
        taken = {name: as_stored(array, self._graph.inputs[name]) for name, array in self._samples.items()}
        fed = {**taken, **{f"in_{handle}": array for handle, array in given.items()}}
        with tempfile.TemporaryDirectory(prefix="tripoint-kernels-") as folder:
            piece = cut(self._artifact, into=Path(folder), feeds=feeds, fetches=fetches)
            with session.load(piece, self._variant) as runner:
                answers = runner.run(
                    {name: fed[name] for name in piece.signature.input_names}, batch_size=_batch(self._artifact)
                ).outputs
        return {node.handle: answers[f"out_{node.handle}"] for node in nodes}


def _answers(artifact: Artifact, session: Session, variant: str, samples: Tensors) -> Tensors:
    with session.load(artifact, variant) as runner:
        return runner.run(samples, batch_size=_batch(artifact)).outputs


def _batch(artifact: Artifact) -> int:
    return _BATCH if all(spec.batched for spec in artifact.signature.inputs) else 1


def _carries(node: Node) -> bool:
    """Whether the node holds a row a sample, so that it can be fed."""
    return node.dtype is not None and bool(node.shape) and node.shape is not None and node.shape[0] in (None, 1)


def _counts(node: Node) -> bool:
    return _carries(node) and node.quantized is not None and node.dtype in ("int8", "uint8", "int16")


def _spec(name: str, node: Node) -> TensorSpec:
    return TensorSpec(name=name, dtype=node.dtype or "", shape=(None, *(node.shape or ())[1:]))


def _scale_behind(graph: ArtifactGraph, handle: str) -> Quantized | None:
    """How the output is quantized, or what it was made of when it was turned into floats at the end."""
    node = graph.by_handle.get(handle)
    if node is not None and node.quantized is None and node.op == "DEQUANTIZE":
        node = graph.by_handle.get(node.inputs[0])
    return None if node is None else node.quantized


def _line(node: Node, one: NDArray[Any], other: NDArray[Any]) -> Kernel:
    apart = np.abs(one.astype(np.int64) - other.astype(np.int64))
    return Kernel(
        tensor=";".join(node.names),
        operation=node.op,
        steps=int(apart.max(initial=0)),
        share=float(np.mean(apart > 0)) if apart.size else 0.0,
    )


def _steps(one: NDArray[Any], other: NDArray[Any], quantized: Quantized) -> int:
    gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
    scale = quantized.scale if one.dtype.kind == "f" else 1.0
    return int(np.rint(gap / scale).max(initial=0))


def _sentence(first: Kernel | None, lines: Sequence[Kernel], outputs: Mapping[str, int], names: tuple[str, str]) -> str:
    ends = ", ".join(f"`{name}` {steps}" for name, steps in outputs.items())
    whole = f" As a whole they are at most so many steps apart: {ends}." if ends else ""
    if first is not None:
        return (
            f"{names[0]} and {names[1]} do not compute the same: fed the same integers, `{first.operation}` "
            f"(`{first.tensor.split(';')[0]}`) is {first.steps} steps apart, where rounding explains one.{whole}"
        )
    worst = max((line.steps for line in lines), default=0)
    return (
        f"{names[0]} and {names[1]} compute the same: fed the same integers, no operation is more than "
        f"{worst} step{'' if worst == 1 else 's'} apart.{whole}"
    )
