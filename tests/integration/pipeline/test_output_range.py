"""An answer beyond the range that a quantized file has for it, read from a real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.runtime import EdgeProcess
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.output_range import diagnosed_by_range, ranges_of_outputs
from pipeline.parity.diagnosis import UNKNOWN
from pipeline.parity.tolerances import line_of
from tests.integration.exported import Exported, export, tflite

_TOGETHER = 30
"""The sample whose two inputs are large at once, which no representative one is."""


@pytest.fixture(scope="module")
def summed(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The sum of two numbers, of which one at a time is large."""
    import keras

    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(x))
    values = np.random.default_rng(0).uniform(-1, 1, (60, 2)).astype(np.float32)
    values[::2, 0] *= 0.05
    values[1::2, 1] *= 0.05
    samples = {"x": values}
    folder = tmp_path_factory.mktemp("summed")
    return export(model, folder, samples=samples, answers={"y": model.predict(values, verbose=0)})


@pytest.fixture(scope="module")
def made(summed: Exported, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tflite(summed, tmp_path_factory.mktemp("files"), Precision.INT8)


@pytest.fixture(scope="module")
def case(summed: Exported, made: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """What LiteRT answers, with one sample that leaves the range."""
    values = summed.samples["x"].copy()
    values[_TOGETHER] = (0.9, 0.9)
    with (
        EdgeProcess(library="litert").boot(tmp_path_factory.mktemp("edge")) as session,
        session.load(made, "") as runner,
    ):
        got = runner.run({"x": values}, batch_size=7).outputs
    want = {"y": values.sum(axis=1, keepdims=True)}
    tolerance = msgspec.structs.replace(line_of(Format.TFLITE, Precision.INT8), atol=0.05, rtol=0.0)
    return Case(inputs={"x": values}, want=want, answers={7: got}, tolerances={"y": tolerance}, failing=frozenset("y"))


def test_the_value_that_is_cut_off_is_told_with_the_range_of_the_file(case: Case, made: Artifact) -> None:
    """`no known cause fits` sends people looking for a fault, where more samples are what is needed."""
    (low, high) = ranges_of_outputs(made)["y"]
    found = diagnosed_by_range(case, made)
    assert found.cause == "output_saturated"
    assert f"`y`: 1 of 60 values are beyond {low:.4g} to {high:.4g}" in found.sentence
    assert high < 1.1


def test_another_error_is_not_put_down_to_the_range(case: Case, made: Artifact) -> None:
    """A fault beside a value that is cut off would go unnoticed."""
    got = case.got["y"].copy()
    got[0] += 0.3
    assert diagnosed_by_range(replace(case, answers={7: {"y": got}}), made).cause == UNKNOWN


def test_errors_within_the_range_are_none_of_it(case: Case, made: Artifact) -> None:
    """Every quantized file has an end, and not every error is there."""
    inside = {"y": np.delete(case.want["y"], _TOGETHER, axis=0)}
    wrong = {"y": np.delete(case.got["y"], _TOGETHER, axis=0) * 0.5}
    assert diagnosed_by_range(replace(case, want=inside, answers={7: wrong}), made).cause == UNKNOWN


def test_a_file_of_floats_has_no_such_range(summed: Exported, tmp_path: Path) -> None:
    """Else every largest value of it would be one that is cut off."""
    assert ranges_of_outputs(tflite(summed, tmp_path, Precision.FLOAT32)) == {}
