"""Every family of keras.applications, without its trained weights and yet with answers worth comparing.

An untrained network's softmax is one and the same for every image, and any target that ignores its input agrees with
it. So each network is calibrated on the samples themselves, which are crops of the two photographs that scikit-learn
ships: batch normalization takes its statistics from them in one pass, layers without it start at He's scale, and the
last layer is scaled and shifted so that its scores spread by about 2 over the samples. The embedding before that layer
is a second output, compared as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import KERAS_FILE, CorpusModel

_IMAGES = 24
_CLASSES = 20
_SPREAD = 2.0


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One network: its module and name in keras.applications, the smallest image that suits it, and its settings."""

    module: str
    network: str
    pixels: int = 32
    settings: dict[str, Any] = field(default_factory=dict)


_SMALLEST = (
    _Member(module="convnext", network="ConvNeXtTiny"),
    _Member(module="densenet", network="DenseNet121"),
    _Member(module="efficientnet", network="EfficientNetB0"),
    _Member(module="efficientnet_v2", network="EfficientNetV2B0"),
    _Member(module="inception_resnet_v2", network="InceptionResNetV2", pixels=75),
    _Member(module="inception_v3", network="InceptionV3", pixels=75),
    _Member(module="mobilenet", network="MobileNet", settings={"alpha": 0.25}),
    _Member(module="mobilenet_v2", network="MobileNetV2", settings={"alpha": 0.35}),
    _Member(module="mobilenet_v3", network="MobileNetV3Small", settings={"alpha": 0.75}),
    _Member(module="nasnet", network="NASNetMobile"),
    _Member(module="resnet", network="ResNet50"),
    _Member(module="resnet_v2", network="ResNet50V2"),
    _Member(module="vgg16", network="VGG16"),
    _Member(module="xception", network="Xception", pixels=71),
)
_OTHERS = (
    *(_Member(module="convnext", network=f"ConvNeXt{size}") for size in ("Small", "Base", "Large", "XLarge")),
    *(_Member(module="densenet", network=f"DenseNet{depth}") for depth in (169, 201)),
    *(_Member(module="efficientnet", network=f"EfficientNetB{number}") for number in range(1, 8)),
    *(_Member(module="efficientnet_v2", network=f"EfficientNetV2{size}") for size in ("B1", "B2", "B3", "S", "M", "L")),
    _Member(module="mobilenet_v3", network="MobileNetV3Large"),
    _Member(module="nasnet", network="NASNetLarge"),
    *(_Member(module="resnet", network=f"ResNet{depth}") for depth in (101, 152)),
    *(_Member(module="resnet_v2", network=f"ResNet{depth}V2") for depth in (101, 152)),
    _Member(module="vgg19", network="VGG19"),
)


def families(*, every_member: bool) -> tuple[CorpusModel, ...]:
    """The smallest member of each family, or all members."""
    return tuple(_entry(member) for member in (*_SMALLEST, *(_OTHERS if every_member else ())))


def _entry(member: _Member) -> CorpusModel:
    return CorpusModel(
        name=f"keras-{member.network.lower()}",
        hard_for=f"{member.network}, {member.pixels}x{member.pixels}",
        write=functools.partial(_write, member),
        samples=functools.partial(_samples, member),
    )


def _module(member: _Member) -> Any:
    import importlib

    return importlib.import_module(f"keras.applications.{member.module}")


def _samples(member: _Member, _: np.random.Generator) -> Tensors:
    return {"image": _module(member).preprocess_input(crops(member.pixels, count=_IMAGES))}


def crops(pixels: int, *, count: int) -> NDArray[np.float32]:
    """Pieces of two photographs, of many sizes and places, as [count, pixels, pixels, 3] in 0..255."""
    import tensorflow as tf
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(11)
    pieces = []
    for position in range(count):
        photograph = load_sample_images().images[position % 2]
        size = int(random.integers(pixels, 300))
        top, left = (int(random.integers(0, length - size)) for length in photograph.shape[:2])
        crop = photograph[top : top + size, left : left + size].astype(np.float32)
        pieces.append(tf.image.resize(crop, (pixels, pixels), antialias=True).numpy())
    return np.stack(pieces)


def _write(member: _Member, folder: Path) -> Path:
    import keras

    random = np.random.default_rng(0)
    network = getattr(_module(member), member.network)(
        weights=None,
        input_shape=(member.pixels, member.pixels, 3),
        classes=_CLASSES,
        **member.settings,
    )
    images = _samples(member, random)["image"]
    _spread_inside(network, images)
    head = network.layers[-1]
    embedding = head.input
    if len(embedding.shape) > 2:
        # MobileNets score with a convolution over one pixel; what goes into it is the embedding.
        head = next(layer for layer in reversed(network.layers) if hasattr(layer, "kernel"))
        embedding = keras.layers.Flatten(name="embedding")(head.input)
    _spread_scores(network, head, images)
    image = keras.Input((member.pixels, member.pixels, 3), name="image")
    both = keras.Model(network.input, {"scores": network.output, "embedding": embedding})
    file = folder / KERAS_FILE
    keras.Model(image, both(image), name=member.network.lower()).save(file)
    return file


def _spread_inside(network: Any, images: NDArray[np.float32]) -> None:
    """Let every layer see values of about the size that it would see after training."""
    import keras

    normalized = False
    for layer in network._flatten_layers():  # nested ones, too; Keras has no public name for it
        match layer:
            case keras.layers.BatchNormalization():
                # One pass then makes the moving statistics those of the samples.
                layer.momentum, normalized = 0.0, True
            case keras.layers.Dropout():
                layer.rate = 0.0
            case _ if type(layer).__name__ == "LayerScale":
                # They start at 1e-6, so that a block at first does nothing.
                layer.gamma.assign(np.full(layer.gamma.shape, 0.3, np.float32))
    if normalized:
        network(images, training=True)
        return
    initializer = keras.initializers.HeNormal(seed=0)
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(initializer(layer.kernel.shape))


def _spread_scores(network: Any, head: Any, images: NDArray[np.float32]) -> None:
    """Scale and shift the last layer's scores: zero on average over the samples, and spread by `_SPREAD`."""
    import keras

    activation: Callable[[Any], Any] = head.activation
    head.activation = keras.activations.linear
    # Applied by hand the layer gives its scores before the activation, which is part of the network's own graph.
    features = keras.Model(network.input, head.input).predict(images, verbose=0)
    values = np.asarray(head(features)).reshape(len(images), -1)
    factor = _SPREAD / np.maximum(values.std(axis=0), 1e-12)
    head.kernel.assign(np.asarray(head.kernel) * factor)
    head.bias.assign((np.asarray(head.bias) - values.mean(axis=0)) * factor)
    head.activation = activation
