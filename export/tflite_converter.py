"""TFLite's converter without what it does beside converting, which is more than half of its time on a large model.

`tf.lite.TFLiteConverter` loads a SavedModel twice in Python before its own C++ importer loads it a third time, and
afterwards makes Python objects of the whole file twice over: to drop constants that are there twice, and to write a
line about itself. Here nothing is loaded in Python, and the file is taken apart only when it holds a constant twice.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from export.tflite_loops import all_noted, without_last_outputs

# Below this a constant that is there twice is not worth taking the file apart for.
_WORTH_BYTES = 1024


def tflite_converter(saved_model: Path, signature_name: str, *, lowering: bool = True) -> Any:
    """What `tf.lite.TFLiteConverter.from_saved_model` gives for one signature; `convert()` returns the same model."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.lite.python import lite
    from tensorflow.lite.python.convert import deduplicate_readonly_buffers

    class Converter(lite.TFLiteSavedModelConverterV2):  # type: ignore[misc]  # TensorFlow ships no types
        def convert(self) -> bytes:
            content = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
            result: bytes = self._convert_from_saved_model(content.meta_graphs[0].graph_def)
            return result

        def _optimize_tflite_model(self, model: bytes, *args: Any, **kwargs: Any) -> bytes:
            # Read there for one thing only: whether to take the file apart.
            self._experimental_use_buffer_offset = True
            read, further = all_noted(model, overwritten=lowering) if self._experimental_calibrate_only else (model, 0)
            optimized: bytes = super()._optimize_tflite_model(read, *args, **kwargs)
            optimized = without_last_outputs(optimized, further)
            return deduplicate_readonly_buffers(optimized) if _holds_twice(optimized) else optimized

    return Converter(str(saved_model), {"serve"}, [signature_name])


def _holds_twice(content: bytes) -> bool:
    """True when two constants of the model are equal, and large enough to matter."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    alike = defaultdict(list)
    for position in range(model.BuffersLength()):
        length = model.Buffers(position).DataLength()
        if length >= _WORTH_BYTES:
            alike[length].append(position)
    for positions in alike.values():
        seen: set[bytes] = set()
        for position in positions if len(positions) > 1 else ():
            data = model.Buffers(position).DataAsNumpy().tobytes()
            if data in seen:
                return True
            seen.add(data)
    return False
