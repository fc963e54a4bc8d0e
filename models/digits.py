"""Handwritten digits: the 1,797 real 8x8 images of the UCI set, as scikit-learn ships them, and a small CNN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pipeline.core.model import ClassScores, Dataset, Demo, ModelSpec, Split

INPUT = "image"
OUTPUT = "probabilities"
IMAGES = 1797
TEST_IMAGES = 360
SPLIT_SEED = 1
# The images count ink in 4x4 blocks, so a pixel is 0 to 16.
INK_LEVELS = 16.0


def build() -> Any:
    """A compiled model: `image` float32 [batch, 8, 8, 1] in 0..1 to `probabilities` float32 [batch, 10]."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((8, 8, 1), name=INPUT),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="strokes"),
            layers.BatchNormalization(momentum=0.9, name="strokes_normalized"),
            layers.ReLU(name="strokes_active"),
            layers.MaxPooling2D(name="halved"),
            layers.Conv2D(32, 3, padding="same", use_bias=False, name="shapes"),
            layers.BatchNormalization(momentum=0.9, name="shapes_normalized"),
            layers.ReLU(name="shapes_active"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.25, name="dropped"),
            layers.Dense(64, activation="relu", name="features"),
            layers.Dense(10, activation="softmax", name=OUTPUT),
        ],
        name="digits",
    )
    steps = MODEL.epochs * math.ceil((IMAGES - TEST_IMAGES) / MODEL.batch_size)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def data() -> Dataset:
    """1,437 images to train on and 360 to test with, stratified by digit, the split always the same."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images / INK_LEVELS).astype(np.float32)[..., np.newaxis]
    train_images, test_images, train_digits, test_digits = train_test_split(
        images, digits.target, test_size=TEST_IMAGES, random_state=SPLIT_SEED, stratify=digits.target
    )
    return Dataset(
        train=Split(inputs={INPUT: train_images}, targets={OUTPUT: train_digits}),
        test=Split(inputs={INPUT: test_images}, targets={OUTPUT: test_digits}),
    )


MODEL = ModelSpec(
    name="digits",
    summary="handwritten digits, 8x8 grey images, 10 classes",
    build=build,
    data=data,
    output_names=(OUTPUT,),
    epochs=20,
    batch_size=32,
    training_threads=1,
    scores=ClassScores(output=OUTPUT, classes=tuple("0123456789")),
    accuracy_floor=0.975,
    demo=Demo(kind="draw", title="Draw a digit", input=INPUT),
)
