"""Files that installed packages ship: real data that needs no download, and no import of what ships it."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path


def package_file(package: str, inside: str) -> Path:
    """The file's path; `inside` counts from where the package is installed. Raises PackageNotFoundError."""
    return Path(str(distribution(package).locate_file(inside)))
