"""The report as JSON and back, and the JSON Schema that documents it.

JSON has no NaN and no infinities: such numbers are the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from pipeline.core.errors import UsageError
from pipeline.parity.report.report import SCHEMA, Report

_NON_FINITE = ["NaN", "Infinity", "-Infinity"]


def render_json(report: Report) -> str:
    """The report as JSON text, one space of indentation, a newline at the end."""
    return json.dumps(_with_named_numbers(msgspec.to_builtins(report)), indent=1, allow_nan=False) + "\n"


def report_from_json(text: str) -> Report:
    """The report that `render_json` wrote. Raises UsageError for anything else, naming the place in it."""
    hint = "make a report with `tripoint run`"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is not a {SCHEMA} report, and not JSON: {error}", hint=hint) from error
    found = value.get("schema") if isinstance(value, dict) else None
    if found != SCHEMA:
        raise UsageError(f"this is not a {SCHEMA} report: its schema is {found!r}", hint=hint)
    try:
        # Not strict, so that "NaN" is taken where a number is due.
        return msgspec.convert(value, Report, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"this {SCHEMA} report is damaged: {error}", hint=hint) from error


def report_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the report, as it is written in docs/report.schema.json."""
    schema = _with_named_number_types(msgspec.json.schema(Report))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "Tripoint parity report",
        **schema,
    }


def _with_named_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_named_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_named_numbers(item) for item in value]
    return value


def _with_named_number_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        if schema.get("type") == "number":
            return {"anyOf": [schema, {"enum": _NON_FINITE}]}
        return {key: _with_named_number_types(item) for key, item in schema.items()}
    if isinstance(schema, (list, tuple)):
        return [_with_named_number_types(item) for item in schema]
    return schema
