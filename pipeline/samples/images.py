"""A folder of images as samples: resized to the input, and scaled to its range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.signature import TensorSpec
from pipeline.samples.npz import spread_rows
from pipeline.samples.wanted import described

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_WHITE = 255.0
_WHITE_OF_16_BITS = 65535.0
_WITHOUT_WHITE = ("I", "F")


def image_files(folder: Path) -> list[Path]:
    """The images below the folder, sorted by their path. Raises UsageError when there is none."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise UsageError(f"--samples {folder} holds no images", hint=f"images end in {', '.join(SUFFIXES)}")
    return files


def read_images(
    folder: Path, spec: TensorSpec, *, count: int, ranges: dict[str, tuple[float, float]]
) -> dict[str, NDArray[Any]]:
    """At most `count` images, evenly spread over the sorted files, [samples, rows, columns, colours].

    Each is resized (bilinear, without keeping its proportions) to the input's fixed size. Integer inputs get 0 to 255,
    others have black as the low and white as the high end of the input's range: 0 to 1 unless `ranges` says otherwise.
    Raises UsageError for an input that is no image, and for a file that cannot be read.
    """
    rows, columns, colours = _size(spec)
    files = image_files(folder)
    chosen = [files[at] for at in spread_rows(len(files), count)]
    low, high = ranges.get(spec.name, (0.0, _WHITE if np.dtype(spec.dtype).kind in "iu" else 1.0))
    pixels = np.stack([_pixels(file, _MODES[colours], (columns, rows)) for file in chosen])
    scaled = low + (high - low) / _WHITE * pixels.reshape(len(chosen), rows, columns, colours)
    dtype = np.dtype(spec.dtype)
    return {spec.name: (np.rint(scaled) if dtype.kind in "iu" else scaled).astype(dtype)}


def _size(spec: TensorSpec) -> tuple[int, int, int]:
    sizes = spec.shape[1:]
    numbers = spec.dtype not in ("string", "bool")
    if not numbers or len(sizes) != 3 or None in sizes[:2] or sizes[2] not in _MODES:
        raise UsageError(
            f"--samples: images do not fit the input {described([spec])}",
            hint="images are read for inputs of shape [rows, columns, 1, 3 or 4]; give an .npz else",
        )
    rows, columns, colours = (int(size or 0) for size in sizes)
    return rows, columns, colours


def _pixels(file: Path, mode: str, size: tuple[int, int]) -> NDArray[np.float64]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return _converted(image, mode, size, file)
    # Pillow calls a damaged PNG a SyntaxError, and refuses sizes that no memory holds.
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UsageError(
            f"--samples: {file} cannot be read as an image: {error}", hint="remove it, or save it again"
        ) from error


def _converted(image: Any, mode: str, size: tuple[int, int], file: Path) -> NDArray[np.float64]:
    """Pixels of 0 to 255, [rows, columns] or [rows, columns, colours] as `mode` has them."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        # Converted by Pillow, all that is above 255 of 65535 becomes white.
        grey = Image.fromarray(np.asarray(image, dtype=np.float32) * np.float32(_WHITE / _WHITE_OF_16_BITS))
        pixels = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), dtype=np.float64)
        opaque = [np.full_like(pixels, _WHITE)] if mode == "RGBA" else []
        return pixels if mode == "L" else np.stack([pixels, pixels, pixels, *opaque], axis=-1)
    if image.mode in _WITHOUT_WHITE:
        raise UsageError(
            f"--samples: {file} holds numbers of 32 bits (Pillow's mode {image.mode}), and does not say which is white",
            hint="save it with 8 bits a colour, or give the numbers in an .npz",
        )
    return np.asarray(image.convert(mode).resize(size, Image.Resampling.BILINEAR), dtype=np.float64)
