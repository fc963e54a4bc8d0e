"""Is comparing the bottleneck? 50,000 samples of 1,000 scores, streamed, beside what makes them: `make bench-parity`.

The producers are the runtimes of the project on a MobileNetV2 of 1,000 classes (96 x 96, a third of the width, the
smallest that Keras ships), each asked for a few samples and scaled up. All times are of one run on this machine.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.runtime import EdgeProcess
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.target import Runtime
from pipeline.parity.compare import OutputComparer
from pipeline.parity.comparison import OutputComparison
from pipeline.parity.tolerances import Tolerance
from web_demo.runtime import Browser

CLASSES = 1000
CHUNK = 500
SIZE = 96


def chunks(samples: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]]:
    """Scores as a classifier gives them, the same with noise of float16, and the right classes."""
    rng = np.random.default_rng(0)
    for start in range(0, samples, CHUNK):
        logits = rng.standard_normal((min(CHUNK, samples - start), CLASSES), dtype=np.float32) * 3
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        noise = 1 + 1e-3 * rng.standard_normal(scores.shape, dtype=np.float32)
        yield scores, scores * noise, scores.argmax(axis=1)


def compared(samples: int) -> tuple[OutputComparison, float]:
    """The comparison, and the seconds of processor time that it took without making what is compared."""
    tolerance = Tolerance(atol=1e-2, rtol=1e-3, top1=0.99, accuracy_drop=0.01, reason="the bench", source="the bench")
    comparer = OutputComparer("scores", tolerance, scores=True)
    seconds = 0.0
    for want, got, labels in chunks(samples):
        started = time.process_time()
        comparer.feed(want, got, labels)
        seconds += time.process_time() - started
    started = time.process_time()
    found = comparer.finish()
    return found, seconds + time.process_time() - started


def peak_of_comparing(samples: int) -> float:
    """The most that the comparer and two chunks hold at once, in MB, as Python and NumPy account for it."""
    tracemalloc.start()
    compared(samples)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def milliseconds_a_sample(folder: Path) -> dict[str, float]:
    """How long each runtime takes for one sample at batch size 8."""
    import keras

    from export.saved_model_from_keras import saved_model_from_keras
    from export.tfjs_from_saved_model import tfjs_from_saved_model
    from export.tflite_from_saved_model import tflite_from_saved_model

    model = keras.applications.MobileNetV2((SIZE, SIZE, 3), alpha=0.35, weights=None, classes=CLASSES)
    images = np.random.default_rng(0).random((8, SIZE, SIZE, 3), dtype=np.float32)
    samples = {model.inputs[0].name: images}
    signature = saved_model_from_keras(
        model,
        into=folder / "saved_model",
        version=1,
        output_names=("scores",),
        model_name="wide",
        warmup_samples={name: array[:1] for name, array in samples.items()},
        input_checks=True,
    )
    (folder / "tfjs").mkdir()
    tfjs_from_saved_model(
        folder / "saved_model/1", into=folder / "tfjs", signature=signature, precision=Precision.FLOAT32
    )
    tflite_from_saved_model(
        folder / "saved_model/1",
        into=folder / "wide.tflite",
        signature=signature,
        precision=Precision.FLOAT32,
        representative=samples,
    )

    def artifact(kind: Format, path: Path) -> Artifact:
        return Artifact(
            model="wide",
            format=kind,
            precision=Precision.FLOAT32,
            path=path,
            signature=signature,
            digest="",
            made_from=None,
            size_bytes=0,
        )

    places: list[tuple[str, Runtime, str, Artifact]] = [
        ("edge/litert", EdgeProcess(library="litert"), "", artifact(Format.TFLITE, folder / "wide.tflite")),
        *(
            (f"browser/{backend}", Browser(), backend, artifact(Format.TFJS, folder / "tfjs"))
            for backend in ("wasm", "webgl", "cpu")
        ),
    ]
    found: dict[str, float] = {}
    for name, runtime, variant, made in places:
        scratch = folder / name.replace("/", "-")
        scratch.mkdir()
        with runtime.boot(scratch) as session, session.load(made, variant) as runner:
            runner.run(samples, batch_size=8)
            found[name] = float(runner.run(samples, batch_size=8).call_seconds.sum()) * 1000 / len(images)
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--samples", type=int, default=50_000)
    samples = int(asked.parse_args().samples)
    started = time.perf_counter()
    found, seconds = compared(samples)
    wall = time.perf_counter() - started
    resident: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few, many = peak_of_comparing(samples // 20), peak_of_comparing(samples // 5)
    scores = found.scores
    assert scores is not None
    print(f"{samples:,} samples x {CLASSES:,} classes, fed {CHUNK} at a time: {len(found.findings)} findings")
    print(f"comparing           {seconds:8.1f} s   of processor time, {seconds / samples * 1e6:.0f} us a sample")
    print(f"                    {wall:8.1f} s   of wall time, making the samples included")
    print(f"memory, traced      {many:8.1f} MB  for {samples // 5:,} samples; {few:.1f} MB for {samples // 20:,}")
    print(f"memory, process     {resident:8.1f} MB  at most, with Python and NumPy")
    with tempfile.TemporaryDirectory() as folder:
        producers = milliseconds_a_sample(Path(folder))
    for name, milliseconds in sorted(producers.items(), key=lambda one: one[1]):
        produced = milliseconds * samples / 1000
        print(f"{name:<20}{produced:8.1f} s   {produced / wall:.1f} x comparing ({milliseconds:.2f} ms a sample)")
    slowest = max(producers.values()) * samples / 1000
    print(f"comparing takes {wall / slowest:.1%} of what the slowest runtime needs to produce the answers")
    if wall >= slowest:
        raise SystemExit("comparing is the bottleneck")


if __name__ == "__main__":
    main()
