"""All faults, group by group."""

from __future__ import annotations

from tests.faults.browser import BROWSER
from tests.faults.graph import GRAPH
from tests.faults.preprocessing import PREPROCESSING
from tests.faults.quantization import QUANTIZATION
from tests.faults.runtime import RUNTIME
from tests.faults.server import SERVER
from tests.faults.signature import SIGNATURE
from tests.faults.structure import STRUCTURE
from tests.faults.weights import WEIGHTS

GROUPS = (WEIGHTS, GRAPH, STRUCTURE, SIGNATURE, PREPROCESSING, QUANTIZATION, RUNTIME, SERVER, BROWSER)
FAULTS = [fault for group in GROUPS for fault in group.faults]
