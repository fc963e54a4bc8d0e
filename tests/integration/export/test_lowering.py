"""Each lowering, on the real runtimes: a model that fails without it and agrees with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.lowered_saved_model import lowered
from export.lowering.every import LOWERINGS
from export.tfjs_from_saved_model import tfjs_from_saved_model
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import ConversionFailed, TargetFailed
from pipeline.core.target import Session
from tests.integration.export.lowering_cases.case import SAMPLES, Case, tensorflow
from tests.integration.export.lowering_cases.control import halved, narrowed
from tests.integration.export.lowering_cases.every import CASES
from tests.integration.export.lowering_cases.tables import WORDS
from tests.integration.exported import Exported, artifact, export
from web_demo.kernels import installed_kernels

IDS = [f"{case.lowering}-{case.target}" for case in CASES]


def test_every_lowering_has_a_model_that_needs_it() -> None:
    needed = {(case.lowering, case.target) for case in CASES}
    for lowering in LOWERINGS:
        assert any((lowering.name, target) in needed for target in lowering.when)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_model_fails_without_the_lowering_and_agrees_with_it(
    case: Case, tmp_path: Path, edge: Session, old_edge: Session, browser: Session
) -> None:
    exported = _exported(case, tmp_path / "model")
    own = old_edge if case.on_old else edge
    session, variant = (own, "") if case.target is Format.TFLITE else (browser, case.variant)

    assert not _agrees_without(exported, case, tmp_path / "without", session, variant)
    got, used = _answers(exported, case, tmp_path / "with", session, variant, lowering=True)

    assert case.lowering in {one.lowering for one in used}
    assert any("odd" in node for one in used for node in one.nodes)
    assert np.ptp(exported.answers["answer"]) > 0.1
    in_float = case.precision is Precision.FLOAT32
    np.testing.assert_allclose(got["answer"], exported.answers["answer"], rtol=1e-4, atol=1e-5 if in_float else 0.05)


@pytest.mark.parametrize("compute", [narrowed, halved])
def test_a_branch_is_kept_where_computing_both_sides_would_answer_otherwise(
    compute: Callable[[Any], Any], tmp_path: Path
) -> None:
    """What a branch guards against would happen."""
    case = Case(lowering="branch", target=Format.TFLITE, compute=compute, shape=(4,))
    exported = _exported(case, tmp_path / "model")
    with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFLITE) as source:
        assert "branch" not in {one.lowering for one in source.used}


def test_the_list_of_kernels_says_what_the_browser_did() -> None:
    """Einsum converts, and fails on wasm: that this was known before is what preflight is for."""
    assert installed_kernels().lacking("Einsum", "wasm") == ("Einsum",)
    assert installed_kernels().lacking("Einsum", "cpu") == ()
    # In a branch for complex numbers, Abs calls a kernel that wasm lacks.
    assert installed_kernels().lacking("Abs", "wasm") == ()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_lowered_graph_computes_in_tensorflow_what_the_model_does(case: Case, tmp_path: Path) -> None:
    import tensorflow as tf

    exported = _exported(case, tmp_path / "model")
    refused = frozenset(operation for lowering in LOWERINGS for operation in lowering.operations)

    with lowered(exported.saved_model.path, scratch=tmp_path, target=case.target, refused=refused) as source:
        function = tf.saved_model.load(str(source.folder)).signatures["serving_default"]
        got = function(**{name: tf.constant(array) for name, array in exported.samples.items()})

    np.testing.assert_allclose(got["answer"].numpy(), exported.answers["answer"], rtol=1e-5, atol=1e-6)


def _exported(case: Case, folder: Path) -> Exported:
    import keras

    class Odd(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def build(self, _: Any) -> None:
            # What a layer does not hold is not exported with it.
            self.held = () if case.holds is None else (case.holds(),)

        def call(self, x: Any) -> Any:
            return case.compute(x, *self.held)

        def compute_output_spec(self, x: Any) -> Any:
            compute = tensorflow().function(self.call)
            traced = compute.get_concrete_function(tensorflow().TensorSpec(x.shape, x.dtype))
            return keras.KerasTensor(traced.outputs[0].shape, traced.outputs[0].dtype.name)

    x = keras.Input(case.shape, name="x", dtype=case.dtype)
    model = keras.Model(x, Odd(name="odd")(x))
    random = np.random.default_rng(0)
    shape = (SAMPLES, *case.shape)
    match case.dtype:
        case "string":
            sample = random.choice(np.array([word.encode() for word in WORDS], object), shape)
        case "int32":
            sample = random.integers(0, 6, shape, np.int32)
        case _:
            sample = random.normal(size=shape).astype(case.dtype)
    samples = {"x": sample}
    answers = {"answer": np.asarray(model(tensorflow().constant(sample)))}
    return export(model, folder, samples=samples, answers=answers)


def _agrees_without(exported: Exported, case: Case, folder: Path, session: Session, variant: str) -> bool:
    """Whether the model converts, runs and answers as it should when nothing is lowered."""
    try:
        got, _ = _answers(exported, case, folder, session, variant, lowering=False)
    except (ConversionFailed, TargetFailed):
        return False
    return np.allclose(got["answer"], exported.answers["answer"], rtol=1e-2, atol=1e-2)


def _answers(
    exported: Exported, case: Case, folder: Path, session: Session, variant: str, *, lowering: bool
) -> tuple[Any, Any]:
    source, target = exported.saved_model, case.target
    folder.mkdir()
    if target is Format.TFLITE:
        place = folder / "model.tflite"
        used = tflite_from_saved_model(
            source.path,
            into=place,
            signature=source.signature,
            precision=case.precision,
            representative={} if case.precision is Precision.FLOAT32 else exported.samples,
            lowering=lowering,
        )
    else:
        place = folder
        used = tfjs_from_saved_model(
            source.path, into=place, signature=source.signature, precision=Precision.FLOAT32, lowering=lowering
        )
    with session.load(artifact("model", target, Precision.FLOAT32, place, source.signature), variant) as runner:
        if case.on_old:
            # Where some files take one batch size and no other after it.
            runner.run(exported.samples, batch_size=1)
        return runner.run(exported.samples, batch_size=SAMPLES).outputs, used
