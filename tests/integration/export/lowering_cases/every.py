"""The list of all cases: a new one is a line in the file of its kind."""

from __future__ import annotations

from tests.integration.export.lowering_cases import arithmetic, control, convolutions, images, matrices, tables

CASES = [*arithmetic.CASES, *control.CASES, *convolutions.CASES, *images.CASES, *matrices.CASES, *tables.CASES]
