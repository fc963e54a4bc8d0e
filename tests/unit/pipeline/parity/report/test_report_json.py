"""The report as JSON: everything comes back, and the published schema describes it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.core.errors import UsageError
from pipeline.parity.report.report import Report
from pipeline.parity.report.report_json import render_json, report_from_json, report_schema
from pipeline.parity.report.text import render_text

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@pytest.mark.parametrize("which", ["passing", "failing"])
def test_what_is_written_comes_back_whole(which: str, request: pytest.FixtureRequest) -> None:
    """Otherwise `tripoint report` would show something else than the run did."""
    report: Report = request.getfixturevalue(which)
    again = report_from_json(render_json(report))
    assert render_json(again) == render_json(report)
    assert render_text(again) == render_text(report)


def test_numbers_that_json_lacks_are_named(failing: Report) -> None:
    """Otherwise no strict JSON reader could open the report, or NaN would come back as null."""
    text = render_json(failing)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert '"sqnr_db": "Infinity"' in text
    assert '"got": "NaN"' in text
    figures = report_from_json(text).rows[0].comparison
    assert figures is not None
    assert msgspec.to_builtins(figures)["batches"][0]["outputs"][0]["figures"]["sqnr_db"] == math.inf


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("[1]", "its schema is None"),
        ('{"schema": "tripoint.report/2"}', "its schema is 'tripoint.report/2'"),
        ('{"schema": "tripoint.report/1"}', "damaged: Object missing required field `model`"),
    ],
)
def test_anything_else_is_refused_and_says_what_it_is(text: str, problem: str) -> None:
    """Otherwise a wrong file would end in a stack trace."""
    with pytest.raises(UsageError, match=problem) as refusal:
        report_from_json(text)
    assert refusal.value.hint == "make a report with `tripoint run`"


def test_the_published_schema_is_the_one_that_is_used(repository: Path) -> None:
    """Otherwise docs/report.schema.json would describe another report. To mend: see docs/report.md."""
    assert json.loads((repository / "docs" / "report.schema.json").read_text()) == report_schema()


@pytest.mark.parametrize("which", ["passing", "failing"])
def test_reports_are_valid_under_the_schema(which: str, request: pytest.FixtureRequest) -> None:
    """Otherwise whoever reads by the schema would stumble."""
    schema = report_schema()
    assert problems(json.loads(render_json(request.getfixturevalue(which))), schema, schema) == []


def test_the_check_of_the_schema_itself_notices_damage(failing: Report) -> None:
    """Otherwise the test above would pass on anything."""
    schema, value = report_schema(), json.loads(render_json(failing))
    value["rows"][0]["status"]["kind"] = "maybe"
    value["samples"]["count"] = "twelve"
    del value["model"]["name"]
    value["verdict"]["mood"] = "good"
    assert len(problems(value, schema, schema)) == 4


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """What is wrong by the keywords that our schema uses (`jsonschema` is not among our dependencies)."""
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema:
        tried = [problems(value, option, root, at) for option in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: fits none of {len(tried)}"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r} is none of {schema['enum']}"]
    if not isinstance(value, KINDS[schema["type"]]) or (schema["type"] != "boolean" and isinstance(value, bool)):
        return [f"{at}: {value!r} is no {schema['type']}"]
    return problems_inside(value, schema, root, at)


def problems_inside(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    if isinstance(value, list):
        items = enumerate(value)
        return [found for place, item in items for found in problems(item, schema["items"], root, f"{at}[{place}]")]
    if not isinstance(value, dict):
        return []
    found = [f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value]
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in properties:
            found += problems(item, properties[name], root, f"{at}.{name}")
        elif isinstance(rest, dict):
            found += problems(item, rest, root, f"{at}.{name}")
        elif rest is False:
            found.append(f"{at}: unknown {name}")
    return found
