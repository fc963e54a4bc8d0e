"""The trained model as a search asks it: its answers, and which way an input has to move for them to tip over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors, TensorSpec
from pipeline.explain.trained import TrainedModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """A Keras model with the names of its outputs, and what it takes."""

    model: Any
    output_names: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]

    def answers(self, samples: Tensors) -> dict[str, NDArray[Any]]:
        return {name: np.asarray(answer) for name, answer in self._answering(**_tensors(samples)).items()}

    def towards_a_tie(self, samples: Tensors) -> dict[str, NDArray[Any]]:
        """By float input, the gradient of the gap between the two largest entries of each output, downwards.

        Outputs of one number are taken as they are. An input that no output depends on smoothly is left out.
        """
        gradients = self._gradients(**_tensors(samples))
        return {name: -np.asarray(gradient) for name, gradient in gradients.items()}

    @cached_property
    def _trained(self) -> TrainedModel:
        return TrainedModel(model=self.model, output_names=self.output_names, inputs=self.inputs)

    @cached_property
    def _answering(self) -> Any:
        import tensorflow as tf

        return tf.function(lambda **given: dict(self._trained.call(given)), autograph=False, reduce_retracing=True)

    @cached_property
    def _gradients(self) -> Any:
        import tensorflow as tf

        def gradients(**given: Any) -> Mapping[str, Any]:
            smooth = {name: tensor for name, tensor in given.items() if tensor.dtype.is_floating}
            with tf.GradientTape() as tape:
                tape.watch(smooth)
                answers = self._trained.call(given)
                total = tf.add_n([_gap(answer) for answer in answers.values() if answer.dtype.is_floating])
            found = tape.gradient(total, smooth)
            return {name: gradient for name, gradient in found.items() if gradient is not None}

        return tf.function(gradients, autograph=False, reduce_retracing=True)


def _tensors(samples: Tensors) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.constant(array) for name, array in samples.items()}


def _gap(answer: Any) -> Any:
    import tensorflow as tf

    rows = tf.reshape(answer, (tf.shape(answer)[0], -1))
    if answer.shape.num_elements() == 1 or answer.shape[-1] == 1:
        return tf.reduce_sum(rows)
    largest = tf.math.top_k(rows, k=2).values
    return tf.reduce_sum(largest[:, 0] - largest[:, 1])
