"""An explanation as a picture: one self-contained page, a pair of bars for each compared tensor."""

from __future__ import annotations

import math
from typing import Any

from pipeline.explain.explanation import Difference, Explanation, Line
from pipeline.explain.text import layers_shown, shown

_WIDTH = 600.0
# From float32's rounding up to an error as large as the values themselves.
_LOWEST, _HIGHEST = -8.0, 1.0


def render_picture(explanation: Explanation) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.explain"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    title = f"{explanation.model} on {explanation.target} {explanation.precision}, layer by layer"
    return environment.get_template("explanation.html.j2").render(
        title=title,
        explanation=explanation,
        lowest=f"1e{_LOWEST:.0f}",
        highest=f"{10**_HIGHEST:.0f}",
        lines=[_bars(line) for line in explanation.lines],
    )


def _bars(line: Line) -> dict[str, Any]:
    return {
        "layers": layers_shown(line),
        "operation": line.operation,
        "off": line.out_of_line,
        "alone_width": _width(line.isolated),
        "whole_width": _width(line.propagated),
        "limit_at": _place(line.limit),
        "label": f"alone {_said(line.isolated)}, in the artifact {_said(line.propagated)}, may be {line.limit:.1e}",
    }


def _said(difference: Difference) -> str:
    return difference.problem or shown(difference)


def _width(difference: Difference) -> float:
    # What has no number is as wrong as can be.
    return _WIDTH if difference.relative is None else _place(difference.relative)


def _place(relative: float) -> float:
    if relative <= 0.0:
        return 0.0
    share = (math.log10(relative) - _LOWEST) / (_HIGHEST - _LOWEST)
    return round(_WIDTH * min(1.0, max(0.0, share)), 1)
