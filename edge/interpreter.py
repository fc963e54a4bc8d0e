"""A TFLite file in one of the two runtimes: asked by signature name, and honest about the delegate that applied."""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.quantization import Unquantizable, quantized

# Distribution on PyPI -> module with its Interpreter.
LIBRARIES = {
    "tflite-runtime": ("tflite_runtime", "tflite_runtime.interpreter"),
    "litert": ("ai-edge-litert", "ai_edge_litert.interpreter"),
}
KEEPS_TO_FIRST_BATCH = "this file keeps to the size of the first batch here"


class Refused(Exception):
    """A request that this model cannot answer, or a file that this runtime does not take."""


class Library:
    """The runtime of this process. There is one only: the two do not live well beside each other."""

    def __init__(self, name: str) -> None:
        distribution, module = LIBRARIES[name]
        self.name = name
        self.version = importlib.metadata.version(distribution)
        self._interpreter = importlib.import_module(module).Interpreter

    def load(self, content: bytes, *, signature: str, threads: int, in_integers: bool) -> LoadedModel:
        """Load the bytes of a `.tflite` file. Raises Refused when the runtime does not take them.

        `in_integers` says that its int8 inputs and outputs stand for float32, by scales and zero points in the file.
        """
        try:
            interpreter = self._loaded(content, threads)
            signatures = interpreter.get_signature_list()
            if signature not in signatures:
                raise Refused(f"the file has the signatures {sorted(signatures)}, not `{signature}`")
            interpreter.allocate_tensors()
            return LoadedModel(
                interpreter, signature, in_integers=in_integers, anew=lambda: self._loaded(content, threads)
            )
        except (RuntimeError, ValueError) as error:
            raise Refused(f"the file does not load: {error}") from error

    def _loaded(self, content: bytes, threads: int) -> Any:
        return self._interpreter(model_content=content, num_threads=threads)


