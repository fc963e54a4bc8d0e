"""Answers beyond the range of a quantized output: the file has no number for them, whatever it computes.

A single one among thousands fails a verdict, and no experiment explains so little: here the file itself says it.
"""

from __future__ import annotations

import numpy as np

from export.tflite_edited import kind_of
from pipeline.core.artifact import Artifact, Format
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import distance
from pipeline.diagnosis.ranges import ends_of
from pipeline.diagnosis.rule import AGREES_WITHIN
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis


def diagnosed_by_range(case: Case, artifact: Artifact) -> Diagnosis:
    """`output_saturated` when every value that differs is cut off where its output's range ends, else the unknown one.

    Reads the TFLite file with TensorFlow's schema.
    """
    unknown = Diagnosis(cause=UNKNOWN, sentence="no value is cut off by the range of its output", tried=1)
    ranges = ranges_of_outputs(artifact)
    said = []
    for name in case.failing or case.differing:
        found = None if name not in ranges else _cut_off(case, name, *ranges[name])
        if found is None:
            return unknown
        low, high = ranges[name]
        said.append(f"`{name}`: {found} of {case.want[name].size} values are beyond {low:.4g} to {high:.4g}")
    sentence = (
        f"{'; '.join(said)}, which is all that the file has: its representative samples went no further. Others are as "
        "near as asked; more samples, or some that go further, widen the range"
    )
    return Diagnosis(cause="output_saturated", sentence=sentence, tried=1) if said else unknown


def ranges_of_outputs(artifact: Artifact) -> dict[str, tuple[float, float]]:
    """The lowest and highest value of each output that is made of integers; of none in other files."""
    if artifact.format is not Format.TFLITE:
        return {}
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(artifact.path.read_bytes(), 0)
    found = {}
    for signature in model.signatureDefs or ():
        graph = model.subgraphs[signature.subgraphIndex]
        made_by = {int(index): operation for operation in graph.operators for index in operation.outputs}
        for output in signature.outputs:
            index = output.tensorIndex
            widened = made_by.get(index)
            if widened is not None and kind_of(model, widened) == schema.BuiltinOperator.DEQUANTIZE:
                index = int(widened.inputs[0])
            ends = ends_of(graph.tensors[index])
            if ends is not None:
                found[output.name.decode()] = ends
    return found


def _cut_off(case: Case, name: str, low: float, high: float) -> int | None:
    """How many values are cut off, or None when that is not all that is wrong with the output."""
    want, got = case.want[name], case.got[name]
    if want.dtype.kind != "f" or got.shape != want.shape or not np.isfinite(want).all() or not np.isfinite(got).all():
        return None
    tolerance = case.tolerances[name]
    differs = np.abs(got - want) > tolerance.atol + tolerance.rtol * np.abs(want)
    half_a_step = (high - low) / 255 / 2
    above, below = (want > high) & (got >= high - half_a_step), (want < low) & (got <= low + half_a_step)
    others_agree = distance(np.clip(want, low, high), got) <= AGREES_WITHIN * case.allowed[name]
    cut = int(differs.sum())
    return cut if cut > 0 and not (differs & ~above & ~below).any() and others_agree else None
