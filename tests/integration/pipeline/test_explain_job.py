"""`tripoint explain`, `repro` and `search` as a user types them, in a project with a finished run."""

from __future__ import annotations

import json

import pytest

from tests.integration.pipeline.project import Project


def test_explain_says_where_and_leaves_a_page_and_node_data(finished: Project) -> None:
    """A person would have the sentence only, and no tool the numbers."""
    done = finished.tripoint("explain", "digits", "edge/litert int8", "--json")
    assert done.returncode == 0, done.stderr
    explanation = json.loads(done.stdout)
    assert explanation["first_divergent_layer"] is None
    assert [line["layer"] for line in explanation["lines"]][-1] == "probabilities"
    folder = finished.folder / "build/digits/explain"
    page = (folder / "edge-litert-int8.html").read_text()
    assert "http" not in page
    assert "strokes_active" in page
    data = json.loads((folder / "edge-litert-int8.node-data.json").read_text())["main"]
    assert all(0 <= result["value"] <= 1 for result in data["results"].values())
    assert len(data["results"]) >= 6
    # Model Explorer finds a node by the whole name of what it makes.
    (file,) = (finished.folder / "build/digits/tflite").rglob("*int8.tflite")
    assert all(name.encode() in file.read_bytes() for name in data["results"])


@pytest.mark.slow
def test_explain_looks_into_a_server(finished: Project) -> None:
    """It answered that a server has no layers, and a person was as wise as before."""
    done = finished.tripoint("explain", "digits", "server/rest", "--json")
    assert done.returncode == 0, done.stderr
    inquiry = json.loads(done.stdout)
    assert (inquiry["cause"], set(inquiry["addresses"])) == ("none", {"REST", "gRPC"})
    page = (finished.folder / "build/digits/explain/server-rest.html").read_text()
    assert "asked over gRPC" in page
    assert "http" not in page


@pytest.mark.slow
def test_search_keeps_the_worst_inputs(finished: Project) -> None:
    done = finished.tripoint("search", "digits", "edge/litert", "int8", "--seconds", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["on_found"] >= found["on_samples"] > 0
    assert (finished.folder / "build/digits/search/edge-litert-int8.safetensors").is_file()


@pytest.mark.slow
def test_parity_searches_on_every_line_that_fits(finished: Project) -> None:
    """The same as `tripoint search`, for whoever looks for it beside the comparison."""
    done = finished.tripoint("parity", "digits", "--search", "1", "--target", "edge/litert", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"edge/litert float32", "edge/litert int8"} <= set(found)
    assert all(each["on_found"] >= each["on_samples"] and each["tried"] > 0 for each in found.values())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "digits", "edge/litert"], "name one of them: edge/litert float32"),
        (["explain", "digits", "edge/nowhere", "int8"], "the targets are saved_model, server/rest"),
        (["repro", "digits", "server/rest"], "name saved_model instead"),
        (["explain", "digits", "server/rest", "--grpc", "127.0.0.1:1"], "server/grpc with --grpc HOST:PORT"),
        (["repro", "digits", "saved_model", "--artifact", "nowhere"], "a .tflite file, a TF.js folder"),
    ],
)
def test_what_cannot_be_explained_is_answered_with_its_mend(finished: Project, arguments: list[str], says: str) -> None:
    """A user would get a traceback."""
    done = finished.tripoint(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