class LoadedModel:
    """One signature of a file that is loaded. It takes and gives float32 for what the file has `in_integers`.

    `anew` loads the file once more, to find out why the runtime fails where it does not say so.
    """

    def __init__(
        self, interpreter: Any, signature: str, *, in_integers: bool = False, anew: Callable[[], Any] | None = None
    ) -> None:
        self._interpreter = interpreter
        self._signature = signature
        self._anew = anew
        self._call = interpreter.get_signature_runner(signature)
        self._inputs: Mapping[str, Mapping[str, Any]] = self._call.get_input_details()
        self._outputs: Mapping[str, Mapping[str, Any]] = self._call.get_output_details()
        self._quantized_inputs = quantized(self._inputs) if in_integers else {}
        self._quantized_outputs = quantized(self._outputs) if in_integers else {}

    def signature(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Inputs and outputs by name, each with its dtype and its shape (None where a dimension varies)."""
        return {
            "inputs": {name: _spec(details, name in self._quantized_inputs) for name, details in self._inputs.items()},
            "outputs": {
                name: _spec(details, name in self._quantized_outputs) for name, details in self._outputs.items()
            },
        }

    def integers(self) -> str:
        """What is converted on the way in and out: `image (scale 0.0039, zero point -128)`; empty when nothing is."""
        return ", ".join(
            f"{name} ({quantization.shown})"
            for name, quantization in {**self._quantized_inputs, **self._quantized_outputs}.items()
        )

    def run(
        self, samples: Mapping[str, NDArray[Any]], *, batch_size: int, after_each_batch: Callable[[], None]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
        """Answers to all samples, one row a sample, and the seconds of each batch; the last one may be shorter.

        A file that takes one sample at a time is asked row by row.

        Raises Refused for inputs that are not the signature's, and when a batch is answered with other than its rows.
        """
        count = self._checked_count(samples)
        answers: list[dict[str, NDArray[Any]]] = []
        seconds: list[float] = []
        for start in range(0, count, batch_size):
            end = min(start + batch_size, count)
            step = 1 if self._takes_one() else batch_size
            batch_seconds = 0.0
            for first in range(start, end, step):
                rows = slice(first, min(first + step, end))
                batch = {name: array[rows] for name, array in samples.items()}
                self._check_shapes(batch)
                self._quantize(batch)
                started = time.perf_counter()
                answer = self._invoke(batch)
                batch_seconds += time.perf_counter() - started
                for name, quantization in self._quantized_outputs.items():
                    answer[name] = quantization.values(answer[name])
                _check_rows(answer, rows.stop - rows.start)
                answers.append(answer)
            seconds.append(batch_seconds)
            after_each_batch()
        joined = {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
        return joined, np.array(seconds)

    def delegate(self) -> str:
        """What runs the operations as the graph is planned now: `XNNPACK for 9 of 10 operations`, or plain kernels.

        Replaced operations stay in the runtime's list, so it is walked back from the outputs.
        """
        operations = self._interpreter._get_ops_details()  # noqa: SLF001  # no other way to see it
        originals = [operation for operation in operations if operation["op_name"] != "DELEGATE"]
        # Delegates come later in the list, and so take the place of the operations that they replace.
        maker = {int(tensor): operation for operation in operations for tensor in operation["outputs"]}
        wanted = [int(details["index"]) for details in self._outputs.values()]
        planned: dict[int, Any] = {}
        while wanted:
            operation = maker.get(wanted.pop())
            if operation is not None and operation["index"] not in planned:
                planned[operation["index"]] = operation
                wanted.extend(int(tensor) for tensor in operation["inputs"])
        plain = sum(operation["op_name"] != "DELEGATE" for operation in planned.values())
        if plain == len(planned):
            return f"none: plain kernels for all {len(originals)} operations"
        return f"XNNPACK for {len(originals) - plain} of {len(originals)} operations"

    def _takes_one(self) -> bool:
        """True for a file made for one sample: a larger batch is then asked row by row."""
        sizes = {shape[0] if (shape := _shape(details)) else None for details in self._inputs.values()}
        return sizes == {1}

    def _quantize(self, batch: dict[str, NDArray[Any]]) -> None:
        for name, quantization in self._quantized_inputs.items():
            try:
                batch[name] = quantization.integers(batch[name])
            except Unquantizable as error:
                raise Refused(f"input `{name}` {error}") from error

    def _invoke(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            return dict(self._call(**batch))
        except (RuntimeError, ValueError) as error:
            shapes = {name: array.shape for name, array in batch.items()}
            reason = str(error).strip() or self._reason_not_given(batch)
            raise Refused(f"the runtime failed on inputs of shape {shapes}: {reason}") from error

    def _reason_not_given(self, batch: Mapping[str, NDArray[Any]]) -> str:
        """What can be found out where the runtime gives no reason, as tflite-runtime's XNNPACK does not."""
        unsaid = "it gives no reason"
        if self._anew is None:
            return unsaid
        interpreter = self._anew()
        try:
            for name, array in batch.items():
                interpreter.resize_tensor_input(self._inputs[name]["index"], array.shape)
            interpreter.allocate_tensors()
            interpreter.get_signature_runner(self._signature)(**batch)
        except (RuntimeError, ValueError) as error:
            return f"{unsaid}, and fails where it is asked this first, too{f': {error}' if str(error).strip() else ''}"
        return f"{unsaid}, and answers where it is asked this first: {KEEPS_TO_FIRST_BATCH}"

    def _checked_count(self, samples: Mapping[str, NDArray[Any]]) -> int:
        if samples.keys() != self._inputs.keys():
            raise Refused(f"the inputs are {sorted(self._inputs)}, given were {sorted(samples)}")
        for name, array in samples.items():
            want = np.dtype(np.float32 if name in self._quantized_inputs else self._inputs[name]["dtype"])
            if _dtype_name(array.dtype) != _dtype_name(want):
                raise Refused(f"input `{name}` is {_dtype_name(want)}, given was {_dtype_name(array.dtype)}")
        counts = {array.shape[0] if array.ndim else 0 for array in samples.values()}
        if len(counts) != 1 or counts == {0}:
            raise Refused(f"the inputs hold no samples, or not the same number of them: {sorted(counts)}")
        return int(counts.pop())

    def _check_shapes(self, batch: Mapping[str, NDArray[Any]]) -> None:
        # A runtime resizes itself to whatever it is given, and then answers nonsense or ends the process.
        for name, array in batch.items():
            want = _shape(self._inputs[name])
            if len(want) != array.ndim or any(w not in (None, got) for w, got in zip(want, array.shape, strict=True)):
                raise Refused(f"input `{name}` is of shape {want}, given was {list(array.shape)}")


def _check_rows(answer: Mapping[str, NDArray[Any]], count: int) -> None:
    for name, array in answer.items():
        if array.ndim == 0 or len(array) != count:
            raise Refused(f"output `{name}` is of shape {list(array.shape)} for a batch of {count}")


def _spec(details: Mapping[str, Any], converted: bool) -> dict[str, Any]:  # noqa: FBT001  # reads as a word
    dtype = "float32" if converted else _dtype_name(np.dtype(details["dtype"]))
    return {"dtype": dtype, "shape": _shape(details)}


def _shape(details: Mapping[str, Any]) -> list[int | None]:
    return [None if size < 0 else int(size) for size in details["shape_signature"]]


def _dtype_name(dtype: np.dtype[Any]) -> str:
    """NumPy's name, and `string` for text: the runtimes say that it is `bytes`, and take and give objects."""
    return "string" if dtype.kind in "OSU" else dtype.name
