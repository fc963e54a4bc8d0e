"""What preflight knows, told with the error of a conversion or of a runtime."""

from __future__ import annotations

from pathlib import Path

import msgspec

from export.inventory import Inventory
from pipeline.core.artifact import Format
from pipeline.core.outcome import Errored
from pipeline.preflight.judge import obstacles_in_message

INVENTORY_FILE = "inventory.json"


def inventory_in(folder: Path) -> Inventory:
    """What the preflight step left in the folder."""
    return msgspec.json.decode((folder / INVENTORY_FILE).read_bytes(), type=Inventory)


def explained(error: Errored, kind: Format, inventory: Inventory, *, lowering: bool, ships: str) -> Errored:
    """The error with the layers that the operations in it come from, and what helps; unchanged where none is named.

    `ships` says what helps against all of them, where something does; else it is empty.
    """
    found = obstacles_in_message(error.problem, kind, inventory, lowering=lowering)
    told = [
        f"`{one.operation}` comes from {', '.join(f'`{layer}`' for layer in one.layers)}: {one.helps}"
        for one in found
        if one.layers
    ]
    return Errored(problem=error.problem, hint="; ".join([*told, *filter(None, [ships])])) if told else error
