"""Loops in a TFLite file that is about to be calibrated: all that a loop gives has to be read, or the process ends.

TFLite's calibration notes the values of every float tensor that an operation makes. What a WHILE makes for nobody has
no memory (TensorFlow 2.21), and reading there is a SIGSEGV, in `MinMax::Update`. Every recurrent layer has such
results: the last state, the inputs that were handed round. So they become outputs while the model is calibrated.
"""

from __future__ import annotations

from typing import Any

from export.tflite_edited import edited, holds


def loops_read(content: bytes) -> tuple[bytes, int]:
    """The file with whatever its loops make for nobody as further outputs, and how many these are.

    Raises ValueError for such a loop within another or within a branch, where outputs cannot be added.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    if not holds(content, schema.BuiltinOperator.WHILE):
        return content, 0
    added = 0

    def read(model: Any) -> None:
        nonlocal added
        main, *inner = model.subgraphs
        if any(_unread(model, graph) for graph in inner):
            raise ValueError(
                "a loop within a loop or branch makes what nobody reads, which ends TFLite's quantizer with SIGSEGV"
            )
        unread = _unread(model, main)
        main.outputs = [*main.outputs, *unread]
        added = len(unread)

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
        if model.operatorCodes[operation.opcodeIndex].builtinCode == schema.BuiltinOperator.WHILE
        for index in operation.outputs
        if index not in read
    ]
