"""TF.js in a real browser against TensorFlow's own answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.artifact import TFJS_PRECISIONS, Precision
from pipeline.core.errors import TargetFailed
from tests.integration.web_demo.models import TestModel
from web_demo.kernels import installed_kernels
from web_demo.runtime import BrowserSession

BACKENDS = ("wasm", "webgl", "cpu")
# float32 sums in another order; the weight precisions lose what their storage loses.
LARGEST_DIFFERENCE = {Precision.FLOAT32: 1e-5, Precision.FLOAT16: 5e-3, Precision.UINT16: 1e-3, Precision.UINT8: 0.1}
PROBABILITIES = "probabilities"


@pytest.mark.parametrize("precision", TFJS_PRECISIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_answers_as_tensorflow_does(
    session: BrowserSession, digits: TestModel, backend: str, precision: Precision
) -> None:
    """A user would ship a demo that recognises other digits than the model that was tested."""
    with session.load(digits.artifact(precision), backend) as runner:
        answers = runner.run(digits.samples, batch_size=64)
    got, want = answers.outputs[PROBABILITIES], digits.want[PROBABILITIES]
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    assert np.abs(got - want).max() < LARGEST_DIFFERENCE[precision]


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_batch_sizes_give_the_same_answers_in_the_order_asked(
    session: BrowserSession, digits: TestModel, backend: str
) -> None:
    """A last, shorter batch that is dropped or doubled would go unseen, and so would a batch out of its place."""
    with session.load(digits.artifact(), backend) as runner:
        answers = {size: runner.run(digits.samples, batch_size=size) for size in (1, 7, 64)}
    for size, answer in answers.items():
        assert np.abs(answer.outputs[PROBABILITIES] - digits.want[PROBABILITIES]).max() < 1e-5
        assert len(answer.call_seconds) == -(-len(digits.want[PROBABILITIES]) // size)
        assert (answer.call_seconds > 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_question_gets_the_same_bits_again(session: BrowserSession, digits: TestModel, backend: str) -> None:
    """A backend that reuses memory wrongly is right once and wrong later."""
    with session.load(digits.artifact(), backend) as runner:
        first, second = (runner.run(digits.samples, batch_size=7).outputs[PROBABILITIES] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_of_every_type_are_paired_by_name(session: BrowserSession, pair: TestModel, backend: str) -> None:
    """Pairing by position swaps inputs of one type silently."""
    with session.load(pair.artifact(), backend) as runner:
        got = runner.run(pair.samples, batch_size=6).outputs
    assert got.keys() == pair.want.keys()
    for name, want in pair.want.items():
        assert got[name].dtype == want.dtype
        np.testing.assert_allclose(got[name], want, rtol=1e-6)


@pytest.mark.parametrize("backend", ["wasm", "cpu"])
def test_special_values_survive_the_way_there_and_back(session: BrowserSession, pair: TestModel, backend: str) -> None:
    """A NaN that turns to 0 on the way would hide the very fault that parity is to find."""
    special = np.array([[np.nan, np.inf, -np.inf], [-0.0, 1e-40, 3.4e38]], np.float32)
    zero = np.zeros((2, 1), np.float32)
    with session.load(pair.artifact(), backend) as runner:
        got = runner.run({"minuend": special, "subtrahend": zero}, batch_size=2).outputs["z_difference"]
    np.testing.assert_array_equal(got.view(np.uint32), (special - zero).view(np.uint32))


def test_nan_stays_nan_on_webgl(session: BrowserSession, pair: TestModel) -> None:
    """WebGL may flush the smallest numbers, but a NaN has to stay one."""
    special = np.array([[np.nan, 1.0, 2.0]], np.float32)
    with session.load(pair.artifact(), "webgl") as runner:
        answers = runner.run({"minuend": special, "subtrahend": np.zeros((1, 1), np.float32)}, batch_size=1)
    np.testing.assert_array_equal(answers.outputs["z_difference"], special)


def test_a_model_with_a_loop_runs(session: BrowserSession, loop: TestModel) -> None:
    """Models with loops or branches run by another call of TF.js, and would fail at their first sample."""
    with session.load(loop.artifact(), "wasm") as runner:
        got = runner.run(loop.samples, batch_size=2).outputs["grown"]
    np.testing.assert_array_equal(got, loop.want["grown"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_recurrent_layers_masks_and_constant_branches_answer_as_in_tensorflow(
    session: BrowserSession, recurrent: TestModel, backend: str
) -> None:
    """As converted, their loops never begin, no backend adds their bias, and wasm corrupts its own memory."""
    with session.load(recurrent.artifact(), backend) as runner:
        got = runner.run(recurrent.samples, batch_size=7).outputs["y"]
    assert recurrent.want["y"].std() > 0.05
    np.testing.assert_allclose(got, recurrent.want["y"], atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_of_other_shapes_have_shaders_of_their_own(
    session: BrowserSession, two_shapes: TestModel, backend: str
) -> None:
    """WebGL answered batches of seven by a shader of another layer, of another model even: five of eight classes wrong.

    InceptionV3's products, and Xception's averages in a page in which MobileNetV2 had been before.
    """
    with session.load(two_shapes.artifact(), backend) as runner:
        got = runner.run(two_shapes.samples, batch_size=7).outputs
    for name, want in two_shapes.want.items():
        assert want.std() > 0.3
        np.testing.assert_allclose(got[name], want, atol=2e-4)


def test_what_ran_is_said_by_the_browser_itself(session: BrowserSession, digits: TestModel) -> None:
    """A report that repeats what was asked for would not show that TF.js fell back to another backend."""
    details = {}
    for backend in BACKENDS:
        with session.load(digits.artifact(), backend) as runner:
            assert (runner.info.runtime, runner.info.version) == ("TF.js", "4.22.0")
            details[backend] = runner.info.details
    assert [details[backend]["backend"] for backend in BACKENDS] == list(BACKENDS)
    assert "Chrome" in details["cpu"]["userAgent"]
    assert details["wasm"]["wasm"] == "SIMD"
    assert details["webgl"]["renderer"] != ""
    assert details["webgl"]["float32Textures"] == "yes"
    assert details["webgl"]["shapes"] == "uniforms"


@pytest.mark.parametrize("backend", ["webgpu", "tpu"])
def test_a_backend_that_does_not_start_is_refused_by_name(
    session: BrowserSession, digits: TestModel, backend: str
) -> None:
    """TF.js would quietly run on another backend, and the report would compare that one."""
    with pytest.raises(TargetFailed, match=backend), session.load(digits.artifact(), backend):
        pass
    with session.load(digits.artifact(), "cpu") as runner:
        assert runner.info.details["backend"] == "cpu"


def test_an_artifact_of_another_signature_is_told_by_its_output(
    session: BrowserSession, digits: TestModel, tmp_path: Path
) -> None:
    """An output that is missing must fail by name; comparing what happens to be there would prove nothing."""
    renamed = _changed_copy(digits, tmp_path, lambda text: text.replace('"probabilities"', '"scores"'))
    with (
        session.load(digits.artifact(path=renamed), "cpu") as runner,
        pytest.raises(TargetFailed, match=r"answered \['scores'\], the signature promises \['probabilities'\]"),
    ):
        runner.run(digits.samples, batch_size=64)


def test_truncated_weights_do_not_load(session: BrowserSession, digits: TestModel, tmp_path: Path) -> None:
    """A weight file that was cut short, as by a full disk, must not answer with whatever memory holds."""
    cut = tmp_path / "cut"
    shutil.copytree(digits.artifact().path, cut)
    [weights] = cut.glob("*.bin")
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(TargetFailed, match="could not load the model"), session.load(digits.artifact(path=cut), "cpu"):
        pass


def test_a_folder_without_a_model_does_not_load(session: BrowserSession, digits: TestModel, tmp_path: Path) -> None:
    """The message has to say that the file is missing, not that JSON has an unexpected token."""
    with pytest.raises(TargetFailed, match="404"), session.load(digits.artifact(path=tmp_path), "cpu"):
        pass


def test_inputs_of_the_wrong_shape_are_refused(session: BrowserSession, digits: TestModel) -> None:
    """The page goes on afterwards: one wrong question must not end the comparison of all other artifacts."""
    with session.load(digits.artifact(), "cpu") as runner:
        with pytest.raises(TargetFailed, match="shape"):
            runner.run({"image": np.zeros((2, 9, 9, 1), np.float32)}, batch_size=2)
        assert len(runner.run(digits.samples, batch_size=64).call_seconds) == 6


def test_a_large_batch_travels_whole(session: BrowserSession, pair: TestModel) -> None:
    """Real images are megabytes a sample: the way there and back must not be what breaks."""
    random = np.random.default_rng(1)
    samples = {
        "minuend": random.normal(size=(1_000_000, 3)).astype(np.float32),
        "subtrahend": np.zeros((1_000_000, 1), np.float32),
    }
    with session.load(pair.artifact(), "wasm") as runner:
        got = runner.run(samples, batch_size=250_000).outputs["z_difference"]
    np.testing.assert_array_equal(got, samples["minuend"])


def _changed_copy(model: TestModel, into: Path, change: Callable[[str], str]) -> Path:
    copy = into / "changed"
    shutil.copytree(model.artifact().path, copy)
    described = json.loads((copy / "model.json").read_text())
    described["signature"] = json.loads(change(json.dumps(described["signature"])))
    (copy / "model.json").write_text(json.dumps(described))
    return copy


@pytest.mark.parametrize("backend", BACKENDS)
def test_preflight_knows_the_kernels_that_the_page_has(session: BrowserSession, backend: str) -> None:
    """Preflight would say that a model runs, and the page would lack a kernel that the bundler left out."""
    assert session.kernels(backend) == installed_kernels().backends[backend]
