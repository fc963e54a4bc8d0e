"""What a person or a program can load again: each line's worst samples with both answers, and long lists of flips."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline import golden
from pipeline.core.outcome import Recording
from pipeline.golden import Golden
from pipeline.parity.comparison import BatchComparison, OutputComparison
from pipeline.parity.report.report import Report
from pipeline.parity.row import Row
from pipeline.parity.scores import FLIPS_LISTED, every_flip

WORST_FOLDER = "worst"
FLIPS_FOLDER = "flips"
_MOST_BYTES = 8_000_000


def named(row: Row) -> Row:
    """The row with the names of its files, relative to the report, that `write` will make."""
    name = row.label.replace("/", "-").replace(" ", "-")
    return msgspec.structs.replace(
        row,
        worst_file=f"{WORST_FOLDER}/{name}.safetensors" if _worst(row) is not None else None,
        flips_file=f"{FLIPS_FOLDER}/{name}.csv" if any(True for _ in _many_flips(row)) else None,
    )


def write(report: Report, recordings: Mapping[str, Recording], kept: Golden, folder: Path) -> None:
    """Write the files that the rows name into `folder`. `recordings` are by the rows' labels."""
    for row in report.rows:
        if row.worst_file is not None:
            _write_worst(row, recordings[row.label], kept, folder / row.worst_file)
        if row.flips_file is not None:
            _write_flips(row, recordings[row.label], kept, folder / row.flips_file)


def _write_worst(row: Row, recording: Recording, kept: Golden, file: Path) -> None:
    found = _worst(row)
    if found is None:
        raise ValueError(f"{row.label} has no worst samples")
    batch, output = found
    bytes_each = sum(array[:1].nbytes for array in kept.inputs.values())
    most = max(1, _MOST_BYTES // max(bytes_each, 1))
    rows = np.array([one.sample for one in output.worst_samples][:most], dtype=np.int64)
    tensors: dict[str, NDArray[Any]] = {"samples": rows}
    tensors |= {f"inputs/{name}": array[rows] for name, array in kept.inputs.items()}
    tensors |= {f"reference/{name}": array[rows] for name, array in kept.reference.items()}
    answers = recording.outputs[batch.batch_size]
    tensors |= {
        f"answers/{name}": array[rows]
        for name, array in answers.items()
        if array.ndim and len(array) == len(kept.reference[output.output])
    }
    metadata = {
        "target": row.target,
        "precision": str(row.precision),
        "batch_size": str(batch.batch_size),
        "output": output.output,
        "artifact": row.digest or "",
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    golden.save_tensors(tensors, file, metadata=metadata)


def _write_flips(row: Row, recording: Recording, kept: Golden, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["batch_size", "output", "sample", "place", "reference", "target", "margin", "near_tie"])
        for batch, output in _many_flips(row):
            got = recording.outputs[batch.batch_size][output.output]
            for flip in every_flip(kept.reference[output.output], got):
                place = " ".join(map(str, flip.place[1:]))
                table.writerow(
                    [
                        batch.batch_size,
                        output.output,
                        flip.place[0],
                        place,
                        flip.want,
                        flip.got,
                        repr(flip.margin),
                        int(flip.near_tie),
                    ]
                )


def _many_flips(row: Row) -> Iterator[tuple[BatchComparison, OutputComparison]]:
    """Where more best classes changed than the report lists."""
    for batch in () if row.comparison is None else row.comparison.batches:
        for output in batch.outputs:
            if output.scores is not None and output.scores.clear_flips + output.scores.near_ties > FLIPS_LISTED:
                yield batch, output


def _worst(row: Row) -> tuple[BatchComparison, OutputComparison] | None:
    """The output, at the batch size, whose worst sample uses most of its tolerance; None when none is off at all."""
    found = [
        (batch, output)
        for batch in (() if row.comparison is None else row.comparison.batches)
        for output in batch.outputs
        if output.worst_samples
    ]
    return max(found, key=lambda one: one[1].worst_samples[0].tolerance_used, default=None)
