"""The roll of the corpus: every model by name."""

from __future__ import annotations

from tests.corpus.corpus_model import CorpusModel


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
    )
    return tuple(model for module in modules for model in module.MODELS)
