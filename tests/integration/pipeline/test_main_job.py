"""The main job from end to end, in real runtimes: what a user types first, and what CI gates on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.pipeline.project import Project

PRECISIONS = {
    "saved_model": ["float32"],
    "tflite": ["float32", "float16", "dynamic", "int8"],
    "tfjs": ["float32", "float16", "uint8"],
}
TARGETS = {
    "saved_model": "saved_model",
    "server/rest": "saved_model",
    "server/grpc": "saved_model",
    "edge/tflite-runtime": "tflite",
    "edge/litert": "tflite",
    "browser/wasm": "tfjs",
    "browser/webgl": "tfjs",
    "browser/cpu": "tfjs",
}


def test_every_target_agrees_and_nothing_is_skipped(finished: Project) -> None:
    """The verdict would cover less than it says."""
    report = finished.report()
    rows = {(row["target"], row["precision"]): row["status"]["kind"] for row in report["rows"]}
    expected = {(target, precision) for target, kind in TARGETS.items() for precision in PRECISIONS[kind]}
    assert rows == dict.fromkeys(expected, "pass")
    assert report["samples"]["count"] == 360
    assert report["reference"]["accuracy"] >= 0.975
    assert {batch["batch_size"] for row in report["rows"] for batch in row["comparison"]["batches"]} == {1, 7, 64}


def test_the_release_holds_what_apps_need(finished: Project) -> None:
    """A mobile or browser app would have nothing to ship."""
    release = finished.folder / "build/digits"
    assert (release / "saved_model/digits/1/saved_model.pb").is_file()
    assert (release / "saved_model/digits/1/assets.extra/tf_serving_warmup_requests").is_file()
    assert {path.name for path in (release / "tflite").iterdir()} == {
        f"digits-{precision}.tflite" for precision in PRECISIONS["tflite"]
    }
    for precision in PRECISIONS["tfjs"]:
        assert (release / "tfjs" / precision / "model.json").is_file()
    assert {path.name for path in (release / "report").iterdir()} >= {"report.html", "report.json", "junit.xml"}
    assert not list((finished.folder / "build").glob("aside-*"))


def test_a_second_run_does_nothing_and_says_so(finished: Project) -> None:
    """CI would pay for every run in full."""
    assert finished.run()["made"] == []
    again = finished.tripoint("run", "digits", "--engine", "embedded")
    assert "everything was up to date" in again.stdout
    assert again.returncode == 0


def test_changed_tolerances_judge_again_without_running_anything(finished: Project, tmp_path: Path) -> None:
    """Ten attempts at a tolerance would cost ten runs; and a disagreement must be 10 for CI to gate on."""
    project = finished.copy(tmp_path / "copy")
    with (project.folder / "tripoint.toml").open("a") as file:
        file.write('\n[tolerances."tfjs/uint8"]\nreason = "to see it fail"\natol = 1e-9\nrtol = 0.0\n')
    judged = project.tripoint("run", "digits", "--engine", "embedded", "--json")
    assert judged.returncode == 10
    result = json.loads(judged.stdout)
    assert result["made"] == []
    assert result["verdict"]["differing"] == [f"browser/{backend} uint8" for backend in ("wasm", "webgl", "cpu")]
    assert "<failure" in (project.folder / "build/digits/report/junit.xml").read_text()


def test_one_precision_less_and_more_redoes_just_that(finished: Project, tmp_path: Path) -> None:
    """Trying a precision would retrain the model."""
    project = finished.copy(tmp_path / "copy")
    settings = project.folder / "tripoint.toml"
    whole = settings.read_text()
    settings.write_text(whole.replace('"float16", "uint8"', '"float16"'))
    assert project.run()["made"] == []
    assert len(project.report()["rows"]) == 17
    for path in (project.folder / ".tripoint/digits").glob("*tfjs-uint8*"):
        for entry in path.iterdir():
            (entry / "made.json").unlink()
    settings.write_text(whole)
    assert set(project.run()["made"]) == {"convert tfjs uint8"} | {
        f"record browser/{backend} uint8" for backend in ("wasm", "webgl", "cpu")
    }


def test_a_corrupted_artifact_is_noticed_and_remade(finished: Project, tmp_path: Path) -> None:
    """A damaged file would be compared, shipped, or both."""
    project = finished.copy(tmp_path / "copy")
    (file,) = (project.folder / ".tripoint/digits").glob("convert-tflite-int8/*/digits-int8.tflite")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    again = project.tripoint("run", "digits", "--engine", "embedded", "--json", "--verbose")
    assert again.returncode == 0, again.stderr
    assert "damaged, remaking it: changed since it was made: digits-int8.tflite" in again.stderr
    assert "convert tflite int8" in json.loads(again.stdout)["made"]


def test_a_pattern_of_targets_runs_only_those(finished: Project, tmp_path: Path) -> None:
    """A user who debugs one target would wait for all."""
    project = finished.copy(tmp_path / "copy")
    assert project.run("--target", "edge/litert")["verdict"]["passed"] == [
        f"edge/litert {precision}" for precision in PRECISIONS["tflite"]
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["run", "digitz"], 2, "did you mean `digits`?"),
        (["run", "digits", "--target", "browser/chrome"], 2, "the targets are saved_model, server/rest"),
        (["run", "nowhere/model.py"], 2, "there is no such model file"),
        (["report", "digits"], 2, "make one with `tripoint run digits`"),
        (["parity", "digits"], 2, "`tripoint run digits` everything"),
    ],
)
def test_bad_input_is_answered_with_its_mend(tmp_path: Path, arguments: list[str], status: int, says: str) -> None:
    """A user would get a traceback, or worse, something half-made."""
    done = Project(folder=tmp_path).tripoint(*arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_model_file_that_raises_ends_with_its_message_and_leaves_nothing(tmp_path: Path) -> None:
    """A user would search in our traceback for their own mistake."""
    (tmp_path / "mine.py").write_text("raise ValueError('the data is not here')\n")
    done = Project(folder=tmp_path).tripoint("train", "mine.py")
    assert done.returncode == 2
    assert "the data is not here" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob(".tripoint/mine/train/*"))


def test_help_does_not_load_what_is_heavy(tmp_path: Path) -> None:
    """Every tab completion would take seconds."""
    code = (
        "import sys, pipeline.cli\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'docker', 'grpc', 'playwright', 'rich', 'msgspec', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_up_to_date_run_does_not_load_tensorflow(finished: Project) -> None:
    """The second run would take seconds instead of one."""
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "try: main(['run', 'digits', '--engine', 'embedded', '--quiet'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'playwright', 'docker', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=finished.folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_what_is_calibrated_is_enforced_by_the_next_run(finished: Project, tmp_path: Path) -> None:
    """A proposal that nobody enforces would be a remark."""
    project = finished.copy(tmp_path / "copy")
    done = project.tripoint("calibrate", "digits", "--engine", "embedded", "--write")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tflite/int8/probabilities" in done.stdout
    assert project.run()["made"] == []
    tolerances = [row["tolerances"]["probabilities"] for row in project.report()["rows"]]
    assert all(tolerance["reason"].startswith("calibrated on") for tolerance in tolerances)
    worst = max(
        output["figures"]["tolerance_used"]
        for row in project.report()["rows"]
        for batch in row["comparison"]["batches"]
        for output in batch["outputs"]
    )
    assert 0.25 < worst <= 1 / 3


def test_the_default_gates_are_not_loose(finished: Project) -> None:
    """A gate that is ten times looser than what is seen would miss most faults."""
    text = finished.tripoint("report", "digits").stdout
    assert "All 20 agree" in text
    assert "loose gate" not in text


def test_a_golden_checks_the_released_artifacts_without_tensorflow(finished: Project, tmp_path: Path) -> None:
    """A device has no room for TensorFlow, and no store."""
    project = finished.copy(tmp_path / "copy")
    file = tmp_path / "digits.safetensors"
    done = project.tripoint("parity", "digits", "--engine", "embedded", "--save-golden", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    device = tmp_path / "device"
    (device / "build").mkdir(parents=True)
    shutil.copy(project.folder / "tripoint.toml", device)
    shutil.copytree(project.folder / "build/digits/tflite", device / "build/digits/tflite")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("tensorflow", "keras", "tensorflowjs"):
        (blocked / f"{name}.py").write_text(f"raise ImportError('{name} is not on this device')")
    checked = Project(folder=device).tripoint(
        "parity", "digits", "--golden", str(file), "--target", "edge/*", env={"PYTHONPATH": str(blocked)}
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "All 8 agree with the trained model" in checked.stdout
    assert (device / "build/digits-golden/report.html").is_file()
    (artifact,) = (device / "build/digits/tflite").glob("*float16*")
    shutil.copy(next((device / "build/digits/tflite").glob("*int8*")), artifact)
    again = Project(folder=device).tripoint("parity", "digits", "--golden", str(file), "--target", "edge/litert")
    assert again.returncode == 10, again.stdout + again.stderr
    assert "edge/litert float16" in again.stdout
