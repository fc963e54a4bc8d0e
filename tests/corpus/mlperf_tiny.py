"""The MLPerf Tiny models, compared also with the .tflite files that their authors published."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import numpy as np

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel
from tests.corpus.keras_families import crops

_ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("TRIPOINT_CORPUS", _ROOT.parent / "shared/corpus")).resolve() / "mlperf_tiny"


def missing() -> str | None:
    """Why they cannot run here, or None."""
    return None if HOME.is_dir() else f"there is no {HOME}: set TRIPOINT_CORPUS to the folder that holds mlperf_tiny"


def mlperf_tiny() -> tuple[CorpusModel, ...]:
    """Both models. They are copied, so that what is adopted lies beside its samples."""
    kws, resnet = HOME / "kws", HOME / "resnet8"
    return (
        CorpusModel(
            name="mlperf-kws",
            hard_for="keyword spotting, a SavedModel by TensorFlow 2.3",
            write=functools.partial(_copied, kws / "kws_ref_model"),
            samples=_spectrograms,
            beside=(kws / "kws_ref_model_float32.tflite", kws / "kws_ref_model.tflite"),
        ),
        CorpusModel(
            name="mlperf-resnet8",
            hard_for="image classification, a Keras 2 .h5",
            write=functools.partial(_copied, resnet / "pretrainedResnet.h5"),
            samples=_images,
            beside=(resnet / "pretrainedResnet.tflite", resnet / "pretrainedResnet_quant.tflite"),
        ),
    )


def _copied(source: Path, folder: Path) -> Path:
    place = folder / source.name
    if source.is_dir():
        shutil.copytree(source, place)
    else:
        shutil.copyfile(source, place)
    return place


def _spectrograms(random: np.random.Generator) -> Tensors:
    """Slow drifts over time and coefficients, as spectrograms of speech have them: [samples, 49, 10, 1]."""
    steps = random.normal(size=(SAMPLES, 49, 10, 1))
    drift = np.cumsum(steps, axis=1) / 3 + random.normal(size=(SAMPLES, 1, 10, 1)) * 4
    return {"input_1": (drift * np.linspace(3, 0.5, 10)[:, None]).astype(np.float32)}


def _images(_: np.random.Generator) -> Tensors:
    return {"input_1": crops(32, count=SAMPLES)}
