"""The demo's list of models, and its static site."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import requests

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.errors import EnvironmentProblem, UsageError
from pipeline.core.signature import Signature
from web_demo.demo import DemoModel, serve_demo, write_static_site

ANSWERS_WITHIN_SECONDS = 5


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "index.html").write_text("the page")
    (folder / ".built").write_text("a mark of the set-up")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> DemoModel:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "group1-shard1of1.bin").write_bytes(b"1234")
    artifact = Artifact(
        model="digits",
        format=Format.TFJS,
        precision=Precision.FLOAT16,
        path=folder,
        signature=Signature(name="serving_default", inputs=(), outputs=()),
        digest="abc",
        made_from=None,
        size_bytes=6,
    )
    return DemoModel(
        name="digits",
        title="Draw",
        kind="draw",
        input="image",
        output="probabilities",
        classes=("0", "1"),
        samples=np.array([[[[0.25]]], [[[1.0]]]], np.float32),
        sample_labels=("0", "1"),
        artifacts=(artifact,),
    )


WANT = {
    "models": [
        {
            "name": "digits",
            "title": "Draw",
            "kind": "draw",
            "input": "image",
            "output": "probabilities",
            "classes": ["0", "1"],
            "samples": [{"label": "0", "values": [0.25]}, {"label": "1", "values": [1.0]}],
            "precisions": [
                {
                    "precision": "float16",
                    "url": "models/digits/float16/model.json",
                    "digest": "abc",
                    "sizeBytes": 6,
                    "files": [
                        "models/digits/float16/group1-shard1of1.bin",
                        "models/digits/float16/model.json",
                    ],
                }
            ],
        }
    ]
}


def test_the_page_is_told_what_there_is(model: DemoModel, dist: Path) -> None:
    """`src/demo/catalogue.ts` reads exactly this."""
    with serve_demo([model], page_dist=dist) as address:
        index = requests.get(f"{address}models/index.json", timeout=ANSWERS_WITHIN_SECONDS)
        assert index.json() == WANT
        for file in WANT["models"][0]["precisions"][0]["files"]:  # type: ignore[index]  # a literal of mixed types
            assert requests.get(f"{address}{file}?digest=abc", timeout=ANSWERS_WITHIN_SECONDS).ok


def test_a_static_site_holds_the_page_and_the_models(model: DemoModel, dist: Path, tmp_path: Path) -> None:
    """It has to work on any host, with nothing of ours running there."""
    site = tmp_path / "site"
    write_static_site([model], site, page_dist=dist)
    files = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    assert files == [
        "index.html",
        "models/digits/float16/group1-shard1of1.bin",
        "models/digits/float16/model.json",
        "models/index.json",
    ]
    assert json.loads((site / "models/index.json").read_text()) == WANT


def test_an_earlier_site_is_replaced_whole(model: DemoModel, dist: Path, tmp_path: Path) -> None:
    """Files of an earlier model would be deployed along with the new one."""
    site = tmp_path / "site"
    write_static_site([model], site, page_dist=dist)
    (site / "models/left-over.bin").write_text("")
    write_static_site([model], site, page_dist=dist)
    assert not (site / "models/left-over.bin").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "dist", "site"]


def test_a_folder_with_something_else_is_left_alone(model: DemoModel, dist: Path, tmp_path: Path) -> None:
    """`--out ~` must not cost anyone their home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not a demo site"):
        write_static_site([model], tmp_path / "home", page_dist=dist)
    assert (tmp_path / "home/thesis.tex").read_text() == "years of work"


def test_a_site_that_cannot_be_finished_is_not_begun(model: DemoModel, dist: Path, tmp_path: Path) -> None:
    """Half a site would be deployed; the earlier one has to stay as it was."""
    site = tmp_path / "site"
    write_static_site([model], site, page_dist=dist)
    before = sorted(site.rglob("*"))
    gone = DemoModel(**{**vars(model), "artifacts": (*model.artifacts, _without_files(model.artifacts[0]))})
    with pytest.raises(FileNotFoundError):
        write_static_site([gone], site, page_dist=dist)
    assert sorted(site.rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "dist", "site"]


def _without_files(artifact: Artifact) -> Artifact:
    changed = {"precision": Precision.UINT8, "path": artifact.path / "gone"}
    return Artifact(**{**{name: getattr(artifact, name) for name in artifact.__dataclass_fields__}, **changed})


def test_a_page_that_is_not_built_is_told_with_its_mend(model: DemoModel, tmp_path: Path) -> None:
    """An empty page would leave one guessing."""
    with pytest.raises(EnvironmentProblem, match="not built") as failed, serve_demo([model], page_dist=tmp_path):
        pass
    assert failed.value.hint == "make setup"
