"""A calibrated TFLite file's subgraph, for those who look for what its quantizer gets wrong: ranges, readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from export.tflite_edited import indices, name_of_kind

STEPS = 255


@dataclass(frozen=True)
class CalibratedGraph:
    """One subgraph with its readers."""

    model: Any
    graph: Any

    def operations(self) -> Iterator[Any]:
        """Those that make something."""
        return (one for one in self.graph.operators or () if indices(one.outputs))

    def made(self, operation: Any) -> int:
        """The first tensor that it makes."""
        return int(operation.outputs[0])

    def floats_read(self, operation: Any) -> list[int]:
        """Those of its inputs that have a range."""
        return [index for index in indices(operation.inputs) if self.width(index)]

    def name_of(self, operation: Any) -> str:
        """The name of what it makes."""
        name: bytes = self.graph.tensors[self.made(operation)].name
        return name.decode()

    def kind(self, operation: Any) -> str:
        """The builtin operator's name."""
        return name_of_kind(self.model, operation)

    def maker(self, index: int) -> Any | None:
        """The operation that makes the tensor; None for constants and inputs."""
        return self._makers.get(index)

    def readers(self, index: int) -> int:
        """How many operations read the tensor, the file's outputs among them."""
        return self._readers[index]

    def is_constant(self, index: int) -> bool:
        held = self.model.buffers[self.graph.tensors[index].buffer].data
        return held is not None and len(held) > 0

    def ends(self, index: int) -> tuple[float, float]:
        """The ends of the tensor's range, zero within it; both 0 for what is no float or has no range."""
        from tensorflow.lite.python import schema_py_generated as schema

        tensor = self.graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.type != schema.TensorType.FLOAT32:
            return 0.0, 0.0
        if self.is_constant(index):
            held = self.model.buffers[tensor.buffer].data
            values = np.frombuffer(np.asarray(held, np.uint8).tobytes(), np.float32)
            ends = values.min(), values.max()
        else:
            found = tensor.quantization
            if found is None or found.min is None or found.max is None or not len(found.min):
                return 0.0, 0.0
            ends = np.min(found.min), np.max(found.max)
        return float(min(ends[0], 0.0)), float(max(ends[1], 0.0))

    def width(self, index: int) -> float:
        """How wide the tensor's range is, zero within it; 0 for what is no float or has no range."""
        lowest, highest = self.ends(index)
        return highest - lowest

    @cached_property
    def _makers(self) -> dict[int, Any]:
        return {index: one for one in self.operations() for index in indices(one.outputs)}

    @cached_property
    def _readers(self) -> Counter[int]:
        readers = Counter(indices(self.graph.outputs))
        for operation in self.graph.operators or ():
            readers.update(set(indices(operation.inputs)))
        return readers
