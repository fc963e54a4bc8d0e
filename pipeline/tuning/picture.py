"""The frontier as a picture: size to the right, SQNR upwards, one dot a variant, those named that none beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from pipeline.core.artifact import Format
from pipeline.tuning.trial import Trial, frontier

WIDTH, HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 44, 56
_COLOURS = {Format.TFLITE: "#b3541e", Format.TFJS: "#1f6f8b"}
_TICKS = 5
# A variant that answers the very same has no finite SQNR; it is drawn at the top, where float32 ends.
_EQUAL_DB = 150.0


def svg(trials: Sequence[Trial], chosen: Sequence[Trial], *, title: str) -> str:
    """An SVG document. Variants without figures are left out; there must be one that has some."""
    drawn = [trial for trial in trials if trial.size_bytes is not None and _db(trial) is not None]
    if not drawn:
        raise ValueError("no variant has a size and an SQNR")
    sizes = [float(trial.size_bytes or 0) for trial in drawn]
    levels = [_db(trial) or 0.0 for trial in drawn]
    scale = _Scale(
        left=0.9 * min(sizes), right=1.1 * max(sizes), low=min(0.0, *levels), high=10 * math.ceil(max(levels) / 10)
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="system-ui">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
        *_axes(scale),
    ]
    named = list(chosen)
    for kind, colour in _COLOURS.items():
        line = frontier([trial for trial in drawn if trial.format is kind])
        named += line
        points = " ".join(f"{scale.x(trial):.1f},{scale.y(trial):.1f}" for trial in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5" opacity="0.5"/>')
    placed: list[tuple[float, float]] = []
    for trial in sorted(drawn, key=scale.x):
        parts += _dot(trial, scale, ringed=trial in chosen)
        if trial in named:
            parts.append(_name(trial, scale, placed))
    parts += _legend({kind: colour for kind, colour in _COLOURS.items() if any(t.format is kind for t in drawn)})
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Bytes, logarithmic, and decibels as places in the picture."""

    def __init__(self, *, left: float, right: float, low: float, high: float) -> None:
        self.left, self.right, self.low, self.high = math.log(left), math.log(right), low, max(high, low + 10)

    def x_of(self, size: float) -> float:
        share = (math.log(size) - self.left) / (self.right - self.left)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y_of(self, level: float) -> float:
        share = (level - self.low) / (self.high - self.low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def x(self, trial: Trial) -> float:
        return self.x_of(float(trial.size_bytes or 1))

    def y(self, trial: Trial) -> float:
        return self.y_of(_db(trial) or 0.0)


def _axes(scale: _Scale) -> list[str]:
    parts = []
    for step in range(_TICKS + 1):
        level = scale.low + step * (scale.high - scale.low) / _TICKS
        y = scale.y_of(level)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" font-size="11" text-anchor="end">{level:.0f}</text>')
        size = math.exp(scale.left + step * (scale.right - scale.left) / _TICKS)
        at = f'x="{scale.x_of(size):.1f}" y="{HEIGHT - _BOTTOM + 18}"'
        parts.append(f'<text {at} font-size="11" text-anchor="middle">{_kilobytes(size)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" font-size="12" text-anchor="middle">size of the files</text>')
    parts.append(f'<text x="{_LEFT - 44}" y="{_TOP - 6}" font-size="12">SQNR, dB</text>')
    return parts


def _dot(trial: Trial, scale: _Scale, *, ringed: bool) -> list[str]:
    x, y, colour = scale.x(trial), scale.y(trial), _COLOURS[trial.format]
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{escape(trial.label)}</title></circle>'
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="none" stroke="{colour}" stroke-width="2"/>' if ringed else ""
    return [dot, ring]


def _name(trial: Trial, scale: _Scale, placed: list[tuple[float, float]]) -> str:
    x, at = scale.x(trial), scale.y(trial) - 12
    label = f"{trial.precision}{' + ' + str(len(trial.kept)) if trial.kept else ''}"
    # Moved up until it covers no other name.
    while any(abs(x - other_x) < 60 and abs(at - other_y) < 11 for other_x, other_y in placed):
        at -= 11
    placed.append((x, at))
    colour = _COLOURS[trial.format]
    return f'<text x="{x:.1f}" y="{at:.1f}" font-size="10" text-anchor="middle" fill="{colour}">{escape(label)}</text>'


def _legend(colours: Mapping[Format, str]) -> list[str]:
    names = {Format.TFLITE: "TFLite on LiteRT", Format.TFJS: "TF.js on wasm"}
    return [
        f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - _BOTTOM - 24 + 15 * row}" font-size="12" text-anchor="end" '
        f'fill="{colour}">{names[kind]}</text>'
        for row, (kind, colour) in enumerate(colours.items())
    ]


def _db(trial: Trial) -> float | None:
    found = None if trial.quality is None else trial.quality.sqnr_db
    return None if found is None else min(found, _EQUAL_DB)


def _kilobytes(size: float) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
