"""TF.js's converter shown only those tables that a signature reads.

Converter 4.22 pairs every table of a SavedModel with an input of the signature, and fails on one that it does not read:
a Keras lookup layer that was adapted to data still has the table in which it counted. What one then sees is that some
node is not in the graph, because it goes on as with models of TensorFlow 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def only_tables_read_by(signature_name: str, converter: Any) -> Iterator[None]:
    """While it lasts, the converter's module overlooks the tables that the signature does not capture."""
    usual = converter.TrackableView

    def descendants(view: Any) -> list[Any]:
        # By the same ids as the converter goes by.
        captured = {held._id for held in view.root.signatures[signature_name]._captured_inputs}  # noqa: SLF001
        return [
            one
            for one in usual.descendants(view)
            if not isinstance(one, converter.TrackableResource) or one.resource_handle._id in captured  # noqa: SLF001
        ]

    converter.TrackableView = type("View", (usual,), {"descendants": descendants})
    try:
        yield
    finally:
        converter.TrackableView = usual
