"""A check against a golden judges as the run did that the golden is of, whatever is answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipeline import golden_check, portable_golden
from pipeline.cells import Cell
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.errors import UsageError
from pipeline.core.target import Runtime, Target
from pipeline.golden import Golden, load, save
from pipeline.portable_golden import PortableGolden, facts_of
from tests.unit.pipeline.parity.answers import PROPERTY
from tests.unit.pipeline.parity.report.conftest import LABELS, SIGNATURE, recorded, reference, report_of, row

SAMPLES = np.random.default_rng(0).random((12, 4, 4, 1), dtype=np.float32)
LINES = ((Format.TFLITE, Precision.FLOAT16), (Format.TFLITE, Precision.INT8), (Format.TFJS, Precision.FLOAT32))


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> PortableGolden:
    """As it comes back from its file."""
    rows = tuple(row(f"target {at}", *line, recorded(reference())) for at, line in enumerate(LINES))
    file = tmp_path_factory.mktemp("golden") / "tiny.safetensors"
    portable_golden.save(
        PortableGolden(
            golden=Golden(inputs={"image": SAMPLES}, reference={"scores": reference()}, labels=LABELS),
            facts=facts_of(report_of(rows, SAMPLES)),
        ),
        file,
    )
    return portable_golden.load(file)


def checked(portable: PortableGolden, line: tuple[Format, Precision], *scores: NDArray[Any]) -> Any:
    kind, precision = line
    target = Target(name="device", consumes=kind, runtime=cast("Runtime", None), variant="")
    artifact = Artifact(
        model="tiny", format=kind, precision=precision, path=Path("artifact"), signature=SIGNATURE,
        digest="ab" * 32, made_from="cd" * 32, size_bytes=27_000,
    )  # fmt: skip
    cell = Cell(target=target, precision=precision, artifact_step="")
    return golden_check._row(cell, recorded(*scores), artifact, portable)


@PROPERTY
@given(
    line=st.sampled_from(LINES),
    noise=arrays.arrays(np.float32, (12, 3), elements=st.floats(-1, 1, width=32)),
    size=st.sampled_from([0.0, 1e-7, 1e-4, 1e-2, 1.0]),
    odd=st.sampled_from([None, np.nan, np.inf, -np.inf]),
    at=st.integers(0, 11),
)
def test_the_verdict_is_that_of_the_run(
    portable: PortableGolden,
    *,
    line: tuple[Format, Precision],
    noise: NDArray[np.float32],
    size: float,
    odd: float | None,
    at: int,
) -> None:
    """Otherwise a device could pass later what failed at the desk, or the other way round."""
    large_batches = reference() + noise * np.float32(size)
    if odd is not None:
        large_batches[at, at % 3] = odd
    own = row("device", *line, recorded(reference(), large_batches))
    found = checked(portable, line, reference(), large_batches)
    # As JSON, where NaN equals itself.
    assert msgspec.json.encode(found.status) == msgspec.json.encode(own.status)
    assert found.tolerances == own.tolerances
    assert msgspec.json.encode(found.comparison) == msgspec.json.encode(own.comparison)


def test_a_line_that_the_golden_has_no_tolerances_for_is_refused(portable: PortableGolden) -> None:
    """Otherwise a device would be judged by general bounds without anybody being told."""
    with pytest.raises(UsageError, match=r"no tolerances for tflite/dynamic, only for tflite/float16, tflite/int8"):
        checked(portable, (Format.TFLITE, Precision.DYNAMIC), reference())


KINDS = st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.bool_])


@PROPERTY
@given(data=st.data())
def test_every_bit_of_a_golden_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Otherwise a NaN, a minus zero or a shape of no samples would be another reference on the device."""
    shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)
    inputs, wanted = (data.draw(KINDS.flatmap(lambda kind: arrays.arrays(kind, shapes))) for _ in range(2))
    file = tmp_path_factory.mktemp("bits") / "golden.safetensors"
    save(Golden(inputs={"x": inputs}, reference={"y": wanted}, labels=None), file)
    again = load(file)
    for one, other in ((again.inputs["x"], inputs), (again.reference["y"], wanted)):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
