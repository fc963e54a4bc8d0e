"""One deployment fault: what is broken, where it runs, and what a diagnosis should call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.materials import Material
from tests.faults.rig import Rig, Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Workbench:
    """What a fault is made with: the rig, the three materials, and an empty folder of its own."""

    rig: Rig
    digits: Material
    scene: Material
    blocks: Material
    folder: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Fault:
    """`causes` are the names that are right for it. `layer` is where it lies, in Keras' name, or None.

    `quick` faults run in `make test`.
    """

    name: str
    group: str
    inflict: Callable[[Workbench], Run]
    causes: frozenset[str]
    layer: str | None = None
    quick: bool = False


class Group:
    """Collects the faults of one file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[Fault] = []

    def fault(
        self, name: str, *causes: str, layer: str | None = None, quick: bool = False
    ) -> Callable[[Callable[[Workbench], Run]], Callable[[Workbench], Run]]:
        """Register the function that inflicts it."""

        def register(inflict: Callable[[Workbench], Run]) -> Callable[[Workbench], Run]:
            self.faults.append(
                Fault(name=name, group=self.name, inflict=inflict, causes=frozenset(causes), layer=layer, quick=quick)
            )
            return inflict

        return register
