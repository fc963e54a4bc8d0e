"""The ten digits as a hand draws them."""

from __future__ import annotations

Stroke = tuple[tuple[float, float], ...]

# A line a stroke: points in percent of the pad's width and height.
_DRAWINGS = {
    "0": ("50,15 36,20 29,35 28,55 33,74 46,85 60,81 70,66 72,46 67,27 57,17 48,15",),
    "1": ("40,30 53,15 53,50 53,85",),
    "2": ("30,30 38,18 53,14 66,22 67,36 56,53 41,69 28,84 50,83 72,83",),
    "3": ("30,22 45,14 62,18 68,30 60,43 46,48 61,54 69,67 61,80 45,85 29,77",),
    "4": (
        "50,14 38,34 27,55 50,56 74,55",
        "60,35 58,60 56,86",
    ),
    "5": ("68,16 50,16 36,17 33,45 48,41 62,46 68,60 63,76 48,85 31,78",),
    "6": ("60,14 45,26 35,44 31,64 37,80 52,86 65,78 67,64 57,53 43,55 33,66",),
    "7": (
        "28,17 48,16 70,16 60,40 50,62 43,86",
        "36,50 68,50",
    ),
    "8": ("60,22 48,14 36,22 38,36 50,47 63,60 66,75 52,86 37,78 36,63 48,50 60,38 63,26 58,19",),
    "9": ("66,28 54,16 40,20 34,34 42,48 57,46 66,34 66,26 66,50 61,70 52,86",),
}


def strokes(digit: str) -> tuple[Stroke, ...]:
    """The digit's strokes through points in 0..1 of the pad's sides, x first."""
    return tuple(tuple(_point(text) for text in line.split()) for line in _DRAWINGS[digit])


def _point(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return int(x) / 100, int(y) / 100
