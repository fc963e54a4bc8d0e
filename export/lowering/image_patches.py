"""ExtractImagePatches as slices side by side: neither TF.js nor TFLite has it. Vision transformers ask for it."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shape = body.shape(body.inputs(node)[0])
    if shape is None or None in shape[1:]:
        return False
    sizes, strides, rates = (list(node.attr[key].list.i)[1:3] for key in ("ksizes", "strides", "rates"))
    same = node.attr["padding"].s == b"SAME"
    spans = [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]
    given = [int(size or 0) for size in shape[1:3]]
    counts = [
        -(-size // stride) if same else (size - span) // stride + 1
        for size, stride, span in zip(given, strides, spans, strict=True)
    ]
    missing = [
        max(0, (count - 1) * stride + span - size) if same else 0
        for count, stride, span, size in zip(counts, strides, spans, given, strict=True)
    ]

    def sliced(x: Any) -> Any:
        padded = (
            tf.pad(x, [[0, 0], *[[lack // 2, lack - lack // 2] for lack in missing], [0, 0]]) if any(missing) else x
        )
        places = [(row * rates[0], column * rates[1]) for row in range(sizes[0]) for column in range(sizes[1])]
        ends = [(count - 1) * stride + 1 for count, stride in zip(counts, strides, strict=True)]
        return tf.concat(
            [
                padded[:, row : row + ends[0] : strides[0], column : column + ends[1] : strides[1], :]
                for row, column in places
            ],
            axis=-1,
        )

    body.replace(node, sliced)
    return True


IMAGE_PATCHES = Lowering(
    name="image_patches",
    operations=frozenset({"ExtractImagePatches"}),
    becomes="slices side by side",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
