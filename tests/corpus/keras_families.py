"""Every family of keras.applications, without its trained weights and yet with answers worth comparing.

An untrained network's softmax is one and the same for every image, and any target that ignores its input agrees with
it. So each network is calibrated on the samples themselves, which are crops of the two photographs that scikit-learn
ships: batch normalization takes its statistics from them in one pass, layers without it start at He's scale, and the
last layer is fitted by ridge regression to say which photograph a crop is from, and whether it is a large or a small
piece of it. What a layer at a third of the depth answers, averaged over its places, is a second output, compared as
well: at the end of fifty layers without training, eight bits leave too little of an embedding to compare.

Normalized values are shifted by one, so that most of them are on the straight side of the activation: a deep network
with random weights whose every layer cuts half of its values off doubles any rounding every few layers (Yang et al.
2019, "A Mean Field Theory of Batch Normalization"), which no trained one does.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import KERAS_FILE, CorpusModel

_IMAGES = 24
_FEWER_IMAGES = 16
"""Of images larger than 32 pixels, which TF.js on cpu and on a software GPU takes a second each for."""
_CLASSES = 4
_SHIFT = 1.0
_LARGEST = 300
_RIDGE = 0.1
"""Of the mean square of an embedding's deviation: less follows every single image, and amplifies what rounding does."""


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One network: its module and name in keras.applications, the smallest image that suits it, and its settings."""

    module: str
    network: str
    pixels: int = 32
    spread: float = 1.0
    """Of the scores before the softmax, over crops: at 2 they are surer, and less of a layer's noise reaches them."""
    settings: dict[str, Any] = field(default_factory=dict)


_SMALLEST = (
    _Member(module="convnext", network="ConvNeXtTiny"),
    _Member(module="densenet", network="DenseNet121"),
    _Member(module="efficientnet", network="EfficientNetB0"),
    _Member(module="efficientnet_v2", network="EfficientNetV2B0"),
    _Member(module="inception_resnet_v2", network="InceptionResNetV2", pixels=75),
    _Member(module="inception_v3", network="InceptionV3", pixels=75),
    _Member(module="mobilenet", network="MobileNet", settings={"alpha": 0.25}),
    _Member(module="mobilenet_v2", network="MobileNetV2", spread=2.0, settings={"alpha": 0.35}),
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
    return {"image": _module(member).preprocess_input(crops(member.pixels, count=_count(member)))}


def _count(member: _Member) -> int:
    return _IMAGES if member.pixels <= 32 else _FEWER_IMAGES


def crops(pixels: int, *, count: int) -> NDArray[np.float32]:
    """Pieces of two photographs, of many sizes and places, as [count, pixels, pixels, 3] in 0..255."""
    import tensorflow as tf
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(11)
    pieces = []
    for position in range(count):
        photograph = load_sample_images().images[_kind(position) % 2]
        middle = (pixels + _LARGEST) // 2
        size = int(random.integers(*((middle, _LARGEST) if _kind(position) < 2 else (pixels, middle))))
        top, left = (int(random.integers(0, length - size)) for length in photograph.shape[:2])
        crop = photograph[top : top + size, left : left + size].astype(np.float32)
        pieces.append(tf.image.resize(crop, (pixels, pixels), antialias=True).numpy())
    return np.stack(pieces)


def _kind(position: int) -> int:
    """Which of the classes the crop at that position is of: its photograph, and large before small."""
    # Every second crop is asked, and the others are learnt from: there have to be all kinds of both.
    return position // 2 % _CLASSES


def _write(member: _Member, folder: Path) -> Path:
    import keras

    random = np.random.default_rng(0)
    network = getattr(keras.applications, member.network)(
        weights=None,
        input_shape=(member.pixels, member.pixels, 3),
        classes=_CLASSES,
        **member.settings,
    )
    images = _samples(member, random)["image"]
    _spread_inside(network, images)
    # Not always the last one: MobileNets score with a convolution over one pixel, whose activation comes after it.
    head = next(layer for layer in reversed(network.layers) if hasattr(layer, "kernel"))
    early = next(layer for layer in network.layers[len(network.layers) // 3 :] if _answers_maps(layer))
    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(early.output)
    _fit_scores(network, head, images, spread=member.spread)
    image = keras.Input((member.pixels, member.pixels, 3), name="image")
    both = keras.Model(network.input, {"scores": network.output, "embedding": embedding})
    file = folder / KERAS_FILE
    keras.Model(image, both(image), name=member.network.lower()).save(file)
    return file


def _answers_maps(layer: Any) -> bool:
    """Whether what the layer answers is the value of an activation, over places: no converter fuses that away."""
    import keras

    activating = isinstance(layer, (keras.layers.Activation, keras.layers.ReLU, keras.layers.Add))
    return (activating or getattr(layer, "activation", None) is not None) and len(layer.output.shape) == 4


def _spread_inside(network: Any, images: NDArray[np.float32]) -> None:
    """Let every layer see values of about the size that it would see after training."""
    import keras

    normalized = False
    for layer in network._flatten_layers():  # nested ones, too; Keras has no public name for it
        match layer:
            case keras.layers.BatchNormalization():
                # One pass then makes the moving statistics those of the samples.
                layer.momentum, normalized = 0.0, True
                if layer.center:
                    layer.beta.assign(np.full(layer.beta.shape, _SHIFT, np.float32))
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


def _fit_scores(network: Any, head: Any, images: NDArray[np.float32], *, spread: float) -> None:
    """Fit the last layer to the kinds of the crops, by ridge regression, with scores that spread by `spread`."""
    import keras

    features = keras.Model(network.input, head.input).predict(images, verbose=0).reshape(len(images), -1)
    middle = features.mean(axis=0)
    varying = (features - middle).astype(np.float64)
    wanted = np.eye(_CLASSES)[[_kind(position) for position in range(len(images))]] - 1 / _CLASSES
    alike = varying @ varying.T
    weight = varying.T @ np.linalg.solve(alike + _RIDGE * np.trace(alike) / len(images) * np.eye(len(images)), wanted)
    weight *= spread / (varying @ weight).std()
    head.kernel.assign(weight.reshape(head.kernel.shape))
    head.bias.assign(-middle @ weight)
