"""The program behind `make faults`: inflicts every fault, prints what was caught and how it was named."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault, Workbench
from tests.faults.materials import composed, digits, pictures
from tests.faults.results import Result, enough, not_inflicted, rendered, result_of, written
from tests.faults.rig import rig


def main() -> None:
    """Exit with 0 only when every fault was caught and at least 90 % were named rightly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=["*"], nargs="+", help="patterns of fault names or groups")
    parser.add_argument("--into", type=Path, default=Path("build/faults"), help="where the table is written")
    parser.add_argument("--materials", type=Path, help="keep the trained models here")
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS if any(_matches(fault, pattern) for pattern in arguments.only)]
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        results = inflicted(chosen, scratch, arguments.materials or scratch / "materials")
    written(results, arguments.into)
    print(rendered(results))
    sys.exit(0 if enough(results) else 1)


def _matches(fault: Fault, pattern: str) -> bool:
    return any(fnmatch.fnmatch(of, pattern) for of in (fault.name, fault.group))


def inflicted(faults: list[Fault], scratch: Path, materials: Path) -> list[Result]:
    """Every fault's result, each said as it comes."""
    results = []
    (scratch / "runtimes").mkdir()
    with rig(scratch / "runtimes") as booted:
        sound = {
            "digits": digits(materials / "digits"),
            "scene": pictures(materials / "scene"),
            "blocks": composed(materials / "blocks"),
        }
        for number, fault in enumerate(faults):
            started = time.perf_counter()
            folder = scratch / f"fault-{number}"
            bench = Workbench(rig=booted, **sound, folder=folder)
            try:
                result = result_of(fault, fault.inflict(bench), seconds=time.perf_counter() - started)
            except Exception:  # noqa: BLE001  # one fault that cannot be inflicted must not hide the others
                result = not_inflicted(fault, traceback.format_exc())
            print(result.line, file=sys.stderr, flush=True)
            results.append(result)
    return results


if __name__ == "__main__":
    # TensorFlow's start-up talk would hide the table.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
