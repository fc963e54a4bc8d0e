"""How long a whole adoption takes, as ratios to the bare converters one after the other: part of `make bench-convert`.

The bare side is a script as a person would write it: it loads the `.keras` file, exports it, and calls the converters
for what an adoption makes, int8 with as many representative samples among it. It checks nothing. Ours is `tripoint
adopt`, until the last artifact lies there, while the other core already compares; then it is interrupted. With
`--verdict` it goes on until every server, runtime and browser has answered, which nothing bare does: without a
graphics card, a browser takes minutes over images of 224 pixels. Memory is what the whole machine has less of at the
worst moment, which takes browsers and servers in, and is right only where nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.config import ConvertConfig
from pipeline.core.errors import ExitStatus
from pipeline.golden import load_tensors
from pipeline.taking_in import REPRESENTATIVE_FILE

ROOT = Path(__file__).resolve().parents[2]
TRIPOINT = Path(sys.executable).parent / "tripoint"
MODELS = ("MobileNetV2", "VGG16")

CONVERSIONS = len(ConvertConfig().tflite + ConvertConfig().tfjs)

# The last but one is a run's that did all its work and calls a cell inconclusive.
_ENDINGS = {ExitStatus.AGREES, ExitStatus.DISAGREES, ExitStatus.ENVIRONMENT, ExitStatus.INTERRUPTED}

MAKE = """
import sys, keras
keras.utils.set_random_seed(0)
getattr(keras.applications, sys.argv[1])(weights=None).save(sys.argv[2])
"""

BARE = """
import sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf
from export.tensorflowjs_import import graph_model_converter
source, into, samples = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
model = keras.models.load_model(source)
model.export(into / "saved_model", verbose=False)
learned = np.random.default_rng(0).random((samples, 1, *model.inputs[0].shape[1:]), np.float32)
for precision in ("float32", "float16", "dynamic", "int8"):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(into / "saved_model"))
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([sample] for sample in learned)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (into / f"{precision}.tflite").write_bytes(converter.convert())
convert = graph_model_converter().convert_tf_saved_model
for precision in (None, "float16", "uint8"):
    quantized = precision and {precision: "*"}
    convert(str(into / "saved_model"), str(into / str(precision)), quantization_dtype_map=quantized)
"""


@dataclass(frozen=True)
class Took:
    """Seconds from the start of a command, and how many megabytes the machine had less at the worst moment."""

    seconds: float
    peak_mb: float
    artifacts: float | None = None
    """Seconds until all conversions were done, where the command says when that was."""


def available_mb() -> float:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) / 1024


def watched(command: list[str], folder: Path, *, to_the_end: bool = True) -> Took:
    """Run the command, which must end with 0 or with another verdict: weights are random, and so may int8 be."""
    before = least = available_mb()
    artifacts: float | None = None
    log: list[str] = []

    def read(process: subprocess.Popen[str], lines: IO[str]) -> None:
        nonlocal artifacts
        for line in lines:
            log.append(line)
            if (
                artifacts is None
                and sum(re.match(r"convert .*: done", said) is not None for said in log) == CONVERSIONS
            ):
                artifacts = time.perf_counter() - started
                if not to_the_end:
                    process.terminate()

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        reader = threading.Thread(target=read, args=(process, process.stderr))
        reader.start()
        while process.poll() is None:
            if artifacts is None or to_the_end:
                least = min(least, available_mb())
            time.sleep(0.2)
        seconds = time.perf_counter() - started
        reader.join()
    if process.returncode not in _ENDINGS:
        raise SystemExit(f"{' '.join(command[:2])} ended with {process.returncode}:\n{''.join(log[-20:])}")
    return Took(seconds=seconds, peak_mb=before - least, artifacts=artifacts)


def learned_from(folder: Path) -> int:
    """How many representative samples the adoption in this folder took."""
    (path,) = (folder / ".tripoint").rglob(REPRESENTATIVE_FILE)
    return len(next(iter(load_tensors(path).values())))


def compared(name: str, *, verdict: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-adopt-") as scratch:
        folder = Path(scratch)
        source = folder / f"{name.lower()}.keras"
        watched([sys.executable, "-c", MAKE, name, str(source)], folder)
        ours = watched([str(TRIPOINT), "adopt", str(source), "--verbose"], folder, to_the_end=verdict)
        alone = watched([sys.executable, "-c", BARE, str(source), str(folder), str(learned_from(folder))], folder)
    if ours.artifacts is None:
        raise SystemExit(f"the adoption of {name} did not convert everything")
    times = {"to the artifacts": ours.artifacts} | ({"to the verdict": ours.seconds} if verdict else {})
    for what, seconds in times.items():
        print(
            f"{name:<13} {what:<16} bare {alone.seconds:6.1f} s   ours {seconds:6.1f} s   "
            f"ratio {seconds / alone.seconds:.2f}",
            flush=True,
        )
    print(
        f"{name:<13} peak memory      bare {alone.peak_mb:6.0f} MB  ours {ours.peak_mb:6.0f} MB  "
        f"ratio {ours.peak_mb / alone.peak_mb:.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), help="names in keras.applications")
    parser.add_argument("--verdict", action="store_true", help="go on until every target has answered: minutes")
    asked = parser.parse_args()
    for name in asked.models:
        compared(name, verdict=asked.verdict)


if __name__ == "__main__":
    main()
