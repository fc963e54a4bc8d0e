"""TensorFlow Serving's batching parameters, checked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from serving.embedded.status import invalid


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchingOptions:
    """TensorFlow Serving's batching parameters, with its defaults."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    split_large: bool = False
    max_execution_batch_size: int

    @classmethod
    def from_proto(cls, proto: Any, *, cpus: int) -> BatchingOptions:
        """The options of a BatchingParameters message. Raises ServingError where they contradict one another."""

        def value(name: str, default: int) -> int:
            given = int(getattr(proto, name).value) if proto.HasField(name) else default
            if given < (0 if name == "batch_timeout_micros" else 1):
                raise invalid(f"{name} must be positive; was {given}")
            return given

        largest = value("max_batch_size", 1000)
        split = proto.enable_large_batch_splitting.value
        execution = value("max_execution_batch_size", largest)
        if execution > largest:
            raise invalid(f"max_execution_batch_size ({execution}) must not exceed max_batch_size ({largest})")
        allowed = tuple(int(size) for size in proto.allowed_batch_sizes)
        if any(later <= earlier for earlier, later in pairwise(allowed)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")
        last = execution if split else largest
        if allowed and allowed[-1] != last:
            raise invalid(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{allowed[-1]}; expected {last}"
            )
        return cls(
            max_batch_size=largest,
            batch_timeout_micros=value("batch_timeout_micros", 0),
            max_enqueued_batches=value("max_enqueued_batches", 10),
            num_batch_threads=value("num_batch_threads", cpus),
            allowed_batch_sizes=allowed,
            pad_variable_length_inputs=proto.pad_variable_length_inputs,
            split_large=split,
            max_execution_batch_size=execution if split else largest,
        )

    def padded_size(self, size: int) -> int:
        """The smallest allowed size that holds so many rows."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)
