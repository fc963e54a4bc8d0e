"""How long converting takes and how much memory, as ratios to the bare converters: `make bench-convert`.

Each side converts the same SavedModel in a process of its own, one conversion after the other, the sides in turns; what
both import is not counted. Ours includes preflight. Time is given on the clock and on the CPU: on a machine that does
other things as well, the latter is what compares.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("digits", "mobilenet_v2", "vgg16")
TFLITE = ("float32", "float16", "dynamic")
TFJS = ("float32", "float16", "uint8")


def exported(name: str, folder: Path) -> Path:
    """A SavedModel of the model with random weights, always the same."""
    import keras
    import numpy as np

    from export.saved_model_from_keras import saved_model_from_keras

    keras.utils.set_random_seed(0)
    match name:
        case "mobilenet_v2":
            model = keras.applications.MobileNetV2(weights=None)
        case "vgg16":
            model = keras.applications.VGG16(weights=None)
        case "digits":
            from models import digits

            model = digits.build()
        case _:
            raise ValueError(f"no model is called {name}; there are {', '.join(MODELS)}")
    signature = saved_model_from_keras(
        model,
        into=folder,
        version=1,
        output_names=("answer",),
        model_name=name,
        warmup_samples={tensor.name: np.zeros((0,), np.float32) for tensor in model.inputs},
    )
    (folder / "signature.json").write_text(json.dumps(signature.to_json()))
    return folder / "1"


def bare(saved_model: Path, into: Path) -> dict[str, Callable[[], object]]:
    """The converters as their own documentation calls them."""
    import tensorflow as tf

    from export.lowered_saved_model import lowered
    from export.tensorflowjs_import import graph_model_converter
    from pipeline.core.artifact import Format

    def tflite(precision: str) -> None:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        (into / f"{precision}.tflite").write_bytes(converter.convert())

    def tfjs(precision: str) -> None:
        # Bare, it refuses every model that checks its inputs.
        with lowered(saved_model, scratch=into, target=Format.TFJS) as source:
            graph_model_converter().convert_tf_saved_model(
                str(source.folder),
                str(into / precision),
                quantization_dtype_map=None if precision == "float32" else {precision: "*"},
            )

    graph_model_converter()
    return _named(tflite, tfjs)


def ours(saved_model: Path, into: Path) -> dict[str, Callable[[], object]]:
    """What the stages of a run call."""
    from export.inventory import inventory_of
    from export.tensorflowjs_import import graph_model_converter
    from export.tfjs_from_saved_model import tfjs_from_saved_model, tfjs_from_tfjs
    from export.tflite_from_saved_model import tflite_from_saved_model
    from pipeline.core.artifact import Precision
    from pipeline.core.signature import Signature

    signature = Signature.from_json(json.loads((saved_model.parent / "signature.json").read_text()))

    def tflite(precision: str) -> None:
        tflite_from_saved_model(
            saved_model,
            into=into / f"{precision}.tflite",
            signature=signature,
            precision=Precision(precision),
            representative={},
        )

    def tfjs(precision: str) -> None:
        folder = into / precision
        folder.mkdir()
        if precision == "float32":
            tfjs_from_saved_model(saved_model, into=folder, signature=signature, precision=Precision.FLOAT32)
        else:
            tfjs_from_tfjs(into / "float32", into=folder, model_name="bench", precision=Precision(precision))

    graph_model_converter()
    looked = {"preflight": lambda: inventory_of(saved_model, signature.name, scratch=into, names=None, lowering=True)}
    return looked | _named(tflite, tfjs)


def _named(tflite: Callable[[str], None], tfjs: Callable[[str], None]) -> dict[str, Callable[[], object]]:
    def call(function: Callable[[str], None], precision: str) -> Callable[[], object]:
        return lambda: function(precision)

    return {f"tflite {precision}": call(tflite, precision) for precision in TFLITE} | {
        f"tfjs {precision}": call(tfjs, precision) for precision in TFJS
    }


def measured(side: str, saved_model: Path, precisions: set[str]) -> None:
    """Run one side in this process, and print what it took as JSON. Preflight is part of it whatever is chosen."""
    with tempfile.TemporaryDirectory(prefix="bench-convert-") as folder:
        steps = {"bare": bare, "ours": ours}[side](saved_model, Path(folder))
        took: dict[str, tuple[float, float]] = {}
        chosen = {name: step for name, step in steps.items() if name == "preflight" or name.split()[1] in precisions}
        for name, step in chosen.items():
            clock, cpu = time.perf_counter(), time.process_time()
            step()
            took[name] = (time.perf_counter() - clock, time.process_time() - cpu)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"took": took, "peak_mb": peak_mb}))


def asked(*arguments: str) -> dict[str, Any]:
    """What a process of its own prints; it must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True, env=environment
    )
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def compared(name: str, saved_model: str, rounds: int, precisions: list[str]) -> None:
    runs: dict[str, list[dict[str, Any]]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        for side, results in runs.items():
            results.append(asked("--side", side, "--precisions", *precisions, "--", saved_model))

    def least(side: str, kind: int, start: str) -> float:
        """The seconds of the quickest round, on the clock (0) or on the CPU (1), of the steps that start so."""
        sums = [sum(took[kind] for step, took in one["took"].items() if step.startswith(start)) for one in runs[side]]
        return float(min(sums))

    parts = (("all", ""), ("TFLite", "tflite"), ("TF.js", "tfjs"), ("TF.js float32", "tfjs float32"))
    for what, start in parts if "float32" in precisions else parts[:3]:
        figures = [least(side, kind, start) for side in ("bare", "ours") for kind in (0, 1)]
        print(
            f"{name:<13} {what:<14} bare {figures[0]:6.1f} s ({figures[1]:6.1f} CPU)   ours {figures[2]:6.1f} s "
            f"({figures[3]:6.1f} CPU)   ratio {figures[2] / figures[0]:.2f} ({figures[3] / figures[1]:.2f} CPU)"
        )
    peaks = [min(one["peak_mb"] for one in runs[side]) for side in ("bare", "ours")]
    print(
        f"{name:<13} {'peak memory':<14} bare {peaks[0]:.0f} MB   ours {peaks[1]:.0f} MB   "
        f"ratio {peaks[1] / peaks[0]:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--rounds", type=int, default=1)
    every = list(dict.fromkeys((*TFLITE, *TFJS)))
    parser.add_argument(
        "--precisions", nargs="+", choices=every, default=every, help="only these; TF.js needs float32 among them"
    )
    parser.add_argument("--side", choices=["bare", "ours", "export"], help="used by itself: one side in this process")
    arguments = parser.parse_args()
    if arguments.side == "export":
        name, folder = arguments.models
        print(json.dumps({"saved_model": str(exported(name, Path(folder)))}))
    elif arguments.side is not None:
        measured(arguments.side, Path(arguments.models[0]), set(arguments.precisions))
    else:
        unknown = set(arguments.models) - set(MODELS)
        if unknown:
            parser.error(f"no model is called {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
        print("aim: a ratio of at most 1.20 in time and in memory")
        for name in arguments.models:
            with tempfile.TemporaryDirectory(prefix="bench-convert-") as folder:
                compared(
                    name, asked("--side", "export", name, folder)["saved_model"], arguments.rounds, arguments.precisions
                )


if __name__ == "__main__":
    main()
