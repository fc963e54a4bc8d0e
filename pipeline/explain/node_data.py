"""An explanation as node data for Model Explorer, which colours the nodes of a model by it.

The format is Model Explorer's own: by graph, `results` with a value for each node id or name of an output tensor, and
`thresholds`, each the colour of values up to it.
"""

from __future__ import annotations

import json

from pipeline.explain.explanation import Explanation

_GRAPH = "main"
_FINE, _OFF = "#2e7d32", "#c62828"
# Model Explorer takes numbers only; what did not run at all is as wrong as can be.
_NO_NUMBER = 1e9


def node_data(explanation: Explanation) -> str:
    """JSON: each compared tensor's isolated error over what it may be, so that above 1 is out of line."""
    results = {
        line.tensor: {"value": _NO_NUMBER if line.isolated.relative is None else line.isolated.relative / line.limit}
        for line in explanation.lines
    }
    thresholds = [
        {"value": 1.0, "bgColor": _FINE, "textColor": "#ffffff"},
        {"value": _NO_NUMBER, "bgColor": _OFF, "textColor": "#ffffff"},
    ]
    return json.dumps({_GRAPH: {"results": results, "thresholds": thresholds}}, indent=1)
