"""Layers that were put together otherwise, in real artifacts: the change of the trained graph that explains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Tensors
from pipeline.core.target import Session
from pipeline.explain.explain import explain
from pipeline.explain.explanation import Explanation
from pipeline.in_process import session_in
from tests.integration.exported import Exported, artifact, export
from tests.integration.pipeline.explain.damage import damaged_tflite

Instead = Mapping[str, Callable[[Any, Any, Callable[[str], Any]], Any]]


@pytest.fixture(scope="module")
def samples() -> Tensors:
    return {"numbers": np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)}


@pytest.fixture(scope="module")
def trained(samples: Tensors) -> Any:
    """A block with a way around it; its normalization has statistics of its own."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    numbers = keras.Input((6,), name="numbers")
    wide = layers.Dense(8, name="wide")(numbers)
    x = layers.BatchNormalization(name="leveled")(wide)
    active = layers.ReLU(name="active")(x)
    deep = layers.Dense(8, activation="tanh", name="deep")(active)
    both = layers.Add(name="both")([deep, active])
    # Written by hand: no layer of Keras.
    gated = both * layers.Dense(8, activation="sigmoid", name="gate")(active)
    model = keras.Model(numbers, layers.Dense(3, activation="softmax", name="choice")(gated), name="block")
    random = np.random.default_rng(1)
    model.get_layer("leveled").set_weights(
        [random.uniform(low, high, 8).astype(np.float32) for low, high in ((0.5, 2), (-1, 1), (-1, 1), (0.3, 2))]
    )
    model.predict(samples["numbers"], verbose=0)
    return model


def _rebuilt(model: Any, instead: Instead) -> Any:
    import keras

    def copy(own: Any) -> Any:
        return own.__class__.from_config(own.get_config())

    copies: dict[str, Any] = {}

    def clone(own: Any) -> Any:
        return copies.setdefault(own.name, copy(own))

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        change = instead.get(layer.name)
        other = lambda name: copies.setdefault(name, copy(model.get_layer(name)))  # noqa: E731
        return layer(*args, **kwargs) if change is None else change(layer, args[0], other)

    changed = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for name, layer in copies.items():
        # `a * b` is an operation without any.
        if getattr(layer, "weights", ()):
            layer.set_weights(model.get_layer(name).get_weights())
    return changed


def _as_tflite(model: Any, folder: Path, samples: Tensors) -> Artifact:
    answers = {"choice": model.predict(samples["numbers"], verbose=0)}
    source = export(model, folder / "block", samples=samples, answers=answers).saved_model
    path = folder / "block.tflite"
    tflite_from_saved_model(
        source.path, into=path, signature=source.signature, precision=Precision.FLOAT32, representative=samples
    )
    return artifact("block", Format.TFLITE, Precision.FLOAT32, path, source.signature)


def _explained(trained: Any, damaged: Artifact, session: Session, samples: Tensors) -> Explanation:
    return explain(damaged, model=trained, session=session, variant="", samples=samples, output_names=("choice",))


@pytest.fixture
def in_this_process() -> Iterator[Session]:
    with ThreadPoolExecutor(1) as executor:
        yield session_in(executor)


_EXCHANGED: Instead = {
    "leveled": lambda _layer, x, _other: x,
    "active": lambda layer, x, other: other("leveled")(layer(x)),
}
_WITHOUT_THE_WAY_AROUND: Instead = {"both": lambda _layer, xs, _other: xs[0]}
_WITHOUT_THE_BLOCK: Instead = {"both": lambda _layer, xs, _other: xs[1]}
_PRODUCT: Instead = {"both": lambda _layer, xs, _other: xs[0] * xs[1]}


@pytest.mark.parametrize(
    "case",
    [
        (_EXCHANGED, "leveled", "reordered"),
        (_WITHOUT_THE_WAY_AROUND, "both", "branch"),
        (_WITHOUT_THE_BLOCK, "both", "branch"),
        (_PRODUCT, "both", "replaced"),
    ],
    ids=["exchanged", "without the way around", "without the block", "a product for a sum"],
)
def test_layers_that_were_put_together_otherwise_are_named(
    trained: Any, samples: Tensors, edge: Session, tmp_path: Path, case: tuple[Instead, str, str]
) -> None:
    """A person would look at the weights of the layer before, which are right."""
    instead, *told = case
    explanation = _explained(trained, _as_tflite(_rebuilt(trained, instead), tmp_path, samples), edge, samples)
    assert (explanation.first_divergent_layer, explanation.manner) == tuple(told), explanation.sentence


def test_no_layer_is_named_when_they_are_as_they_were(
    trained: Any, samples: Tensors, edge: Session, tmp_path: Path
) -> None:
    """The rebuilding itself would be the fault."""
    explanation = _explained(trained, _as_tflite(_rebuilt(trained, {}), tmp_path, samples), edge, samples)
    assert explanation.first_divergent_layer is None, explanation.sentence


def test_a_tensor_that_nobody_reads_any_more_does_not_hide_its_layer(
    trained: Any, samples: Tensors, edge: Session, tmp_path: Path
) -> None:
    """The sum is still in the file, and right; those who should read it read what stands before it."""

    def past_the_sum(_model: Any, graph: Any, operators: Mapping[str, Any]) -> None:
        (add,) = [each for name, each in operators.items() if name.startswith("both")]
        for operator in graph.operators:
            if operator is not add:
                operator.inputs = np.array(
                    [add.inputs[0] if tensor == add.outputs[0] else tensor for tensor in operator.inputs], np.int32
                )

    damaged = damaged_tflite(_as_tflite(trained, tmp_path, samples), tmp_path, past_the_sum)
    explanation = _explained(trained, damaged, edge, samples)
    assert (explanation.first_divergent_layer, explanation.manner) == ("both", "branch"), explanation.sentence


def test_a_branch_is_missed_even_where_the_weights_differ_too(
    trained: Any, samples: Tensors, in_this_process: Session, tmp_path: Path
) -> None:
    """No single change makes these values: only what leads where says that a branch is gone."""
    import keras

    def tripled_and_alone(_layer: Any, xs: Any, _other: Any) -> Any:
        return keras.layers.Rescaling(3.0, offset=0.5, name="tripled")(xs[0])

    other = _rebuilt(trained, {"both": tripled_and_alone})
    answers = {"choice": other.predict(samples["numbers"], verbose=0)}
    exported: Exported = export(other, tmp_path / "block", samples=samples, answers=answers)
    explanation = _explained(trained, exported.saved_model, in_this_process, samples)
    assert (explanation.first_divergent_layer, explanation.manner) == ("both", "cut off"), explanation.sentence
