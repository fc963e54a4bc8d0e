"""TF.js's converter shown only those tables that a signature reads.

Converter 4.22 pairs every table of a SavedModel with an input of the signature, and fails on one that it does not read:
a Keras lookup layer that was adapted to data still has the table in which it counted. What one then sees is that some
node is not in the graph, because it goes on as with models of TensorFlow 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from export.lowering.tables import constant_tables
from pipeline.core.errors import ConversionFailed


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


def check_tables_fit(saved_model: Path, *, label: str) -> None:
    """Raise ConversionFailed where a table holds integers beyond 32 bits.

    TF.js has no others, and the converter cuts them off: 2^33 + 1 becomes the key 1, and takes its place.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    every = (table for graph in content.meta_graphs for table in constant_tables(graph).values())
    for part in (part for table in every for part in table):
        if part.dtype == np.int64 and part.size and not np.array_equal(part, part.astype(np.int32)):
            wide = part[part != part.astype(np.int32)]
            raise ConversionFailed(
                f"{label}: a lookup table holds {wide.size} integers beyond 32 bits, such as {wide[0]}; TF.js has none",
                hint="number what is looked up anew, look it up before the model, or leave out the browser (--target)",
            )
