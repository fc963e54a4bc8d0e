"""What both clients do alike: ask in batches, and hold every answer against the signature."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, batches, concatenated, sample_count
from pipeline.core.target import Answers

_HINT = "the server answers for another model or version than the artifact; run `tripoint run` again to export it anew"


def in_batches(
    samples: Tensors,
    *,
    batch_size: int,
    signature: Signature,
    server: str,
    ask: Callable[[Tensors], Callable[[], Callable[[], Tensors]]],
) -> Answers:
    """Ask for all samples and time each call.

    `ask` takes a batch and prepares the request; what it gives makes the call, and gives in turn what reads the answer.
    Only the call in the middle is timed. Raises TargetFailed when an answer does not fit the signature.
    """
    missing = sorted(set(signature.input_names) ^ set(samples))
    if missing:
        raise TargetFailed(
            f"{server}: the signature takes {list(signature.input_names)}, the samples hold {sorted(samples)}",
            hint=_HINT,
        )
    parts: list[Tensors] = []
    seconds: list[float] = []
    for batch in batches(samples, batch_size):
        call = ask(batch)
        started = time.perf_counter()
        read = call()
        seconds.append(time.perf_counter() - started)
        answer = read()
        _check(answer, signature, rows=sample_count(batch), server=server)
        parts.append(answer)
    return Answers(outputs=concatenated(parts), call_seconds=np.asarray(seconds, dtype=np.float64))


def _check(answer: Tensors, signature: Signature, *, rows: int, server: str) -> None:
    missing = sorted(set(signature.output_names) - set(answer))
    extra = sorted(set(answer) - set(signature.output_names))
    if missing or extra:
        raise TargetFailed(
            f"{server} answered other outputs than the signature: missing {missing}, extra {extra}", hint=_HINT
        )
    for spec in signature.outputs:
        array = answer[spec.name]
        dtype = "string" if array.dtype == object else array.dtype.name
        if dtype != spec.dtype:
            raise TargetFailed(f"{server}: output {spec.name} came as {dtype}, expected {spec.dtype}", hint=_HINT)
        if array.ndim == 0 or array.shape[0] != rows:
            raise TargetFailed(
                f"{server}: output {spec.name} has shape {list(array.shape)}, expected {rows} rows, one a sample",
                hint=_HINT,
            )
