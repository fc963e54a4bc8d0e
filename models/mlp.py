"""The first model of every tutorial: a hidden layer and a softmax, on scikit-learn's digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.model import ClassScores, Dataset, ModelSpec, Split

INPUT = "pixels"
OUTPUT = "probabilities"
SPLIT_SEED = 1
# The images count ink in 4x4 blocks, so a pixel is 0 to 16.
INK_LEVELS = 16.0


def build() -> Any:
    """`pixels` float32 [batch, 64] in 0..1 to `probabilities` float32 [batch, 10]."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((64,), name=INPUT),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name=OUTPUT),
        ],
        name="mlp",
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data() -> Dataset:
    """1,347 images to train on and 450 to test with."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, digits = load_digits(return_X_y=True)
    train_pixels, test_pixels, train_digits, test_digits = train_test_split(
        (pixels / INK_LEVELS).astype(np.float32), digits, random_state=SPLIT_SEED, stratify=digits
    )
    return Dataset(
        train=Split(inputs={INPUT: train_pixels}, targets={OUTPUT: train_digits}),
        test=Split(inputs={INPUT: test_pixels}, targets={OUTPUT: test_digits}),
    )


MODEL = ModelSpec(
    name="mlp",
    summary="handwritten digits, two dense layers",
    build=build,
    data=data,
    output_names=(OUTPUT,),
    epochs=25,
    batch_size=32,
    scores=ClassScores(output=OUTPUT, classes=tuple("0123456789")),
    accuracy_floor=0.95,
)
