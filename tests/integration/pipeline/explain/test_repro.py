"""The smallest case of a difference, run by its own script without anything of Tripoint."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import UsageError
from pipeline.core.target import Session
from pipeline.explain.explain import Examination, examined
from pipeline.explain.repro import write_repro
from tests.integration.exported import Exported
from tests.integration.pipeline.explain.damage import damaged_tfjs, damaged_tflite, weights_of

RUN_WITHIN_SECONDS = 200


def _examined(exported: Exported, artifact: Artifact, session: Session, target: str, variant: str = "") -> Examination:
    return examined(
        artifact,
        model=exported.model,
        session=session,
        variant=variant,
        samples=exported.samples,
        target=target,
    )


def _run(*command: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> tuple[int, float, float]:
    """The exit status, and the differences that the script found and that were recorded."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", **(env or {})},
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN_SECONDS,
        check=False,
    )
    found = re.search(r"largest difference ([\d.e+-]+), allowed [\d.e+-]+, recorded ([\d.e+-]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return done.returncode, float(found[1]), float(found[2])


def test_the_case_of_a_tflite_file_shows_the_difference_by_itself(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, tmp_path: Path, repository: Path
) -> None:
    """A bug report would ask its reader to install and trust all of Tripoint."""

    def weaken(model: Any, graph: Any, operators: Mapping[str, Any]) -> None:
        weights_of(model, graph, operators["shapes_active_1"])[:] *= 0.5

    damaged = damaged_tflite(small_tflite[Precision.FLOAT32], tmp_path, weaken)
    folder = write_repro(_examined(small, damaged, edge, "edge/litert"), tmp_path / "case")
    assert not re.search(r"^(import|from) (pipeline|edge)", (folder / "repro.py").read_text(), re.MULTILINE)
    assert (folder / "model/digits-piece.tflite").stat().st_size < damaged.path.stat().st_size / 2
    status, found, recorded = _run(repository / "edge/.venv/bin/python", "repro.py", folder=folder)
    assert status == 1
    assert found == pytest.approx(recorded, rel=1e-3)


def test_the_case_of_a_quantized_file_is_in_its_integers(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, tmp_path: Path, repository: Path
) -> None:
    """Without a layer out of line the case is the whole file, which here takes and gives integers."""
    examination = _examined(small, small_tflite[Precision.INT8_IO], edge, "edge/litert")
    folder = write_repro(examination, tmp_path / "case")
    status, found, recorded = _run(repository / "edge/.venv/bin/python", "repro.py", folder=folder)
    assert status == 1
    assert found == pytest.approx(recorded, rel=1e-3)


@pytest.mark.slow
def test_the_case_of_a_saved_model_shows_the_difference_by_itself(
    small: Exported, in_process: Session, tmp_path: Path
) -> None:
    import keras

    other = keras.models.clone_model(small.model)
    other.set_weights([weight * 1.1 for weight in small.model.get_weights()])
    exported = Exported(model=other, saved_model=small.saved_model, samples=small.samples, answers=small.answers)
    folder = write_repro(_examined(exported, small.saved_model, in_process, "saved_model"), tmp_path / "case")
    status, found, recorded = _run(sys.executable, "repro.py", folder=folder)
    assert status == 1
    assert found == pytest.approx(recorded, rel=1e-3)


def test_the_case_of_a_browser_model_runs_in_node(
    small: Exported, small_tfjs: Artifact, browser: Session, tmp_path: Path, repository: Path
) -> None:
    def average(nodes: dict[str, Any]) -> None:
        nodes["digits_1/halved_1/MaxPool2d"]["op"] = "AvgPool"

    damaged = damaged_tfjs(small_tfjs, tmp_path, average)
    folder = write_repro(_examined(small, damaged, browser, "browser/wasm", "wasm"), tmp_path / "case")
    packages = {"NODE_PATH": str(repository / "web_demo/node_modules")}
    status, found, recorded = _run("node", "repro.cjs", folder=folder, env=packages)
    assert status == 1
    assert found == pytest.approx(recorded, rel=1e-3)


def test_no_case_is_made_for_a_backend_that_the_script_lacks(
    small: Exported, small_tfjs: Artifact, browser: Session, tmp_path: Path
) -> None:
    """A case that runs elsewhere than the failure would prove nothing."""
    with pytest.raises(UsageError) as raised:
        write_repro(_examined(small, small_tfjs, browser, "browser/webgl", "webgl"), tmp_path / "case")
    assert "browser/wasm" in raised.value.hint
    assert not (tmp_path / "case").exists()
