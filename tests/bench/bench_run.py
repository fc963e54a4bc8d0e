"""How long the main job takes, as ratios from one interleaved run: `make bench`.

The yardstick is a bare script that only imports TensorFlow and trains the same model, as a person would write it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRIPOINT = Path(sys.executable).parent / "tripoint"

BARE = """
import tensorflow as tf
import keras
from models import digits
keras.utils.set_random_seed(0)
data = digits.data()
model = digits.build()
model.fit(data.train.inputs["image"], data.train.targets["probabilities"], batch_size=32, epochs=20, verbose=0)
print(model.evaluate(data.test.inputs["image"], data.test.targets["probabilities"], verbose=0))
"""


def timed(command: list[str], folder: Path) -> float:
    """Seconds of wall time; the command must succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def processor_seconds() -> float:
    """What every process on this machine has used so far: browsers and servers are nobody's children for long."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _waiting, *_ = ticks
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    bare: list[float] = []
    cold: list[float] = []
    warm: list[float] = []
    helps: list[float] = []
    work: list[float] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="tripoint-bench-") as folder:
            here = Path(folder)
            shutil.copy(ROOT / "tripoint.toml", here)
            bare.append(timed([sys.executable, "-c", BARE], ROOT))
            before = processor_seconds()
            cold.append(timed([str(TRIPOINT), "run", "digits", "--quiet"], here))
            work.append(processor_seconds() - before)
            warm.append(timed([str(TRIPOINT), "run", "digits", "--quiet"], here))
            helps.append(timed([str(TRIPOINT), "--help"], here))
        print(
            f"round {number + 1}: bare {bare[-1]:.1f} s, cold run {cold[-1]:.1f} s ({cold[-1] / bare[-1]:.2f} x), "
            f"second run {warm[-1]:.2f} s, --help {helps[-1]:.2f} s",
            flush=True,
        )
    ratio = statistics.median(c / b for c, b in zip(cold, bare, strict=True))
    print(f"cold run / bare script   {ratio:.2f}   (aim: at most 1.50)")
    needed = statistics.median(w / b for w, b in zip(work, bare, strict=True)) / (os.cpu_count() or 1)
    print(
        f"processor time           {statistics.median(work):.1f} s, on all cores at once {needed:.2f} x the bare script"
    )
    print(f"second run               {statistics.median(warm):.2f} s (aim: at most 1 s)")
    print(f"tripoint --help          {statistics.median(helps):.2f} s (aim: at most 0.25 s)")


if __name__ == "__main__":
    main()
