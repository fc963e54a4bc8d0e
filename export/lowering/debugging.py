"""Checks and prints are taken out: the apps that run a model have nobody to tell, and TF.js has no such operations."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_PASSING = frozenset({"CheckNumerics", "CheckNumericsV2", "Print"})
_SILENT = frozenset({"Assert", "PrintV2"})


def _rewrite(body: Body, node: Any) -> bool:
    if node.op in _PASSING:
        body.pass_on(node)
    else:
        body.silence(node)
    return True


DEBUGGING = Lowering(
    name="debugging",
    operations=_PASSING | _SILENT,
    becomes="nothing: the value passes unchecked",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
