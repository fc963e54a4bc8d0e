"""What samples of a model have to look like, and how many of them fit its batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.signature import Signature, TensorSpec

OPEN_SIZE = 32
"""The size that an open dimension other than the batch gets in synthetic samples, where the model takes it."""

_MANY = 64
_FEW = 16
_LARGE_SAMPLE_ELEMENTS = 1 << 14


def fixed_batch(inputs: Sequence[TensorSpec]) -> int | None:
    """The batch size that the inputs are fixed at, or None when it varies.

    Raises ModelFailed when an input has no batch dimension, or two inputs have different ones: then there is no such
    thing as a sample.
    """
    scalars = [spec.name for spec in inputs if not spec.shape]
    if scalars:
        raise ModelFailed(
            f"input {', '.join(f'`{name}`' for name in scalars)} is one number for the whole batch, not one a sample",
            hint="give it a first dimension that counts samples, or make it a constant of the model",
        )
    firsts = {spec.name: spec.shape[0] for spec in inputs}
    if len(set(firsts.values())) > 1:
        raise ModelFailed(
            f"the inputs' first dimensions differ, so that they do not count samples: {firsts}",
            hint="export a signature whose inputs all have the same batch dimension",
        )
    return next(iter(firsts.values()), None)


def sample_shapes(
    inputs: Sequence[TensorSpec], asked: Mapping[str, Sequence[int]], *, open_size: int = OPEN_SIZE
) -> dict[str, tuple[int, ...]]:
    """The shape of one sample of each input: what was asked for it, else `open_size` for each open dimension.

    Raises UsageError when the shape asked for is not one that the signature allows.
    """
    check_names(asked, inputs, what="--shape")
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in inputs:
        own = spec.shape[1:]
        if spec.name in asked:
            sizes = tuple(asked[spec.name])
            if len(sizes) != len(own) or any(o not in (None, size) for o, size in zip(own, sizes, strict=True)):
                raise UsageError(
                    f"--shape {spec.name}: a sample of it is {shown_shape(own)}, not {shown_shape(sizes)}",
                    hint="name as many sizes as that has, and change only those that are open (`?`)",
                )
            shapes[spec.name] = sizes
        else:
            shapes[spec.name] = tuple(open_size if size is None else size for size in own)
    return shapes


def default_count(shapes: Mapping[str, Sequence[int]], batch: int | None) -> int:
    """How many samples are asked where nobody says: 64, 16 of large ones, and whole batches of a fixed size."""
    return whole_batches(_FEW if are_large(shapes) else _MANY, batch)


def are_large(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether samples of these shapes are so large that a few of them have to do."""
    return sum(math.prod(shape) for shape in shapes.values()) > _LARGE_SAMPLE_ELEMENTS


def whole_batches(count: int, batch: int | None) -> int:
    """The count, rounded up to a multiple of the fixed batch size."""
    return count if batch is None else -(-count // batch) * batch


def check_names(given: Mapping[str, object], inputs: Sequence[TensorSpec], *, what: str) -> None:
    """Raise UsageError when something is given for what is no input."""
    known = [spec.name for spec in inputs]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"{what}: the model has no input {', '.join(f'`{name}`' for name in unknown)}",
            hint=f"its inputs are {described(inputs)}",
        )


def described(inputs: Sequence[TensorSpec]) -> str:
    """`image` float32 [8, 8, 1], `word` int32 [?]: names, types and the shape of one sample."""
    return ", ".join(f"`{spec.name}` {spec.dtype} {shown_shape(spec.shape[1:])}" for spec in inputs)


def shown_shape(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def batch_sizes_for(signature: Signature, asked: Sequence[int]) -> tuple[int, ...]:
    """The batch sizes that can run: those asked for, or the only one that the signature is fixed at."""
    return tuple(asked) if signature.fixed_batch is None else (signature.fixed_batch,)
