"""The bench's second model: colour pictures and two number inputs, three outputs, and layers that digits has not.

`kind` and `twin` are class scores of one shape, so that only their names tell them apart; `box` is linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.core.signature import Tensors

SIDE = 12
CLASSES = 5
_EPOCHS = 6
_SAMPLES = 900
_TEST_SAMPLES = 150


def build() -> Any:
    """`photo` float32 [batch, 12, 12, 3], `left` and `right` float32 [batch, 6] to `kind`, `twin` and `box`."""
    import keras
    from keras import layers

    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    left = keras.Input((6,), name="left")
    right = keras.Input((6,), name="right")
    x = layers.Conv2D(12, 3, padding="same", name="edges")(photo)
    x = layers.LeakyReLU(negative_slope=0.3, name="edges_leaky")(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="corners")(x)
    x = layers.BatchNormalization(momentum=0.8, name="corners_normalized")(x)
    x = layers.ReLU(name="corners_active")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="parts")(x)
    x = layers.MaxPooling2D(name="parts_pooled")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(16, activation="relu", name="seen")(x)
    told = layers.Concatenate(name="told")([layers.Dense(8, activation="sigmoid", name="from_left")(left), right])
    told = layers.Dense(16, activation="relu", name="told_active")(told)
    both = layers.Add(name="both")([x, told])
    mixed = layers.Dense(16, activation="relu", name="mixed")(both)
    kind = layers.Dense(CLASSES, activation="softmax", name="kind")(mixed)
    twin = layers.Dense(CLASSES, activation="softmax", name="twin")(mixed)
    box = layers.Dense(4, name="box")(mixed)
    return keras.Model([photo, left, right], [kind, twin, box], name="scene")


OUTPUTS = ("kind", "twin", "box")


def samples(seed: int = 0) -> tuple[Tensors, Mapping[str, Any]]:
    """Pictures with a coloured bar in one of five places, and what the three outputs should say of them."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, CLASSES, _SAMPLES)
    twin = random.integers(0, CLASSES, _SAMPLES)
    photo = random.uniform(0, 0.25, (_SAMPLES, SIDE, SIDE, 3))
    for index in range(_SAMPLES):
        row, colour = 1 + 2 * kind[index], twin[index] % 3
        photo[index, row : row + 2, 2 : 9 - twin[index], colour] += 0.7
        photo[index, :, 1 + twin[index], (colour + 1) % 3] += 0.3
    left = random.normal(size=(_SAMPLES, 6))
    right = random.normal(size=(_SAMPLES, 6))
    box = np.stack([kind + left[:, 0], twin - right[:, 1], left[:, 2] * 2 + right[:, 3], right[:, 4] - left[:, 5]], 1)
    inputs = {"photo": photo, "left": left, "right": right}
    return (
        {name: array.astype(np.float32) for name, array in inputs.items()},
        {"kind": kind, "twin": twin, "box": box.astype(np.float32)},
    )


def split() -> tuple[tuple[Tensors, Mapping[str, Any]], Tensors]:
    """What to train with, and the inputs to test with."""
    inputs, targets = samples()
    known, unknown = slice(_TEST_SAMPLES, None), slice(0, _TEST_SAMPLES)
    return (
        (
            {name: array[known] for name, array in inputs.items()},
            {name: array[known] for name, array in targets.items()},
        ),
        {name: array[unknown] for name, array in inputs.items()},
    )


def trained(seed: int) -> Any:
    """The model after a short training."""
    import keras

    keras.utils.set_random_seed(seed)
    (inputs, targets), _ = split()
    model = build()
    model.compile("adam", ["sparse_categorical_crossentropy", "sparse_categorical_crossentropy", "mse"])
    model.fit(list(inputs.values()), [targets[name] for name in OUTPUTS], epochs=_EPOCHS, batch_size=32, verbose=0)
    return model
