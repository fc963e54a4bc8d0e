"""Training mode left on: batch normalization by the batch's own statistics, dropout that draws anew at each call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.core.signature import Tensors, batches, concatenated
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import root_mean_square
from pipeline.diagnosis.layers import weights_set
from pipeline.diagnosis.rule import Freedom, Trial
from pipeline.parity.diagnosis import Diagnosis

_DRAWS = 16
_ROWS = 192
# By how much the scatter of the answers may differ from that of the model's own draws.
_ALIKE = (0.67, 1.5)
_SCATTERS = 1e-3


def by_batches(case: Case, model: Any, output_names: tuple[str, ...]) -> Iterator[Trial]:
    """Batch normalization by the statistics of each batch, the rest as in use."""
    import keras

    normalizing = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if normalizing:
        dropping = [layer for layer in model.layers if _draws(layer)]
        own = {layer.name: layer.rate for layer in dropping}
        try:
            for layer in dropping:
                layer.rate = 0.0
            rows = len(next(iter(case.inputs.values())))
            want = _answers(case, model, output_names, rows=rows, batch_size=case.batch_size)
        finally:
            for layer in dropping:
                layer.rate = own[layer.name]
        yield Trial(
            cause="training_mode",
            sentence="batch normalization uses the statistics of each batch: training mode was left on",
            want=want,
            got=case.got,
            freedom=Freedom.ONE_OF_FEW,
        )


def by_draws(case: Case, model: Any, output_names: tuple[str, ...], *, before: float) -> Diagnosis | None:
    """Dropout that draws: the answers scatter around the mean of many draws just as the draws themselves do."""
    if not any(_draws(layer) for layer in model.layers):
        return None
    # The fewest calls: the draws are many already.
    size = max(case.answers)
    draws = [_answers(case, model, output_names, rows=_ROWS, batch_size=size) for _ in range(_DRAWS)]
    for name in case.differing:
        every = np.stack([draw[name] for draw in draws]).astype(np.float64)
        got = case.answers[size][name][: every.shape[1]].astype(np.float64)
        if got.shape != every.shape[1:] or not np.isfinite(got).all():
            return None
        mean = every.mean(axis=0)
        scatter = root_mean_square(every - mean) * np.sqrt(_DRAWS / (_DRAWS - 1))
        ratio = root_mean_square(got - mean) / np.sqrt(1 + 1 / _DRAWS) / max(scatter, 1e-12)
        with np.errstate(invalid="ignore", divide="ignore"):
            where = np.corrcoef(every.std(axis=0).ravel(), np.abs(got - mean).ravel())[0, 1]
        if scatter > _SCATTERS and _ALIKE[0] <= ratio <= _ALIKE[1] and where > 0.3:
            return Diagnosis(
                cause="training_mode",
                sentence=f"`{name}` scatters as the model does in training mode ({ratio:.2f} of its own scatter, in "
                "the same places): dropout was left on",
                error_before=before,
                error_after=float(abs(ratio - 1)),
                tried=_DRAWS,
            )
    return None


def _draws(layer: Any) -> bool:
    import keras

    return isinstance(layer, (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise))


def _answers(case: Case, model: Any, output_names: tuple[str, ...], *, rows: int, batch_size: int) -> dict[str, Any]:
    samples: Tensors = {name: array[:rows] for name, array in case.inputs.items()}
    # Training mode also moves the averages that normalization keeps; what seeds dropout is to go on.
    averages = [one for one in model.non_trainable_variables if np.asarray(one).dtype.kind == "f"]
    keep = {variable.path: (variable, np.asarray(variable)) for variable in averages}
    with weights_set(keep):
        return concatenated([_called(model, batch, output_names) for batch in batches(samples, batch_size)])


def _called(model: Any, batch: Tensors, output_names: tuple[str, ...]) -> dict[str, Any]:
    import keras

    feed = {tensor.name: batch[tensor.name] for tensor in model.inputs}
    single = isinstance(model, keras.Sequential) or len(model.inputs) == 1
    answer = model(next(iter(feed.values())) if single else list(feed.values()), training=True)
    if isinstance(answer, dict):
        return {name: np.asarray(value) for name, value in answer.items()}
    listed = answer if isinstance(answer, (list, tuple)) else [answer]
    return {name: np.asarray(value) for name, value in zip(output_names, listed, strict=True)}
