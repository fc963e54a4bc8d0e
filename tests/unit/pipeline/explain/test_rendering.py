"""An explanation as text, as a page and as node data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import UsageError
from pipeline.explain.explanation import SCHEMA, Difference, Explanation, Line
from pipeline.explain.node_data import node_data
from pipeline.explain.picture import render_picture
from pipeline.explain.text import as_text
from pipeline.explain.write import write_explanation
from pipeline.explain_job import Asked, parsed
from pipeline.parity.values import as_json

_RIGHT = Difference(relative=1e-7, channel=1e-7, largest=1e-6)
_WRONG = Difference(relative=0.5, channel=0.6, largest=3.0)
_BROKE = Difference(relative=None, channel=None, largest=None, problem="it fell over <here>")


def _line(layer: str, isolated: Difference, *, fused: tuple[str, ...] = ()) -> Line:
    return Line(
        layer=layer,
        layers=(*fused, layer),
        operation=f"model/{layer}/Relu",
        tensor=f"model/{layer}/Relu;model/{layer}/Conv",
        isolated=isolated,
        propagated=_WRONG,
        limit=2e-5,
        out_of_line=isolated is not _RIGHT,
    )


EXPLANATION = Explanation(
    schema=SCHEMA,
    model="digits",
    target="edge/litert",
    format=Format.TFLITE,
    precision=Precision.FLOAT32,
    artifact="digits.tflite",
    samples=32,
    lines=(_line("first", _RIGHT), _line("second", _WRONG, fused=("conv",)), _line("third", _BROKE)),
    outputs={"scores": _WRONG},
    first_divergent_layer="second",
    suspects=("conv", "second"),
    manner="values",
    sentence="The first layer that diverges is `second`.",
    remarks=("as it is, the artifact does not run",),
)


def test_the_text_marks_what_is_out_of_line() -> None:
    text = as_text(EXPLANATION)
    marked = [line for line in text.splitlines() if line.endswith("<- out of line")]
    assert [line.split("  ")[0] for line in marked] == ["conv + second", "third"]
    assert "5.0e-01 (6 dB)" in text
    assert "third: it fell over <here>" in text
    assert text.endswith("The first layer that diverges is `second`.\nas it is, the artifact does not run")


def test_the_json_has_null_where_there_is_no_number() -> None:
    """A tool would read a number where nothing ran."""
    lines = json.loads(as_json(EXPLANATION))["lines"]
    assert lines[2]["isolated"]["relative"] is None
    assert lines[1]["isolated"]["relative"] == 0.5


def test_the_page_is_one_file_and_shows_text_as_text() -> None:
    """It is passed on by mail, and what a runtime says goes into it."""
    page = render_picture(EXPLANATION)
    assert "it fell over &lt;here&gt;" in page
    assert "src=" not in page
    assert "http" not in page
    assert page.count('class="row off"') == 2


def test_node_data_is_above_one_where_out_of_line() -> None:
    lines = tuple(msgspec.structs.replace(line, tensor=line.layer) for line in EXPLANATION.lines)
    results = _nodes(msgspec.structs.replace(EXPLANATION, lines=lines))["main"]["results"]
    values = [results[line.tensor]["value"] for line in lines]
    assert values[0] < 1 < values[1] < values[2]


def test_node_data_has_the_fields_that_model_explorer_reads() -> None:
    """A graph that is called otherwise is not found there, and nothing would be coloured."""
    (graph, given), *others = _nodes(EXPLANATION).items()
    assert (graph, others, set(given)) == ("main", [], {"results", "name", "thresholds"})
    assert all(set(result) == {"value"} and result["value"] >= 0 for result in given["results"].values())
    assert [each["value"] for each in given["thresholds"]] == sorted(each["value"] for each in given["thresholds"])
    assert all(set(each) == {"value", "bgColor", "textColor"} for each in given["thresholds"])
    assert max(each["value"] for each in given["results"].values()) <= given["thresholds"][-1]["value"]


def test_node_data_is_by_the_name_that_each_loader_gives_the_graph(tmp_path: Path) -> None:
    """Its reader of SavedModels numbers the nodes: a file that colours nothing is none."""
    assert set(_nodes(msgspec.structs.replace(EXPLANATION, format=Format.TFJS))) == {"default"}
    saved_model = msgspec.structs.replace(EXPLANATION, format=Format.SAVED_MODEL, target="saved_model")
    assert node_data(saved_model) is None
    write_explanation(saved_model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"saved_model-float32.html", "saved_model-float32.json"}


def _nodes(explanation: Explanation) -> dict[str, Any]:
    text = node_data(explanation)
    assert text is not None
    nodes: dict[str, Any] = json.loads(text)
    return nodes


def test_all_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    page = write_explanation(EXPLANATION, tmp_path / "explain")
    names = {path.name for path in (tmp_path / "explain").iterdir()}
    assert names == {f"edge-litert-float32.{kind}" for kind in ("html", "json", "node-data.json")}
    assert page == tmp_path / "explain/edge-litert-float32.html"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("mine", "edge/litert", "int8"), ("mine", "edge/litert", Precision.INT8)),
        (("edge/litert int8",), ("digits", "edge/litert", Precision.INT8)),
        (("mine", "browser/wasm float16"), ("mine", "browser/wasm", Precision.FLOAT16)),
        (("saved_model",), ("digits", "saved_model", None)),
    ],
)
def test_a_line_of_the_report_is_understood_as_it_stands(
    words: tuple[str, ...], asked: tuple[str, str, Precision]
) -> None:
    model, target, precision = asked
    assert parsed(words) == Asked(model=model, target=target, precision=precision)


@pytest.mark.parametrize("words", [("int8",), ("a", "b", "c"), ("server/rest",)])
def test_what_is_no_target_with_layers_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        parsed(words)


def test_a_server_can_be_searched() -> None:
    assert parsed(("server/rest",), layers=False).target == "server/rest"
