"""`python -m serving.image`: build the image of the embedded server and print its tag."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.core.errors import TripointError
from pipeline.core.progress import Progress
from serving.image.build import ensure_image


def _say(event: Progress) -> None:
    sys.stderr.write(f"{event.message}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.image", description=__doc__)
    parser.add_argument("--certificates", type=Path, help="PEM file that pip trusts during the build")
    arguments = parser.parse_args()
    try:
        tag = ensure_image(certificates=arguments.certificates, observer=_say)
    except TripointError as error:
        sys.stderr.write(f"error: {error.problem}\nhint: {error.hint}\n")
        return int(error.exit_status)
    sys.stdout.write(f"{tag}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
