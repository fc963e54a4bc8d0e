"""Which language a piece of text is in: 128 characters of Python, English, C++ or JavaScript, read by attention.

The texts are real and installed already: Python's own library and its documentation, TensorFlow's headers and
Playwright's scripts. Files, not pieces, are divided into those to train on and those to test with.
"""

from __future__ import annotations

import pydoc_data.topics
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models._package_file import package_file
from pipeline.core.model import ClassScores, Dataset, ModelSpec, Split
from pipeline.core.signature import TensorSpec

LANGUAGES = ("Python", "English", "C++", "JavaScript")
CHARACTERS = 128
# What a character is called inside: printable ASCII, line ends and tabs as a space, 0 for all others.
VOCABULARY = 96
PIECES = {"train": 1500, "test": 80}
TEST_EVERY_FILE = 5


@keras.saving.register_keras_serializable("snippets")
class Reader(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """Characters int32 [batch, 128] to the scores of the languages, float32 [batch, 4].

    Characters and their places are embedded; one block of attention is applied twice with the same weights.
    """

    def __init__(self, width: int = 32, **settings: Any) -> None:
        super().__init__(**settings)
        layers = keras.layers
        self.width = width
        self.characters = layers.Embedding(VOCABULARY, width, name="characters")
        self.places = layers.Embedding(CHARACTERS, width, name="places")
        self.neighbours = layers.Conv1D(width, 5, padding="same", activation="relu", name="neighbours")
        self.attention = layers.MultiHeadAttention(2, width // 2, name="attention")
        self.attended = layers.LayerNormalization(name="attended")
        self.thought = keras.Sequential(
            [layers.Dense(2 * width, activation="relu"), layers.Dense(width)], name="thought"
        )
        self.considered = layers.LayerNormalization(name="considered")
        self.dropped = layers.Dropout(0.2, name="dropped")
        self.mean = layers.GlobalAveragePooling1D(name="mean")
        self.languages = layers.Dense(len(LANGUAGES), activation="softmax", name="languages")

    def call(self, text: Any, training: Any = None) -> Any:
        seen = self.characters(text) + self.places(keras.ops.arange(CHARACTERS))
        seen = self.neighbours(seen)
        for _ in range(2):
            seen = self.attended(seen + self.attention(seen, seen))
            seen = self.considered(seen + self.thought(seen))
        return self.languages(self.dropped(self.mean(seen), training=training))

    def get_config(self) -> dict[str, Any]:
        return {"width": self.width, "name": self.name}


def build() -> Any:
    model = Reader(name="snippets")
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data() -> Dataset:
    """1,500 pieces of each language to train on, 80 of each to test with."""
    texts = [_python(), _english(), _cpp(), _javascript()]
    return Dataset(train=_split(texts, "train"), test=_split(texts, "test"))


def codes_of(text: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Each character's number, int32."""
    raw = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int32)
    codes = np.where((raw >= 32) & (raw < 127), raw - 31, 0)
    return np.asarray(np.where((raw == 10) | (raw == 9), 1, codes), np.int32)


def _python() -> list[str]:
    return _read(sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")))


def _english() -> list[str]:
    return [pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)]


def _cpp() -> list[str]:
    headers = package_file("tensorflow", "tensorflow/include/tensorflow/core/framework").glob("*.h")
    # Those of protos are written by a program, and all alike.
    return _read(sorted(path for path in headers if not path.name.endswith(".pb.h")))


def _javascript() -> list[str]:
    scripts = package_file("playwright", "playwright/driver/package/lib")
    return _read(sorted(path for path in scripts.rglob("*.js") if path.stat().st_size < 200_000))


def _read(files: Sequence[Path]) -> list[str]:
    return [file.read_text(encoding="utf-8", errors="replace") for file in files]


def _split(texts: Sequence[Sequence[str]], part: str) -> Split:
    pieces, labels = [], []
    for label, files in enumerate(texts):
        chosen = "\n".join(
            text for position, text in enumerate(files) if (position % TEST_EVERY_FILE == 0) == (part == "test")
        )
        codes = codes_of(chosen)
        starts = np.random.default_rng(label).integers(0, len(codes) - CHARACTERS, PIECES[part])
        pieces += [codes[start : start + CHARACTERS] for start in starts]
        labels += [label] * len(starts)
    return Split(inputs={"text": np.stack(pieces)}, targets={"language": np.array(labels)})


MODEL = ModelSpec(
    name="snippets",
    summary="the language of 128 characters of text, by attention",
    build=build,
    data=data,
    inputs=(TensorSpec(name="text", dtype="int32", shape=(None, CHARACTERS)),),
    output_names=("language",),
    epochs=8,
    batch_size=64,
    scores=ClassScores(output="language", classes=LANGUAGES),
    accuracy_floor=0.91,
)
