"""Monthly sunspot numbers since 1749: what the next month brings, from a history of any length.

Two recurrent cells, an LSTM and a GRU, walk over the months in a loop of ours. A Keras LSTM keeps a list of tensors in
its loop, which TFLite cannot have when the batch varies; unrolled it has a fixed length. This loop takes each month out
of the input instead, so that one file takes any batch and any number of months on every target.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models._package_file import package_file
from pipeline.core.model import Dataset, ModelSpec, Split

MONTHS = 36
SHORTEST = 12
# The strongest cycle on record, of 1957, is to train on: quantization clips what it has never seen.
TEST_FROM_YEAR = 1962
STRIDE = 4
TEST_STRIDE = 12


@keras.saving.register_keras_serializable("sunspots")
class Walk(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A recurrent cell over [batch, months, features] to its last output, [batch, units].

    `lengths` int32 [batch, 1] says how many months of each sample count; those after them change nothing.
    """

    def __init__(self, cell: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.cell = cell

    def build(self, months_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]) -> None:
        del lengths_shape
        # A cell that was loaded is built already.
        if not self.cell.built:
            self.cell.build((months_shape[0], months_shape[-1]))
        self.built = True

    def call(self, months: Any, lengths: Any) -> Any:
        ops = keras.ops
        batch, count, _ = ops.shape(months)
        start = [ops.zeros((batch, size)) for size in _sizes(self.cell)]

        def step(month: Any, *states: Any) -> tuple[Any, ...]:
            _, new = self.cell(ops.take(months, month, axis=1), list(states))
            counts = ops.cast(month < lengths, "float32")
            kept = [counts * after + (1.0 - counts) * before for after, before in zip(new, states, strict=True)]
            return (month + 1, *kept)

        walked = ops.while_loop(lambda month, *_: month < count, step, (ops.zeros((), "int32"), *start))
        return walked[1]

    def compute_output_shape(
        self, months_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        del lengths_shape
        return (months_shape[0], _sizes(self.cell)[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Walk:
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})


def _sizes(cell: Any) -> list[int]:
    return list(cell.state_size) if isinstance(cell.state_size, list | tuple) else [cell.state_size]


def build() -> Any:
    """`numbers` float32 [batch, months, 1] and `length` int32 [batch, 1] to `next` float32 [batch, 1]."""
    layers = keras.layers
    numbers = keras.Input((None, 1), name="numbers")
    length = keras.Input((1,), name="length", dtype="int32")
    normalization = layers.Normalization(axis=None, name="normalized")
    normalization.adapt(data().train.targets["next"])
    seen = normalization(numbers)
    recalled = layers.Concatenate(name="recalled")(
        [
            Walk(layers.LSTMCell(16), name="lstm")(seen, length),
            Walk(layers.GRUCell(16), name="gru")(seen, length),
        ]
    )
    change = layers.Dense(1, name="change")(layers.Dense(16, activation="relu", name="read")(recalled))
    # Back in sunspots, by the training data's mean and deviation in whole numbers, which float16 keeps exactly.
    mean, variance = np.asarray(normalization.mean).item(), np.asarray(normalization.variance).item()
    next_month = layers.Rescaling(round(variance**0.5), offset=round(mean), name="next")(change)
    model = keras.Model({"numbers": numbers, "length": length}, {"next": next_month}, name="sunspots")
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="huber")
    return model


def data() -> Dataset:
    """Histories of 12 to 36 months, zeros after their end; those that end before 1962 are to train on."""
    table = package_file("statsmodels", "statsmodels/datasets/sunspots/src/sunspots_monthly.dat")
    rows = [line.split() for line in table.read_text().splitlines()]
    years = {int(row[0]): [float(number) for number in row[1:]] for row in rows if len(row) == 13 and row[0].isdigit()}
    numbers = np.array([number for year in sorted(years) for number in years[year]], np.float32)
    border = (TEST_FROM_YEAR - min(years)) * 12
    return Dataset(
        train=_histories(numbers, np.arange(MONTHS, border, STRIDE), seed=0),
        test=_histories(numbers, np.arange(border + MONTHS, len(numbers), TEST_STRIDE), seed=1),
    )


def _histories(numbers: Any, ends: Any, *, seed: int) -> Split:
    lengths = np.random.default_rng(seed).integers(SHORTEST, MONTHS + 1, len(ends), dtype=np.int32)
    histories = np.zeros((len(ends), MONTHS, 1), np.float32)
    for row, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        histories[row, :length, 0] = numbers[end - length : end]
    return Split(
        inputs={"numbers": histories, "length": lengths[:, np.newaxis]},
        targets={"next": numbers[ends][:, np.newaxis]},
    )


MODEL = ModelSpec(
    name="sunspots",
    summary="monthly sunspot numbers: the next month, from a history of any length",
    build=build,
    data=data,
    output_names=("next",),
    epochs=10,
    batch_size=32,
    error_ceilings={"next": 15.0},
)
