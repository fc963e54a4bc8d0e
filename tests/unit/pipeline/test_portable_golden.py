"""A golden carries all that a check needs, in a file that other languages read as docs/golden.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline import portable_golden
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import UsageError
from pipeline.golden import Golden
from pipeline.golden import save as save_plain
from pipeline.portable_golden import GoldenFacts, PortableGolden, facts_of, load
from tests.unit.pipeline.parity.report.conftest import LABELS, SIGNATURE, recorded, reference, report_of, row

SAMPLES = np.random.default_rng(0).random((12, 4, 4, 1), dtype=np.float32)


@pytest.fixture
def portable() -> PortableGolden:
    rows = (
        row("edge/litert", Format.TFLITE, Precision.FLOAT32, recorded(reference())),
        row("browser/wasm", Format.TFJS, Precision.FLOAT16, recorded(reference())),
    )
    return PortableGolden(
        golden=Golden(
            inputs={"image": SAMPLES}, reference={"scores": reference()}, labels=LABELS, targets={"scores": reference()}
        ),
        facts=facts_of(report_of(rows, SAMPLES)),
    )


@pytest.fixture
def file(portable: PortableGolden, tmp_path: Path) -> Path:
    portable_golden.save(portable, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_what_was_saved_is_what_is_loaded(portable: PortableGolden, file: Path) -> None:
    """Otherwise a device would be held against something else."""
    found = load(file)
    assert found.facts == portable.facts
    assert found.signature == SIGNATURE
    assert found.facts.tolerances.keys() == {"tflite/float32", "tfjs/float16"}
    np.testing.assert_array_equal(found.golden.inputs["image"], SAMPLES)
    np.testing.assert_array_equal(found.golden.reference["scores"], reference())
    np.testing.assert_array_equal(found.golden.targets["scores"], reference())
    assert found.golden.labels is not None
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_is_no_golden_is_refused_with_the_mend(tmp_path: Path, portable: PortableGolden) -> None:
    """Otherwise a user would see a traceback of a reader."""
    bare, text = tmp_path / "bare.safetensors", tmp_path / "text"
    save_plain(portable.golden, bare)
    text.write_text("not tensors")
    for wrong in (bare, text, tmp_path / "absent"):
        with pytest.raises(UsageError) as raised:
            load(wrong)
        assert "--save-golden" in raised.value.hint
    with pytest.raises(UsageError, match="there is no folder"):
        portable_golden.save(portable, tmp_path / "absent" / "golden.safetensors")


def test_another_schema_is_refused(portable: PortableGolden, tmp_path: Path) -> None:
    """Otherwise a later format would be read by guess."""
    facts: GoldenFacts = msgspec.structs.replace(portable.facts, schema="tripoint.golden/2")
    portable_golden.save(PortableGolden(golden=portable.golden, facts=facts), tmp_path / "later")
    with pytest.raises(UsageError, match=r"reads tripoint\.golden/1"):
        load(tmp_path / "later")


def example(repository: Path, language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", (repository / "docs/golden.md").read_text(), re.DOTALL)
    assert len(found) == 1
    assert len(found[0].splitlines()) <= 15
    return str(found[0])


def test_the_python_example_reads_it(repository: Path, file: Path, tmp_path: Path) -> None:
    """Otherwise the page would show what does not work."""
    script = tmp_path / "read.py"
    script.write_text(example(repository, "python"))
    done = subprocess.run([sys.executable, str(script), str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "scores (12, 3) 0 values differ\n"


def test_the_javascript_example_reads_it(
    repository: Path, file: Path, tmp_path: Path, require: Callable[[str | None], None]
) -> None:
    """Otherwise the page would show what does not work."""
    node = shutil.which("node", path=f"{repository / 'web_demo/.node/bin'}:{os.environ['PATH']}")
    require(None if node else "there is no Node.js; run: make setup-dev")
    script = tmp_path / "read.mjs"
    script.write_text(example(repository, "javascript"))
    done = subprocess.run([str(node), str(script), str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "scores [ 12, 3 ] 0 values differ\n"
