"""Preflight as text, JSON and Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pipeline.core.wording import capitalized
from pipeline.preflight.findings import Obstacle, Preflight

_MARKS = {"runs": "ok  ", "converts": "ok  ", "not tried": "?   ", "will not run": "FAIL"}


def as_json(found: Preflight) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def as_text(found: Preflight) -> str:
    """A table by target, then every obstacle once, with the lines that it is in the way of."""
    width = max((len(line.target) for line in found.lines), default=0)
    rows = [
        f"{_MARKS[line.outlook]}  {line.target:<{width}}  {line.precision:<8}  {line.outlook}" for line in found.lines
    ]
    return "\n".join([*rows, *_obstacles_as_text(found), *_lowered_as_text(found), *_said_last(found)])


def as_markdown(found: Preflight) -> str:
    """The same for people who read it beside the report."""
    rows = [f"| {line.target} | {line.precision} | {line.outlook} |" for line in found.lines]
    parts = [f"# Preflight of {found.model}", "", "| target | precision | outlook |", "|---|---|---|", *rows]
    for obstacle, places in _by_obstacle(found):
        parts += ["", f"- {obstacle.sentence()} ({', '.join(places)}). {capitalized(obstacle.helps)}."]
    parts += [f"- Lowered for {kind}: {sentence}." for kind, sentence in _lowered(found)]
    return "\n".join([*parts, *(f"- {note}." for note in (*found.notes, *_missing(found))), ""])


def _missing(found: Preflight) -> tuple[str, ...]:
    return () if found.missing is None else (f"not looked at everywhere: {found.missing}",)


def _obstacles_as_text(found: Preflight) -> Iterator[str]:
    for obstacle, places in _by_obstacle(found):
        yield ""
        yield f"{obstacle.sentence()}"
        yield f"    in the way of  {', '.join(places)}"
        yield f"    what helps     {obstacle.helps}"


def _lowered_as_text(found: Preflight) -> Iterator[str]:
    for position, (kind, sentence) in enumerate(_lowered(found)):
        if position == 0:
            yield ""
        yield f"lowered for {kind}: {sentence}"


def _said_last(found: Preflight) -> Iterator[str]:
    for position, note in enumerate((*found.notes, *_missing(found))):
        if position == 0:
            yield ""
        yield note


def _lowered(found: Preflight) -> list[tuple[str, str]]:
    pairs = [(line.target.partition("/")[0], sentence) for line in found.lines for sentence in line.lowered]
    return list(dict.fromkeys(pairs))


def _by_obstacle(found: Preflight) -> list[tuple[Obstacle, list[str]]]:
    """Every obstacle with where it is in the way: a target alone where it is for all of its precisions."""
    places: dict[Obstacle, dict[str, list[str]]] = {}
    every: dict[str, list[str]] = {}
    for line in found.lines:
        every.setdefault(line.target, []).append(line.precision)
        for obstacle in line.obstacles:
            places.setdefault(obstacle, {}).setdefault(line.target, []).append(line.precision)
    return [
        (
            obstacle,
            [
                target if precisions == every[target] else f"{target} {' '.join(precisions)}"
                for target, precisions in where.items()
            ],
        )
        for obstacle, where in places.items()
    ]
