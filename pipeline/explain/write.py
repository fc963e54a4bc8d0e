"""The files that an explanation leaves."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.explain.explanation import Explanation
from pipeline.explain.node_data import node_data
from pipeline.explain.picture import render_picture
from pipeline.parity.values import as_json


def write_explanation(explanation: Explanation, into: Path) -> Path:
    """Write the page, the JSON and, for TFLite and TF.js, node data into the folder, made when absent; the page's path.

    All are written aside before the first is moved into place. Raises OSError as the disk does.
    """
    name = f"{explanation.target}-{explanation.precision}".replace("/", "-")
    texts = {
        f"{name}.html": render_picture(explanation),
        f"{name}.json": as_json(explanation) + "\n",
    }
    nodes = node_data(explanation)
    if nodes is not None:
        texts[f"{name}.node-data.json"] = nodes + "\n"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aside-", dir=into) as aside:
        for file, text in texts.items():
            Path(aside, file).write_text(text, encoding="utf-8", newline="\n")
        for file in texts:
            Path(aside, file).replace(into / file)
    return into / f"{name}.html"
