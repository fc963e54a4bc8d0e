"""A model server that is TensorFlow Serving's peer on the wire: `python -m serving.embedded --model_base_path=...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; `argv` are the flags alone. Returns the exit status. See `server.main`."""
    from serving.embedded.server import main as serve

    return serve(argv)
