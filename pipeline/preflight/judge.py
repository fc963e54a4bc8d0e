"""From facts to findings: pure, so that every rule can be tested without a converter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from export.inventory import Inventory, Operation
from export.lowered_saved_model import Used
from pipeline.core.artifact import Format
from pipeline.preflight.advice import advice
from pipeline.preflight.findings import Line, Obstacle, Outlook, Trial
from web_demo.kernels import Kernels

# Where it was met: nodes, which may be called like operations, as `StatefulPartitionedCall`.
_PLACES = re.compile(r"\(at [^)]*\)")
_NAMED_BY_TFLITE = re.compile(r"'tf\.(\w+)' op")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One artifact on one target. `made` and `loaded` are None where that was not tried; `backend` is a browser's."""

    target: str
    kind: Format
    precision: str
    made: Trial | None
    loaded: Trial | None = None
    backend: str | None = None


def line_of(asked: Asked, inventory: Inventory, kernels: Kernels | None, *, lowering: bool) -> Line:
    """Whether the artifact will run there, and why not. `kernels` None means that nobody knows what TF.js has."""
    obstacles = tuple(_obstacles(asked, inventory, kernels, lowering=lowering))
    unknown = asked.kind is Format.TFJS and kernels is None
    return Line(
        target=asked.target,
        precision=asked.precision,
        outlook=Outlook.UNTRIED if unknown and not obstacles else _outlook(asked, obstacles),
        obstacles=obstacles,
        lowered=tuple(sentence_of(used) for used in inventory.lowered.get(asked.kind, ())),
    )


def obstacles_in_message(problem: str, kind: Format, inventory: Inventory, *, lowering: bool) -> list[Obstacle]:
    """The operations that a converter's or runtime's message names, with the layers that they come from."""
    found = {operation.name: operation for operation in (*inventory.tfjs_lacks, *inventory.tfjs, *inventory.model)}
    said = _PLACES.sub("", problem)
    named = list(dict.fromkeys(_NAMED_BY_TFLITE.findall(said))) or [
        name for name in found if re.search(rf"(?<![\w/]){name}(?![\w/])", said)
    ]
    return [
        Obstacle(
            operation=name,
            layers=found[name].layers if name in found else (),
            why=_WHY[kind],
            helps=advice(name, kind, layers=found[name].layers if name in found else (), lowering=lowering),
        )
        for name in named
    ]


def sentence_of(used: Used) -> str:
    """What a lowering did, with how often."""
    times = "once" if len(used.nodes) == 1 else f"{len(used.nodes)} times"
    return f"{used.lowering}: {used.operation} as {used.becomes}, {times}"


_WHY = {
    Format.TFLITE: "TFLite has no built-in operation for it",
    Format.TFJS: "TF.js has no such operation",
    Format.SAVED_MODEL: "TensorFlow does not know it: it is a custom operation",
    Format.KERAS: "Keras does not know it",
}


def _outlook(asked: Asked, obstacles: Sequence[Obstacle]) -> Outlook:
    if obstacles:
        return Outlook.FAILS
    if asked.made is None:
        return Outlook.UNTRIED if asked.kind is Format.TFLITE else Outlook.RUNS
    return Outlook.CONVERTS if asked.kind is Format.TFLITE and asked.loaded is None else Outlook.RUNS


def _obstacles(asked: Asked, inventory: Inventory, kernels: Kernels | None, *, lowering: bool) -> Iterable[Obstacle]:
    if asked.kind is Format.SAVED_MODEL:
        yield from (
            _obstacle(operation, _WHY[Format.SAVED_MODEL], asked.kind, lowering=lowering)
            for operation in inventory.model
            if not operation.registered
        )
        return
    if asked.kind is Format.TFJS:
        yield from (
            _obstacle(operation, _WHY[Format.TFJS], asked.kind, lowering=lowering) for operation in inventory.tfjs_lacks
        )
        if inventory.tfjs_problem is not None and asked.made is None:
            yield Obstacle(
                operation="", layers=(), why=inventory.tfjs_problem, helps=advice("", asked.kind, lowering=lowering)
            )
        if asked.backend is not None and kernels is not None:
            yield from _missing_kernels(asked.backend, inventory, kernels, lowering=lowering)
    for trial, what in ((asked.made, "converting it failed"), (asked.loaded, "it does not run there")):
        if trial is None or trial.problem is None:
            continue
        named = obstacles_in_message(trial.problem, asked.kind, inventory, lowering=lowering)
        known = {operation.name for operation in inventory.tfjs_lacks} if asked.kind is Format.TFJS else set()
        yield from (obstacle for obstacle in named if obstacle.operation not in known)
        if not named:
            yield Obstacle(operation="", layers=(), why=f"{what}: {trial.problem}", helps=trial.hint)


def _missing_kernels(backend: str, inventory: Inventory, kernels: Kernels, *, lowering: bool) -> Iterable[Obstacle]:
    for operation in inventory.tfjs:
        lacking = kernels.lacking(operation.name, backend)
        if lacking:
            why = f"the {backend} backend of TF.js {kernels.version} has no kernel {', '.join(lacking)}"
            yield _obstacle(operation, why, Format.TFJS, lowering=lowering)


def _obstacle(operation: Operation, why: str, kind: Format, *, lowering: bool) -> Obstacle:
    return Obstacle(
        operation=operation.name,
        layers=operation.layers,
        why=why,
        helps=advice(operation.name, kind, layers=operation.layers, lowering=lowering),
    )


def notes_on(dtypes: Mapping[str, str]) -> tuple[str, ...]:
    """What the dtypes of inputs and outputs mean for a browser: by tensor name."""
    said = {
        "int64": "TF.js has no int64: it computes in int32, so values beyond 2^31 are lost",
        "float64": "TF.js has no float64: it computes in float32",
        "string": "TFLite can look text up in a table, but not take it apart; TF.js splits and hashes it on the cpu",
        "complex64": "TF.js has no kernels for complex numbers on wasm",
    }
    return tuple(
        f"`{name}` is {dtype}: {said[dtype]}" for name, dtype in dtypes.items() if dtype in said
    )  # fmt: skip
