"""What becomes an output while a TFLite file is calibrated, so that its values are there to be noted.

*Loops.* TFLite's calibration notes the values of every float tensor that an operation makes. What a WHILE makes for
nobody has no memory (TensorFlow 2.21), and reading there is a SIGSEGV, in `MinMax::Update`. Every recurrent layer has
such results: the last state, the inputs that were handed round.

*Sums, differences and products.* They write into the memory of what they read where nothing else reads it, and reshapes
share it. The values of that are noted afterwards, too: of `(1 - mask) * -1e9` the difference was noted to reach down to
-1e9, and of scores the mask that is added to them. An output's memory is never given away.
"""

from __future__ import annotations

from typing import Any

from export.tflite_edited import edited, holds, kind_of

_WRITING = ("ADD", "SUB", "MUL", "DIV")
_IN_PLACE = frozenset((*_WRITING, "RESHAPE", "SQUEEZE", "EXPAND_DIMS"))


def all_noted(content: bytes, *, overwritten: bool = True) -> tuple[bytes, int]:
    """The file with what loops make for nobody, and what may be overwritten, as further outputs; how many these are.

    Raises ValueError for such a loop within another or within a branch, where outputs cannot be added.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    # Taking a large file apart takes seconds; reshapes alone write nothing.
    telling = ("WHILE", *(_WRITING if overwritten else ()))
    if not any(holds(content, getattr(schema.BuiltinOperator, kind)) for kind in telling):
        return content, 0
    added = 0

    def read(model: Any) -> None:
        nonlocal added
        main, *inner = model.subgraphs
        if any(_unread(model, graph) for graph in inner):
            raise ValueError(
                "a loop within a loop or branch makes what nobody reads, which ends TFLite's quantizer with SIGSEGV"
            )
        further = [*_unread(model, main), *(_overwritten(model, main) if overwritten else ())]
        main.outputs = [*main.outputs, *further]
        added = len(further)

    return edited(content, read), added


def without_last_outputs(content: bytes, count: int) -> bytes:
    """The file without the last `count` outputs that it has."""

    def drop(model: Any) -> None:
        main = model.subgraphs[0]
        main.outputs = list(main.outputs)[:-count]

    return edited(content, drop) if count else content


def _unread(model: Any, graph: Any) -> list[int]:
    """The results of loops that no operation reads and that are no outputs, as indices of tensors."""
    from tensorflow.lite.python import schema_py_generated as schema

    read = {*graph.outputs, *(index for operation in graph.operators for index in operation.inputs)}
    return [
        index
        for operation in graph.operators
        if kind_of(model, operation) == schema.BuiltinOperator.WHILE
        for index in operation.outputs
        if index not in read
    ]


def _overwritten(model: Any, graph: Any) -> list[int]:
    """The computed floats that an operation may write over, as indices of tensors."""
    from tensorflow.lite.python import schema_py_generated as schema

    in_place = {getattr(schema.BuiltinOperator, kind) for kind in _IN_PLACE}
    computed = {int(index) for operation in graph.operators for index in operation.outputs}
    read = {
        int(index)
        for operation in graph.operators
        if kind_of(model, operation) in in_place
        for index in operation.inputs
    }
    return [
        index
        for index in sorted(read & computed - {int(index) for index in graph.outputs})
        if graph.tensors[index].type == schema.TensorType.FLOAT32
    ]
