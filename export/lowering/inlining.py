"""Functions that insist on staying apart are let go, so that converters put their bodies where they are called.

`tf.function(jit_compile=True)` and `experimental_implements` mark a function so; Keras compiles a few activations.
TF.js has no calls, and TFLite fails on some.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_MARKS = ("_XlaMustCompile", "_noinline", "_XlaScope", "_implements", "api_implements")


def _rewrite(body: Body, node: Any) -> bool:
    marks = [mark for mark in _MARKS if mark in node.attr]
    for mark in marks:
        del node.attr[mark]
    return body.unmark(str(node.attr["f"].func.name), _MARKS) or bool(marks)


INLINING = Lowering(
    name="inlining",
    operations=frozenset({"PartitionedCall", "StatefulPartitionedCall"}),
    becomes="the function's own operations",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
