"""An explanation as node data for Model Explorer, which colours the nodes of a model by it.

The format is that of `ModelNodeData` in `model_explorer/node_data_builder.py`, version 0.1.34: by graph id, `results`
by the id of a node or the name of a tensor that it makes, and `thresholds`, each the colour of values up to it. The ids
are each loader's: its flatbuffer adapter calls the first subgraph `main` and keeps the tensors' whole names; its reader
of TF.js calls the one graph `default` and nodes by their names. Its reader of SavedModels numbers the nodes, so that
nothing could be told apart there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pipeline.core.artifact import Format
from pipeline.explain.explanation import Explanation

_GRAPHS: Mapping[Format, str] = {Format.TFLITE: "main", Format.TFJS: "default"}
_FINE, _OFF = "#2e7d32", "#c62828"
# Model Explorer takes numbers only; what did not run at all is as wrong as can be.
_NO_NUMBER = 1e9


def node_data(explanation: Explanation) -> str | None:
    """JSON: each compared tensor's isolated error over what it may be, so that above 1 is out of line.

    None for a format whose nodes Model Explorer does not call by their names.
    """
    graph = _GRAPHS.get(explanation.format)
    if graph is None:
        return None
    results = {
        line.tensor: {
            "value": _NO_NUMBER
            if line.isolated.relative is None
            else min(_NO_NUMBER, line.isolated.relative / line.limit)
        }
        for line in explanation.lines
    }
    thresholds = [
        {"value": 1.0, "bgColor": _FINE, "textColor": "#ffffff"},
        {"value": _NO_NUMBER, "bgColor": _OFF, "textColor": "#ffffff"},
    ]
    name = f"{explanation.target} {explanation.precision}: error alone over what it may be"
    return json.dumps({graph: {"results": results, "name": name, "thresholds": thresholds}}, indent=1)
