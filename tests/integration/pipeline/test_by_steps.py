"""What rounding to integers and halves does to answers, found in real files of TFLite."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from export.tflite_edited import edited
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Tensors
from pipeline.diagnosis.by_halves import diagnosed_by_halves
from pipeline.diagnosis.by_steps import answered, diagnosed_by_integers, diagnosed_by_steps
from pipeline.diagnosis.case import Case
from pipeline.parity.diagnosis import UNKNOWN
from pipeline.parity.tolerances import line_of
from tests.integration.exported import export, tflite

_SECONDS = 60.0
_BEYOND = 7
"""The sample that the representative ones know nothing like."""


@pytest.fixture(scope="module", autouse=True)
def _seeded() -> None:
    import keras

    keras.utils.set_random_seed(0)


class Made:
    """A model of five numbers, its files, and what they answer to samples of which one is beyond the representative."""

    def __init__(
        self, folder: Path, build: Callable[[Any], Any], samples: np.ndarray[Any, Any], precision: Precision
    ) -> None:
        import keras

        x = keras.Input((5,), name="x")
        model = keras.Model(x, build(x))
        representative = samples.copy()
        representative[_BEYOND] = representative[_BEYOND - 1]
        given = {"x": representative}
        source = export(model, folder / "net", samples=given, answers={"y": model.predict(representative, verbose=0)})
        self.exact = tflite(source, folder / "files", Precision.FLOAT32)
        self.made = tflite(source, folder / "files", precision)
        self.inputs: Tensors = {"x": samples}
        self.want = np.asarray(model.predict(samples, verbose=0))

    def case(self, got: np.ndarray[Any, Any] | None = None, *, atol: float = 0.02) -> Case:
        """With what the file answers, or other answers."""
        given = answered(self.made.path.read_bytes(), self.inputs, 1)["y"] if got is None else got
        line = line_of(Format.TFLITE, self.made.precision)
        tolerance = msgspec.structs.replace(line, atol=atol, rtol=0.0)
        return Case(
            inputs=self.inputs,
            want={"y": self.want},
            answers={1: {"y": given}},
            tolerances={"y": tolerance},
            failing=frozenset("y"),
        )

    def damaged(self) -> Artifact:
        """The file with a weight that is another."""
        path = self.made.path.with_name("damaged.tflite")
        path.write_bytes(edited(self.made.path.read_bytes(), _damage))
        return replace(self.made, path=path)


def _damage(model: Any) -> None:
    largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    largest.data = np.roll(np.asarray(largest.data), 8)


def _numbers(rows: int = 40) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(-1, 1, (rows, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Rows of very different sizes, each divided by its own: the reciprocal's steps are those of the smallest."""
    import keras

    def build(x: Any) -> Any:
        return x * keras.ops.rsqrt(keras.ops.mean(x * x, axis=-1, keepdims=True) + 1e-4)

    samples = _numbers()
    samples[::4] *= 0.02
    return Made(tmp_path_factory.mktemp("normalized"), build, samples, Precision.INT8)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A sum before a tanh; in one sample it is larger than the range that the file has for it."""
    import keras

    def build(x: Any) -> Any:
        summed = keras.layers.Dense(1, kernel_initializer="ones", name="summed")(x)
        return keras.layers.Dense(1, kernel_initializer="ones")(keras.ops.tanh(summed * 0.5))

    samples = _numbers() * 0.2
    samples[_BEYOND] = 0.9
    return Made(tmp_path_factory.mktemp("bounded"), build, samples, Precision.INT8)


def test_steps_that_are_too_coarse_are_named_with_their_tensor(normalized: Made) -> None:
    """`no known cause fits` sends people looking for a fault in a file that rounds as it says."""
    found = diagnosed_by_steps(normalized.case(), normalized.made, normalized.exact, _SECONDS)
    assert found.cause == "steps_too_coarse"
    assert "without them it is right; most comes of the 256 steps of `" in found.sentence
    # What is below a step of the sum under the root is zero.
    assert re.search(r"of `functional\w*/[Aa]dd` \(0 to 0\.\d+\)", found.sentence)


def test_a_range_that_ends_too_early_within_the_model_is_named(bounded: Made) -> None:
    """More samples mend it, where finer steps would not; models without a Keras file had no such diagnosis."""
    found = diagnosed_by_steps(bounded.case(), bounded.made, bounded.exact, _SECONDS)
    assert found.cause == "range_too_small"
    assert "most is cut off at the range of `" in found.sentence
    assert diagnosed_by_steps(bounded.case(), bounded.made, None, _SECONDS).cause == "range_too_small"


def test_a_damaged_weight_is_not_put_down_to_the_steps(bounded: Made) -> None:
    """Of every quantized file one could say that it rounds."""
    damaged = bounded.damaged()
    case = bounded.case(answered(damaged.path.read_bytes(), bounded.inputs, 1)["y"] - 0.5)
    assert diagnosed_by_steps(case, damaged, bounded.exact, _SECONDS).cause == UNKNOWN


def test_a_target_that_makes_something_else_of_a_right_file_is_told_from_the_file(tmp_path: Path) -> None:
    """A runtime's fault would be looked for in the model and its conversion."""
    import keras

    right = Made(tmp_path, lambda x: keras.ops.tanh(keras.layers.Dense(2)(x)), _numbers(), Precision.INT8)
    case = right.case()
    # As sums of integers do that wrap around.
    case = right.case(np.where(case.got["y"] > 0.3, case.got["y"] - 1, case.got["y"]))
    assert diagnosed_by_steps(case, right.made, right.exact, _SECONDS).cause == UNKNOWN
    found = diagnosed_by_integers(case, right.made, right.exact, _SECONDS)
    assert found.cause == "integer_kernels"
    assert "`y`: the file is right: computed in floats" in found.sentence


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FLOAT16])
def test_whole_numbers_that_rounding_moves_over_an_edge_are_explained(tmp_path: Path, precision: Precision) -> None:
    """Integers have to be equal, and in 8 bits some never are: nothing was wrong with the file, and nobody said so."""
    import keras

    made = Made(tmp_path, lambda x: keras.ops.cast(keras.layers.Dense(8)(x) * 100, "int32"), _numbers(200), precision)
    case = made.case()
    assert (case.got["y"] != case.want["y"]).any()
    if precision is Precision.INT8:
        found = diagnosed_by_steps(case, made.made, made.exact, _SECONDS)
        assert found.cause in ("weights_rounded", "steps_too_coarse")
        assert diagnosed_by_steps(case, made.damaged(), made.exact, _SECONDS).cause == UNKNOWN
    else:
        found = diagnosed_by_halves(case, made.made, made.exact)
        assert found.cause == "weights_rounded"
        assert diagnosed_by_halves(case, made.damaged(), made.exact).cause == UNKNOWN
    assert found.error_after == 0
