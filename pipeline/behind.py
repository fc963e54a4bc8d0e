"""The part of a model behind layers, taken in like a model, and the proof that it belongs to the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.layer_cut import LayerCut, checked_cut
from export.layer_graph import LayerGraph, layer_graph
from pipeline.adoption import Adopted
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.signature import Tensors, TensorSpec, batches, concatenated, sample_count
from pipeline.core.wording import quoted
from pipeline.foreign import Foreign, foreign_of_keras
from pipeline.foreign_keras import KerasFound


@dataclass(frozen=True, kw_only=True, eq=False)
class Behind:
    """`model` is the part behind the cut, `front` asks the part in front.

    `front` takes one batch of the whole model's inputs, by name, and gives the inputs of `model` by name: the answers
    of the layers, and the inputs that it shares with the whole.
    """

    whole: Foreign
    model: Foreign
    cut: LayerCut
    front: Callable[[Tensors], dict[str, NDArray[Any]]]

    @property
    def front_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the whole that the layers in front read."""
        own = zip(_graph(self.whole).inputs, self.whole.inputs, strict=True)
        return tuple(spec for name, spec in own if name in self.cut.front)

    def through(self, samples: Tensors, *, batch: int | None) -> dict[str, NDArray[Any]]:
        """What samples of the whole become in front of the cut: all at once, unless the whole's batch is fixed.

        Sequences are padded to the longest beside them: in one batch they are of one length.
        """
        if batch is None:
            return self.front(samples)
        return concatenated([self.front(rows) for rows in batches(samples, batch)])


def graph_of(model: Foreign) -> LayerGraph | None:
    """The graph of a Keras model's layers; None where there is none."""
    return None if model.keras_model is None else layer_graph(model.keras_model)


def behind(whole: Foreign, adopted: Adopted) -> Behind:
    """The part behind `adopted.after`. Raises UsageError for what has no layers, or cannot be cut there."""
    import tensorflow as tf

    from export.keras_behind import parted
    from export.keras_interface import interface_of

    cut = checked_cut(_graph(whole), adopted.after)
    parts = parted(whole.keras_model, cut)
    own = KerasFound(model=parts.behind, runtime=whole.runtime, version=whole.version)
    model = foreign_of_keras(adopted, own, ())
    front = interface_of(parts.front)
    traced = tf.function(front.call, autograph=False, reduce_retracing=True)
    kept = _kept_names(whole, cut)
    names = [spec.name for spec in model.inputs]

    def ask_front(batch: Tensors) -> dict[str, NDArray[Any]]:
        tensors = {spec.name: tf.constant(batch[spec.name], dtype=spec.dtype) for spec in front.inputs}
        given = [np.asarray(tensor.numpy()) for tensor in traced(tensors).values()]
        return dict(zip(names, [*given, *(np.asarray(batch[name]) for name in kept)], strict=True))

    return Behind(whole=whole, model=model, cut=cut, front=ask_front)


def checked_whole(parts: Behind, samples: Tensors, *, batch_size: int) -> tuple[str, ...]:
    """Ask the front part and the part behind it, one after the other, and hold that against the whole model's answers.

    They have to be the same bit by bit. The outputs that the whole itself does not repeat are left out, and returned.
    Raises ModelFailed with how much, in which output, they differ.
    """
    found: dict[str, float] = {}
    unrepeated: set[str] = set()
    for rows in batches(samples, batch_size):
        want, got = parts.whole.answer(rows), parts.model.answer(parts.front(rows))
        if len(want) == len(got) == 1:
            # A Sequential model has no name for its output, its part has that of the last layer.
            want = dict(zip(got, want.values(), strict=True))
        if want.keys() != got.keys():
            raise ModelFailed(
                f"the part behind {quoted(parts.cut.after)} answers {sorted(got)}, the whole model {sorted(want)}",
                hint="cut elsewhere",
            )
        differing = {name for name, array in want.items() if not _same(array, got[name])}
        if differing:
            again = dict(zip(want, parts.whole.answer(rows).values(), strict=True))
            unrepeated |= {name for name in differing if not _same(want[name], again[name])}
            for name in differing:
                found[name] = max(found.get(name, 0.0), _difference(want[name], got[name]))
    for name in sorted(found.keys() - unrepeated):
        raise ModelFailed(
            f"{quoted(parts.cut.after)} and then the part behind do not answer as the whole model does: output "
            f"`{name}` differs by up to {found[name]:.3g}, over {sample_count(samples)} samples",
            hint="something passes the cut beside the values, as a mask does, or the model's own call does more than "
            "its layers: cut before or behind that",
        )
    return tuple(sorted(unrepeated))


def notes_on(parts: Behind, count: int, unrepeated: tuple[str, ...]) -> list[str]:
    """What a reader of the report has to know: that it is about a part of the model, and how that fits the rest."""
    cut, plural = parts.cut, len(parts.cut.after) > 1
    stays = [name for name in cut.front if name not in parts.cut.after]
    before = f", with what is in front of {'them' if plural else 'it'} ({', '.join(stays)})," if stays else ""
    what = (
        f"What was verified is the part of the model behind {quoted(cut.after)}: its inputs are named after "
        f"{'these layers' if plural else 'that layer'}. {quoted(cut.after)}{before} "
        f"{'stay' if plural else 'stays'} in the app; front.json says what {'they do' if plural else 'it does'}."
    )
    exactly = "exactly as the whole model does"
    if unrepeated:
        exactly += f", but for {quoted(unrepeated)}, which the model itself does not repeat"
    return [what, f"The front part and then this part answer {exactly}, over all {count} samples."]


def _graph(whole: Foreign) -> LayerGraph:
    graph = graph_of(whole)
    if graph is None:
        name = getattr(whole.keras_model, "name", "")
        raise UsageError(
            f"--after: the model `{name}` has no graph of layers: it is subclassed, and what its call does only its "
            "code says",
            hint="build the part to be shipped from keras.Input and adopt that, as file.py:function",
        )
    return graph


def _kept_names(whole: Foreign, cut: LayerCut) -> list[str]:
    """The kept inputs by their names in the whole's signature."""
    # The signature has the inputs in the graph's order, some under another name.
    own = zip(_graph(whole).inputs, whole.inputs, strict=True)
    return [spec.name for name, spec in own if name in cut.kept]


def _same(want: NDArray[Any], got: NDArray[Any]) -> bool:
    return want.dtype == got.dtype and np.array_equal(want, got, equal_nan=want.dtype.kind in "fc")


def _difference(want: NDArray[Any], got: NDArray[Any]) -> float:
    """The largest difference of numbers; how many elements differ of anything else; infinity for another shape."""
    if want.shape != got.shape or want.dtype != got.dtype:
        return float("inf")
    if want.dtype.kind not in "fciu":
        return float(np.count_nonzero(want != got))
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    return float(np.nanmax(np.abs(want.astype(wide) - got.astype(wide)), initial=0.0))
