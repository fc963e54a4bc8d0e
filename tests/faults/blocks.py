"""The bench's third model: what networks are built of since ResNet, in small: a residual block, a gate, a normalized
block, a difference. None of its faults was known when `explain` and the causes were written for the other two.
"""

from __future__ import annotations

from typing import Any

from tests.faults import scene

OUTPUTS = ("kind", "twin")
_EPOCHS = 8


def build() -> Any:
    """`photo` float32 [batch, 12, 12, 3] to `kind` and `twin`, softmax over five classes each."""
    import keras
    from keras import layers

    photo = keras.Input((scene.SIDE, scene.SIDE, 3), name="photo")
    stem = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(photo)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="inner")(stem)
    x = layers.BatchNormalization(momentum=0.8, name="inner_normalized")(x)
    x = layers.ReLU(name="inner_active")(x)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="outer")(x)
    x = layers.BatchNormalization(momentum=0.8, name="outer_normalized")(x)
    x = layers.Add(name="joined")([x, stem])
    x = layers.ReLU(name="joined_active")(x)
    gate = layers.GlobalAveragePooling2D(name="squeezed", keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="relu", name="gate_narrow")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="gate")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="depth")(x)
    x = layers.Activation("tanh", name="bent")(x)
    flat = layers.Flatten(name="flat")(x)
    wide = layers.Dense(24, name="wide")(flat)
    y = layers.LayerNormalization(name="leveled")(wide)
    y = layers.Activation("gelu", name="smooth")(y)
    y = layers.Dense(24, name="narrowed")(y)
    again = layers.Add(name="again")([y, wide])
    base = layers.Dense(24, activation="relu", name="base")(flat)
    contrast = layers.Subtract(name="contrast")([again, base])
    kind = layers.Dense(scene.CLASSES, activation="softmax", name="kind")(contrast)
    twin = layers.Dense(scene.CLASSES, activation="softmax", name="twin")(contrast)
    return keras.Model(photo, [kind, twin], name="blocks")


def trained(seed: int) -> Any:
    """The model after a short training on the scene's pictures."""
    import keras

    keras.utils.set_random_seed(seed)
    (inputs, targets), _ = scene.split()
    model = build()
    model.compile("adam", ["sparse_categorical_crossentropy"] * 2)
    model.fit(inputs["photo"], [targets[name] for name in OUTPUTS], epochs=_EPOCHS, batch_size=32, verbose=0)
    return model
