"""Faults of runtimes: state from call to call, batches that are handled wrongly, dead lanes, answers mixed up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.core.artifact import Artifact, Format
from tests.faults.fault import Group, Workbench
from tests.faults.graph import called, served
from tests.faults.rest_proxy import proxied, remembering, sharing_a_buffer
from tests.faults.rig import Place, Run

RUNTIME = Group("runtime")
_RIGHT_CALLS = 5


def shimmed(bench: Workbench, fault: str) -> Place:
    """The real edge runner behind a faulty layer."""
    return bench.rig.edge("litert", command=(sys.executable, "-m", "tests.faults.edge_shim", fault))


def stateful(bench: Workbench, spoil: Callable[[Any, Any], Any]) -> Artifact:
    """A SavedModel that counts its calls; `spoil` takes the count and the answers."""
    import tensorflow as tf

    sound = bench.digits.artifact(Format.SAVED_MODEL).signature
    model, module = bench.digits.model, tf.Module()
    module.calls = tf.Variable(0)

    def call(image: Any) -> Any:
        count = module.calls.assign_add(1)
        return called(sound, spoil(count, model(image, training=False)))

    return served(bench.digits, call, bench.folder, state=module)


@RUNTIME.fault("right for five calls and wrong from then on", "wrong_after_first_calls")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    artifact = stateful(bench, lambda count, scores: tf.where(count > _RIGHT_CALLS, tf.roll(scores, 1, -1), scores))
    return bench.rig.run(bench.digits, artifact, bench.rig.in_process())


@RUNTIME.fault("right for five calls and NaN from then on, on a server", "wrong_after_first_calls")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    artifact = stateful(bench, lambda count, scores: tf.where(count > _RIGHT_CALLS, np.nan, scores))
    return bench.rig.run(bench.digits, artifact, bench.rig.server("grpc"))


@RUNTIME.fault("a wrong fast path for large batches", "batch_size_dependent")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    sound = bench.digits.artifact(Format.SAVED_MODEL).signature
    model = bench.digits.model

    def call(image: Any) -> Any:
        scores = model(image, training=False)
        return called(sound, tf.where(tf.shape(image)[0] > 8, scores**2, scores))

    return bench.rig.run(bench.digits, served(bench.digits, call, bench.folder), bench.rig.server("rest"))


@RUNTIME.fault("each call gets the answers of the call before", "rows_shifted")
def _(bench: Workbench) -> Run:
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFLITE), shimmed(bench, "one-call-late"))


@RUNTIME.fault("the last, shorter batch keeps an old answer", "last_batch_wrong")
def _(bench: Workbench) -> Run:
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFLITE), shimmed(bench, "last-batch-stale"))


@RUNTIME.fault("every sample of a batch gets the first one's answer", "rows_repeated")
def _(bench: Workbench) -> Run:
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFLITE), shimmed(bench, "first-of-each-batch"))


@RUNTIME.fault("one lane of four never writes its answers", "position_in_batch", quick=True)
def _(bench: Workbench) -> Run:
    return bench.rig.run(bench.digits, bench.digits.artifact(Format.TFLITE), shimmed(bench, "last-lane-dead"))


@RUNTIME.fault("a proxy that answers from a cache of one", "rows_repeated")
def _(bench: Workbench) -> Run:
    kept: list[Any] = []
    return bench.rig.run(
        bench.digits,
        bench.digits.artifact(Format.SAVED_MODEL),
        bench.rig.server("rest"),
        around=lambda session: proxied(session, remembering(kept)),
    )


@RUNTIME.fault("a proxy that sorts the answers of a batch backwards", "rows_reversed")
def _(bench: Workbench) -> Run:
    return bench.rig.run(
        bench.digits,
        bench.digits.artifact(Format.SAVED_MODEL),
        bench.rig.server("rest"),
        around=lambda session: proxied(session, lambda rows: rows[::-1]),
    )


@RUNTIME.fault("a proxy that rounds to three decimals", "rounded_decimals")
def _(bench: Workbench) -> Run:
    return bench.rig.run(
        bench.digits,
        bench.digits.artifact(Format.SAVED_MODEL),
        bench.rig.server("rest"),
        around=lambda session: proxied(session, lambda rows: np.round(rows, 3).tolist()),
    )


@RUNTIME.fault("half precision on the way", "precision_float16")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    sound = bench.digits.artifact(Format.SAVED_MODEL).signature
    model = bench.digits.model

    def call(image: Any) -> Any:
        return called(sound, tf.cast(tf.cast(model(image, training=False), tf.float16), tf.float32))

    return bench.rig.run(bench.digits, served(bench.digits, call, bench.folder), bench.rig.server("grpc"))


@RUNTIME.fault("a proxy whose clients share one buffer", "concurrency_dependent")
def _(bench: Workbench) -> Run:
    return bench.rig.run(
        bench.digits,
        bench.digits.artifact(Format.SAVED_MODEL),
        bench.rig.server("rest"),
        around=sharing_a_buffer,
    )


@RUNTIME.fault("an overflow of half precision", "overflow_float16")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    sound = bench.scene.artifact(Format.SAVED_MODEL).signature
    model = bench.scene.model
    from tests.faults.graph import dict_in_order

    # The box in another unit, so that its larger values exceed what float16 holds.
    unit = 20000.0

    def call(*given: Any) -> Any:
        answers = called(sound, model(dict_in_order(model, sound, given), training=False))
        return answers | {"box": tf.cast(tf.cast(answers["box"] * unit, tf.float16), tf.float32)}

    reference = {**bench.scene.reference, "box": bench.scene.reference["box"] * np.float32(unit)}
    return bench.rig.run(
        bench.scene, served(bench.scene, call, bench.folder), bench.rig.in_process(), reference=reference
    )
