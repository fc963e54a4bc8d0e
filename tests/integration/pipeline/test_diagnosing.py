"""A search for causes ends in time, whatever the model is: a verdict must not wait for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pytest

from pipeline import diagnosing
from pipeline.config import Config
from pipeline.core.artifact import Format, Precision
from pipeline.core.progress import nobody
from pipeline.diagnosis import weights
from pipeline.diagnosis.artifact_weights import Held
from pipeline.diagnosis.by_model import Surroundings, diagnosed_by_model
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.graph import Graph
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis
from pipeline.parity.tolerances import line_of
from pipeline.workers import workers

pytestmark = pytest.mark.filterwarnings("ignore")

_FOUND = Diagnosis(cause="input_scale", sentence="the input is twice what it should be")
_BY_ANSWERS = Diagnosis(cause=UNKNOWN, sentence="no known cause fits", tried=7)


def test_an_experiment_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tripoint run` hung for good on a ConvNeXt, with every answer recorded already. The next row is looked at."""
    monkeypatch.setattr(diagnosing, "_GRACE_SECONDS", 0.5)
    with workers(logs=tmp_path, observer=nobody) as crew:
        config = Config(folder=str(tmp_path))
        search = diagnosing._Search(
            ran=cast("Any", None),
            config=config,
            model="m",
            kept=cast("Any", None),
            crew=crew,
            rows_left=2,
            artifacts=(),
        )
        assert search._in_worker(20.0, _BY_ANSWERS, _find).cause == "input_scale"
        started = time.monotonic()
        stopped = search._in_worker(diagnosing._LEAST_SECONDS, _BY_ANSWERS, _never)
        assert time.monotonic() - started < 60
        assert (stopped.cause, stopped.tried) == (UNKNOWN, 7)
        assert "no known cause fits; the experiments were stopped: one of them took more than" in stopped.sentence
        assert search._in_worker(20.0, _BY_ANSWERS, _find).cause == "input_scale"
        assert "no experiments were made: the rows before took" in search._in_worker(0.1, _BY_ANSWERS, _find).sentence


def _find() -> Diagnosis:
    return _FOUND


def _never() -> Diagnosis:
    time.sleep(600)
    return _FOUND


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4), name="image")
    grouped = keras.layers.Conv2D(8, 3, groups=2, activation="relu", name="grouped")(image)
    inner = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5, name="inside")], name="inner")
    file = tmp_path_factory.mktemp("trained") / "model.keras"
    keras.Model(image, inner(grouped)).save(file)
    return file


def _case(trained: Path, *, brighter: float) -> Case:
    model = keras.models.load_model(trained)
    images = np.random.default_rng(0).normal(size=(24, 8, 8, 4)).astype(np.float32)
    want, got = (np.asarray(model(pixels)) for pixels in (images, images * brighter))
    return Case(
        inputs={"image": images},
        want={"y": want},
        answers={8: {"y": got}},
        tolerances={"y": line_of(Format.TFLITE, Precision.FLOAT32)},
    )


def test_a_diagnosis_that_ran_out_of_time_says_so(trained: Path) -> None:
    """`no known cause fits` alone would say that all of them were tried."""
    found = diagnosed_by_model(_case(trained, brighter=2.0), Surroundings(trained=trained, within_seconds=0.0))
    assert found.cause == UNKNOWN
    assert found.sentence.endswith("not all was tried in 0 s")


def test_a_grouped_convolution_and_a_model_inside_are_experimented_with(trained: Path) -> None:
    """Traced once, they have to answer for other samples, too: the first ones' answers would fit any cause."""
    found = diagnosed_by_model(_case(trained, brighter=2.0), Surroundings(trained=trained))
    assert found.cause == "input_scale", found


def test_a_model_of_nested_inputs_and_outputs_is_experimented_with() -> None:
    """Its names are not those of its tensors; the search for a cause would break off with a KeyError."""
    keras.utils.set_random_seed(0)
    given = {"left side": keras.Input((3,), name="left side"), "more": [keras.Input((2,), name="b")]}
    joined = keras.layers.Concatenate()([given["left side"], *given["more"]])
    model = keras.Model(given, {"a": {"b c": keras.layers.Dense(2)(joined)}, "d": [joined]})
    samples = {"left_side": np.ones((4, 3), np.float32), "b": np.zeros((4, 2), np.float32)}
    answers = Graph(model, ("a_b_c", "d_0"), samples).answers()
    assert {name: array.shape for name, array in answers.items()} == {"a_b_c": (4, 2), "d_0": (4, 5)}
    assert answers["d_0"][0].tolist() == [1, 1, 1, 0, 0]


def test_an_operation_of_several_answers_is_experimented_with() -> None:
    """The file has a range for one of them; held to it, integers broke the search for a cause off."""
    x = keras.Input((5,), name="x")
    best, places = keras.ops.top_k(keras.layers.Dense(4, name="dense")(x), 2)
    model = keras.Model(x, {"best": best, "places": places})
    limits = {operation.name: (0.0, 0.5) for operation in model.operations}
    answers = Graph(model, ("best", "places"), {"x": np.eye(5, dtype=np.float32)}, limits=limits).answers()
    assert answers["places"].dtype == np.int32
    assert answers["best"].max() <= 0.5


def test_a_subclassed_model_is_said_to_have_nothing_to_experiment_with(tmp_path: Path) -> None:
    """The report would quote an AttributeError of ours instead."""

    @keras.saving.register_keras_serializable(package="test_diagnosing")
    class Subclassed(keras.Model):  # type: ignore[misc]  # Keras has no types
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Subclassed()
    x = np.ones((4, 3), np.float32)
    want = {"output": np.asarray(model(x))}
    model.save(tmp_path / "model.keras")
    case = Case(
        inputs={"x": x},
        want=want,
        answers={1: {"output": want["output"] + 1}},
        tolerances={"output": line_of(Format.TFLITE, Precision.FLOAT32)},
    )
    found = diagnosed_by_model(case, Surroundings(trained=tmp_path / "model.keras"))
    assert (found.cause, found.tried) == (UNKNOWN, 0)
    assert "no experiments: a subclassed model" in found.sentence


def test_one_damaged_value_is_found_in_a_large_weight(tmp_path: Path) -> None:
    """Weights are told apart by a few of their values; what is damaged is looked for in all of them."""
    del tmp_path
    keras.utils.set_random_seed(0)
    x = keras.Input((300,), name="x")
    y = x
    for number in range(3):
        y = keras.layers.Dense(300, name=f"alike_{number}")(y)
    model = keras.Model(x, y)
    graph = Graph(model, ("y",), {"x": np.ones((1, 300), np.float32)})
    held = [Held(name=str(number), values=np.asarray(one, np.float64)) for number, one in enumerate(model.weights)]
    held[2].values[17, 123] += 1.0
    off = {one.label: np.argwhere(one.off).tolist() for one in weights.compared(graph, held) if one.off.any()}
    assert off == {"alike_1/kernel": [[17, 123]]}
