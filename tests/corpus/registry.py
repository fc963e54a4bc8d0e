"""The roll of the corpus: every model by name."""

from __future__ import annotations

from pathlib import Path

from tests.corpus import mlperf_tiny
from tests.corpus.corpus_model import CorpusModel
from tests.corpus.keras_families import families

_OURS = Path(__file__).resolve().parents[2] / "models"


def ours() -> dict[str, Path]:
    """The files of the models that the project ships, by name."""
    return {file.stem: file for file in sorted(_OURS.glob("*.py")) if not file.stem.startswith("_")}


def every_model(*, every_member: bool) -> dict[str, CorpusModel]:
    """What is adopted, by name: hand-made, MLPerf Tiny where it is on this machine, families of keras.applications."""
    published = mlperf_tiny.mlperf_tiny() if mlperf_tiny.missing() is None else ()
    return {model.name: model for model in (*hand_made(), *published, *families(every_member=every_member))}


def hand_made() -> tuple[CorpusModel, ...]:
    """The small models, each hard for one thing. Imports Keras."""
    from tests.corpus.hand_made import (
        control_flow,
        dtypes,
        layer_kinds,
        mathematics,
        old_formats,
        preprocessing,
        recurrent,
        shapes,
        structure,
        without_samples,
    )

    modules = (
        control_flow,
        recurrent,
        shapes,
        dtypes,
        structure,
        layer_kinds,
        preprocessing,
        mathematics,
        old_formats,
        without_samples,
    )
    return tuple(model for module in modules for model in module.MODELS)
