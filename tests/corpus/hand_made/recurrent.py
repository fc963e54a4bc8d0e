"""Recurrent networks in the variants that Keras has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel, keras_file, uniform

_MODULE = "tests.corpus.hand_made.recurrent"
_STEPS, _WIDTH = 6, 3


@keras.saving.register_keras_serializable(package="corpus")
class LeakyCell(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A recurrent cell of somebody's own."""

    def __init__(self, units: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.units = self.state_size = self.output_size = units

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.inwards = self.add_weight(shape=(shape[-1], self.units), name="inwards")
        self.onwards = self.add_weight(shape=(self.units, self.units), name="onwards")

    def call(self, x: Any, states: Any) -> tuple[Any, list[Any]]:
        state = 0.7 * states[0] + 0.3 * keras.ops.tanh(x @ self.inwards + states[0] @ self.onwards)
        return state, [state]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def _sequence(*stack: layers.Layer, steps: int | None = _STEPS) -> keras.Model:
    return keras.Sequential([keras.Input((steps, _WIDTH), name="x"), *stack, layers.Dense(3, name="y")])


def _states() -> keras.Model:
    x = keras.Input((_STEPS, _WIDTH), name="x")
    whole, hidden, cell = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    decoded = layers.LSTM(4)(whole, initial_state=[hidden, cell])
    return keras.Model(x, {"sequence": whole, "hidden": hidden, "cell": cell, "decoded": decoded})


def _masked() -> keras.Model:
    words = keras.Input((_STEPS,), dtype="int32", name="words")
    embedded = layers.Embedding(12, 5, mask_zero=True)(words)
    return keras.Model(words, layers.Dense(3, name="y")(layers.Bidirectional(layers.GRU(4))(embedded)))


def _words(random: np.random.Generator) -> Tensors:
    """Sentences of different lengths, zeros behind them."""
    words = random.integers(1, 12, (SAMPLES, _STEPS), dtype=np.int32)
    lengths = random.integers(1, _STEPS + 1, SAMPLES)
    return {"words": np.where(np.arange(_STEPS) < lengths[:, None], words, 0).astype(np.int32)}


def _stateful() -> keras.Model:
    x = keras.Input(batch_shape=(1, _STEPS, _WIDTH), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(layers.GRU(4, stateful=True)(x)))


def _image_sequence() -> keras.Model:
    x = keras.Input((4, 6, 6, 2), name="x")
    frames = layers.TimeDistributed(layers.Conv2D(3, 3, activation="relu"))(x)
    return keras.Model(x, layers.Flatten(name="y")(layers.ConvLSTM2D(2, 2)(frames)))


MODELS = (
    CorpusModel(
        name="lstm",
        hard_for="an LSTM over a fixed number of steps",
        write=keras_file(lambda: _sequence(layers.LSTM(5))),
        samples=uniform((_STEPS, _WIDTH)),
    ),
    CorpusModel(
        name="gru-any-length",
        hard_for="a GRU over sequences whose length varies",
        write=keras_file(lambda: _sequence(layers.GRU(5), steps=None)),
        samples=uniform((9, _WIDTH)),
    ),
    CorpusModel(
        name="gru-reset-before",
        hard_for="a GRU of the older kind, and backwards",
        write=keras_file(lambda: _sequence(layers.GRU(5, reset_after=False, go_backwards=True))),
        samples=uniform((_STEPS, _WIDTH)),
    ),
    CorpusModel(
        name="rnn-unrolled",
        hard_for="recurrent layers written out step by step",
        write=keras_file(
            lambda: _sequence(layers.LSTM(5, unroll=True, return_sequences=True), layers.SimpleRNN(4, unroll=True))
        ),
        samples=uniform((_STEPS, _WIDTH)),
    ),
    CorpusModel(
        name="rnn-stacked",
        hard_for="stacked and bidirectional layers, and an RNN of several cells",
        write=keras_file(
            lambda: _sequence(
                layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="concat"),
                layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)]),
            )
        ),
        samples=uniform((_STEPS, _WIDTH)),
    ),
    CorpusModel(
        name="rnn-states",
        hard_for="states that are outputs, and that start another layer",
        write=keras_file(_states),
        samples=uniform((_STEPS, _WIDTH)),
    ),
    CorpusModel(
        name="rnn-masked",
        hard_for="a mask from an embedding, through a bidirectional GRU",
        write=keras_file(_masked),
        samples=_words,
    ),
    CorpusModel(
        name="rnn-own-cell",
        hard_for="a recurrent cell of somebody's own",
        write=keras_file(lambda: _sequence(layers.RNN(LeakyCell(4)))),
        samples=uniform((_STEPS, _WIDTH)),
        code=_MODULE,
    ),
    CorpusModel(
        name="rnn-stateful",
        hard_for="a state that lives on from call to call, and a batch of one only",
        write=keras_file(_stateful),
        samples=uniform((_STEPS, _WIDTH)),
    ),
    CorpusModel(
        name="conv-lstm",
        hard_for="ConvLSTM2D over frames, each through one shared convolution",
        write=keras_file(_image_sequence),
        samples=uniform((4, 6, 6, 2)),
    ),
)
