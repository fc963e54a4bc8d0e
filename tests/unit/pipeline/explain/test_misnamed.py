"""Points whose name promises something else are left out, also behind a fault; the fault stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import ArtifactGraph, Node
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature
from pipeline.explain.measure import Broke, Laboratory
from pipeline.explain.misnamed import without_misnamed
from pipeline.explain.points import Point

NAMES = ("first", "faulty", "middle", "misnamed", "last")
TRUTH = {name: np.full((4, 3), 1.0 + position, np.float32) for position, name in enumerate(NAMES)}


class _Chain(Laboratory):
    """Five tensors, each made of the one before: `faulty` is wrong by itself, `misnamed` holds half of what it says."""

    def isolated(self) -> list[NDArray[Any] | Broke]:
        present = [point.operation for point in self.points]
        return [self._alone(name, present) for name in present]

    def _alone(self, name: str, present: list[str]) -> NDArray[Any]:
        # What is computed on the way from the nearest tensor that is fed, with the value that its name promises.
        start = max((NAMES.index(each) for each in present if NAMES.index(each) < NAMES.index(name)), default=-1)
        passed = NAMES[start + 1 : NAMES.index(name) + 1]
        value = TRUTH[name] * (3 if "faulty" in passed else 1)
        if name == "misnamed":
            return np.asarray(value / 2)
        return np.asarray(value * 2 if start >= 0 and NAMES[start] == "misnamed" else value)


def _laboratory() -> _Chain:
    nodes = [
        Node(handle=name, names=(name,), op="Op", inputs=(NAMES[position - 1],) if position else ("x",))
        for position, name in enumerate(NAMES)
    ]
    artifact = Artifact(
        model="chain",
        format=Format.TFJS,
        precision=Precision.FLOAT32,
        path=Path("chain"),
        signature=Signature(name="serving_default", inputs=(), outputs=()),
        digest="ab" * 32,
        made_from=None,
        size_bytes=1,
    )
    return _Chain(
        artifact=artifact,
        graph=ArtifactGraph(nodes=tuple(nodes), inputs={}, outputs={"y": "last"}),
        session=cast("Any", None),
        variant="",
        points=[Point(node=node, operation=node.handle, layer=node.handle) for node in nodes],
        samples={},
        truth=TRUTH,
    )


def test_a_misnamed_point_behind_a_fault_is_left_out_and_the_fault_is_not() -> None:
    """The table would accuse a sound layer beside the culprit: TF.js fuses a bias into a depthwise convolution."""
    laboratory, _ = without_misnamed(_laboratory())
    assert [point.operation for point in laboratory.points] == ["first", "faulty", "middle", "last"]
