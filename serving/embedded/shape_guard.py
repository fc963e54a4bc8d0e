"""Refuses inputs whose shape could make a TensorFlow kernel abort the whole process.

TensorFlow does not enforce a signature's shapes. Most kernels answer a wrong one with an error, but some (convolution
is one) fail a check that ends the process. What runs behind an input is known when a model is loaded, so a shape that
differs from the signature's is let through only where every operation is known to bear it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.embedded.status import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serving.embedded.signatures import TensorSpec

_STRUCTURE = """
Arg Const Identity IdentityN NoOp PartitionedCall Placeholder PlaceholderWithDefault Retval StatefulPartitionedCall
If StatelessIf StatelessWhile StopGradient VarHandleOp VarIsInitializedOp ReadVariableOp AssignVariableOp
AssignAddVariableOp AssignSubVariableOp RestoreV2 SaveV2 MergeV2Checkpoints ShardedFilename StaticRegexFullMatch
StringJoin Select SelectV2 While Pack Assert
"""
_ELEMENTWISE = """
Abs Add AddV2 BroadcastTo Cast Ceil Cos DecodeRaw Div DivNoNan Equal Exp Expm1 Floor FloorDiv FloorMod Greater
GreaterEqual IsFinite IsInf IsNan Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul Neg
NotEqual Pow RealDiv Reciprocal Round Rsqrt Sigmoid Sign Sin Sqrt Square SquaredDifference StringLength StringLower
StringUpper Sub Tan Tanh ZerosLike OnesLike AsString
"""
_SHAPE_CHECKED = """
All Any ArgMax ArgMin ConcatV2 ExpandDims Fill GatherV2 Max Mean Min ParseExample ParseExampleV2 Prod Rank Range
Reshape Shape Size Slice Squeeze StridedSlice Sum Tile Transpose
"""
ANY_RANK = frozenset((_STRUCTURE + _ELEMENTWISE + _SHAPE_CHECKED).split())
"""Operations whose kernels bear any rank, or answer one that they cannot with an error."""

_RANK_BOUND = """
AvgPool BatchMatMulV2 BiasAdd Conv2D DepthwiseConv2dNative Einsum Elu FusedBatchNormV3 LeakyRelu LogSoftmax MatMul
MaxPool Pad PadV2 Relu Relu6 Selu Softmax Softplus
"""
ANY_SIZE = ANY_RANK | frozenset(_RANK_BOUND.split())
"""Operations that, given the right rank, answer sizes that they cannot work with with an error."""


class ShapeGuard:
    """How far one signature's inputs may stray from their declared shapes."""

    __slots__ = ("bears_any_rank", "bears_any_size")

    def __init__(self, operations: frozenset[str]) -> None:
        self.bears_any_rank = operations <= ANY_RANK
        self.bears_any_size = operations <= ANY_SIZE

    def check(self, alias: str, spec: TensorSpec, shape: tuple[int, ...]) -> None:
        """Raise INVALID_ARGUMENT, naming input, declared and given shape, where this shape could do harm."""
        declared = spec.shape
        if declared is None or self.bears_any_rank:
            return
        if len(declared) == len(shape):
            if self.bears_any_size:
                return
            # The batch dimension stays free: a fixed one is not enforced by TensorFlow Serving either.
            if all(want in (-1, got) for want, got in zip(declared[1:], shape[1:], strict=True)):
                return
        raise invalid(
            f'Input "{alias}" must have shape {_text(declared)} by the signature, but has shape {_text(shape)}'
        )


def operations_behind(graph_def: Any, tensors: Iterable[str]) -> frozenset[str]:
    """The types of all operations that computing these tensors may run, functions that are called included."""
    nodes = {node.name: node for node in graph_def.node}
    functions = {function.signature.name: function for function in graph_def.library.function}
    found: set[str] = set()
    called: set[str] = set()
    pending = [_node_name(tensor) for tensor in tensors]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        found.add(node.op)
        pending.extend(_node_name(source) for source in node.input)
        _follow_calls(node, functions, called, found)
    return frozenset(found)


def _follow_calls(node: Any, functions: Mapping[str, Any], called: set[str], found: set[str]) -> None:
    pending = [node]
    while pending:
        current = pending.pop()
        names = {current.op}
        for attribute in current.attr.values():
            names.add(attribute.func.name)
            names.update(function.name for function in attribute.list.func)
        for name in names & functions.keys() - called:
            called.add(name)
            body = functions[name].node_def
            found.update(inner.op for inner in body)
            pending.extend(body)


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _text(shape: Iterable[int]) -> str:
    return "[" + ",".join("?" if size < 0 else str(size) for size in shape) + "]"
