"""Each lowering, on the real runtimes: a model that fails without it and agrees with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from export.lowered_saved_model import lowered
from export.lowering.every import LOWERINGS
from export.tfjs_from_saved_model import tfjs_from_saved_model
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import ConversionFailed, TargetFailed
from pipeline.core.target import Session
from tests.integration.exported import Exported, artifact, export
from web_demo.kernels import installed_kernels
from web_demo.runtime import Browser

_SAMPLES = 5
_WORDS = ["red", "green", "Großvater", "unheard of"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a layer computes, on which shape, the lowering that it needs and the target that needs it.

    `precision` is the one in which it fails without; text is drawn from a table's keys and one that it does not know.
    """

    lowering: str
    target: Format
    compute: Callable[..., Any]
    shape: tuple[int, ...]
    dtype: str = "float32"
    precision: Precision = Precision.FLOAT32
    on_old: bool = False
    """Whether it is the older of the two edge runtimes that fails."""
    holds: Callable[[], Any] | None = None
    """Makes what the layer holds, which `compute` is then given after its input."""


def _tf() -> Any:
    import tensorflow as tf

    return tf


def _checked(x: Any) -> Any:
    tf = _tf()
    with tf.control_dependencies([tf.debugging.assert_less(x, 1e9)]):
        return tf.debugging.check_numerics(tf.identity(x), "not finite") * 2.0


def _compiled(x: Any) -> Any:
    # `jit_compile` keeps the function apart.
    return _tf().function(lambda y: y * y + 1.0, jit_compile=True)(x)


def _attention(x: Any) -> Any:
    tf = _tf()
    return tf.einsum("bhqk,bkhd->bqhd", tf.nn.softmax(tf.einsum("bqhd,bkhd->bhqk", x, x)), x)


def _skipping(x: Any) -> Any:
    weights = np.random.default_rng(1).normal(size=(3, 3, 2, 4)).astype(np.float32)
    return _tf().nn.conv2d(x, weights, strides=4, padding="SAME")


def _seeds() -> Any:
    import keras

    return keras.random.SeedGenerator(1)


def _counting(x: Any, seeds: Any) -> Any:
    seeds.next()
    return x * 2.0


def _guarded(x: Any) -> Any:
    tf = _tf()
    return tf.cond(tf.reduce_max(tf.abs(x)) < 9.0, lambda: tf.sin(x) + x, lambda: x * 0.25)


def _narrowed(x: Any) -> Any:
    tf = _tf()
    # A choice between both would stretch the one column to four.
    return tf.reduce_sum(tf.cond(tf.reduce_max(x) < 1e6, lambda: x[:, :1], lambda: x), axis=1)


def _halved(x: Any) -> Any:
    tf = _tf()

    def halve(y: Any) -> Any:
        # Without the branch before it, NaN would go round for ever.
        return tf.while_loop(lambda z: ~(tf.reduce_max(z) < 1.0), lambda z: (z / 2,), (y,))[0]

    return tf.cond(tf.reduce_all(tf.math.is_finite(x)), lambda: halve(x), lambda: x)


def _segments(x: Any) -> Any:
    tf = _tf()
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(x), tf.constant([0, 1, -1, 1]), 2))


def _xlogy(x: Any) -> Any:
    tf = _tf()
    return tf.math.xlogy(tf.nn.relu(x), 2 + x * x) + tf.math.xdivy(tf.nn.relu(x), x)


def _patches(x: Any) -> Any:
    import keras

    tf = _tf()
    patches = keras.ops.image.extract_patches(x, size=2)
    spread = tf.linalg.diag(x[:, :, 0, 0])
    return tf.concat([tf.reshape(patches, (-1, 32)), tf.reshape(spread, (-1, 16))], axis=1)


def _looking_back(x: Any) -> Any:
    tf = _tf()
    seen = tf.linalg.band_part(tf.ones((5, 5), "bool"), -1, 0)
    scores = tf.where(seen, tf.matmul(x, x, transpose_b=True), -1e9)
    return tf.matmul(tf.nn.softmax(scores), x) + tf.linalg.band_part(x, 1, 2)


def _kernel(*shape: int) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _in_groups(x: Any) -> Any:
    tf = _tf()
    hidden = tf.nn.conv2d(x, _kernel(3, 2, 2, 8), [1, 2, 1, 1], "SAME")
    deep = tf.nn.conv2d(hidden, _kernel(2, 2, 1, 16), [1, 1, 1, 1], "VALID", dilations=[1, 2, 2, 1])
    return tf.nn.conv2d(deep, _kernel(1, 2, 4, 4), [1, 1, 1, 1], [[0, 0], [1, 0], [0, 1], [0, 0]])


def _unfolded(x: Any) -> Any:
    tf = _tf()
    wide = tf.nn.conv3d_transpose(x, _kernel(3, 2, 1, 4, 2), [_SAMPLES, 5, 9, 4, 4], [1, 2, 3, 1, 1], "SAME")
    return tf.nn.conv3d_transpose(wide, _kernel(2, 2, 2, 3, 4), [_SAMPLES, 6, 18, 8, 3], [1, 1, 2, 2, 1], "VALID")


def _scattered(x: Any) -> Any:
    tf = _tf()
    updates = tf.transpose(x)
    less = tf.tensor_scatter_nd_sub(updates * 2, [[1], [3]], updates[:2])
    return tf.transpose(tf.tensor_scatter_nd_add(less, [[1], [3], [1], [0]], updates))


def _running_products(x: Any) -> Any:
    tf = _tf()
    plain, other = tf.math.cumprod(x, axis=1), tf.math.cumprod(x, axis=-1, exclusive=True, reverse=True)
    return plain + other + tf.math.cumprod(x, axis=1, reverse=True) + tf.math.cumprod(x, axis=2, exclusive=True)


def _erfinv(x: Any) -> Any:
    return _tf().math.erfinv(_tf().tanh(x))


@cache
def _table() -> Any:
    tf = _tf()
    known = tf.lookup.KeyValueTensorInitializer(tf.constant(_WORDS[:-1]), tf.constant([3, 1, 2], tf.int64))
    return tf.lookup.StaticHashTable(known, default_value=0)


def _looked_up(x: Any) -> Any:
    return _tf().cast(_table().lookup(x), _tf().float32)


def _integer_table() -> Any:
    tf = _tf()
    # Out of order, one that only int64 holds beside one that equals it in 32 bits, and five: no power of two.
    known = tf.constant([7, -3, 2**40 + 1, 1, 0], tf.int64)
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(known, tf.constant([5, 4, 3, 2, -6], tf.int64)), default_value=9
    )


def _integers_looked_up(x: Any, table: Any) -> Any:
    tf = _tf()
    wanted = tf.cast(x, tf.int64)
    # 5 is looked up as 2^40 + 1.
    far = tf.where(wanted > 4, tf.constant(2**40 + 1, tf.int64), wanted)
    return tf.cast(table.lookup(far) * 10 + table.lookup(wanted - 3), tf.float32)


def _looked_up_beside_others(x: Any) -> Any:
    tf = _tf()
    others = tf.nn.relu(1 - tf.abs(tf.fill([tf.shape(x)[0], 1], 0.5) - tf.range(3.0)))
    return tf.matmul(tf.concat([_looked_up(x), others], axis=-1), tf.constant([[1.0, 0], [0, 1], [0, 2], [1, 0]]))


def _of_bytes(x: Any) -> Any:
    tf = _tf()
    left = tf.cast(tf.round(x * 20), tf.int8)
    right = np.random.default_rng(2).integers(-128, 128, (4, 3)).astype(np.int8)
    return tf.cast(tf.raw_ops.BatchMatMulV3(x=left, y=right, Tout=tf.int32), tf.float32) / 100


def _best(x: Any) -> Any:
    import keras

    return _tf().cast(keras.ops.argmax(_tf().nn.relu(x) * -1.0, axis=-1), "float32")


def _elementary(x: Any) -> Any:
    tf = _tf()
    small = tf.tanh(x)
    arcs = tf.math.atan(x) + tf.math.asin(small) * tf.math.acos(small)
    return tf.math.erf(x) + tf.math.asinh(x) + tf.math.atanh(0.1 * x) + tf.math.cosh(x) + arcs


def _pooled(x: Any) -> Any:
    tf = _tf()
    wide, small = ([2, 3, 2], [2, 2, 1]), ([2, 2, 3], [1, 2, 2])
    return tf.concat(
        [
            tf.reshape(pool(x, *sizes, padding), (-1, count))
            for pool, sizes, padding, count in (
                (tf.nn.max_pool3d, wide, "SAME", 72),
                (tf.nn.avg_pool3d, wide, "SAME", 72),
                (tf.nn.avg_pool3d, small, "VALID", 24),
            )
        ],
        axis=1,
    )


def _recoloured(x: Any) -> Any:
    tf = _tf()
    grey_or_coloured = tf.sigmoid(tf.concat([x, x[..., :1] * tf.ones(3)], axis=1))
    turned = tf.image.hsv_to_rgb(tf.image.rgb_to_hsv(grey_or_coloured) * [0.7, 1.0, 0.9])
    stronger = tf.image.adjust_saturation(tf.image.adjust_hue(turned, 0.3), 1.6)
    return tf.image.adjust_contrast(stronger, 1.5) + tf.raw_ops.AdjustHue(images=turned - 0.5, delta=-0.2)


def _gamma(x: Any) -> Any:
    tf = _tf()
    return tf.math.lgamma(3 * x) + tf.math.digamma(tf.abs(x) + 0.1)


def _shrunk(x: Any) -> Any:
    tf = _tf()
    small = tf.image.resize(x, [4, 5], antialias=True)
    return small + tf.image.resize(x, [4, 5], method="lanczos5")


def _loud(x: Any) -> Any:
    tf = _tf()
    frames = tf.signal.stft(x, frame_length=9, frame_step=6, fft_length=12)
    spectrum = tf.signal.rfft(x, [16])
    back = tf.signal.irfft(tf.complex(tf.nn.relu(tf.math.real(spectrum)), tf.math.imag(spectrum)), [15])
    return tf.concat([tf.reshape(tf.abs(frames), (-1, 21)), back, tf.signal.irfft(tf.complex(x, -x), [10])], axis=-1)


def _neighbours(x: Any) -> Any:
    tf = _tf()
    edges = tf.SparseTensor([[0, 1], [1, 2], [2, 3], [3, 4]], [0.5, -1.0, 2.0, 3.0], (4, 5))
    return tf.transpose(tf.sparse.sparse_dense_matmul(edges, x, adjoint_a=True, adjoint_b=True))


def _sum_of_nothing(x: Any) -> Any:
    tf = _tf()
    # What is let go before the sum is what wasm's memory still holds.
    largest = tf.reduce_max(tf.exp(x), axis=1, keepdims=True)
    nothing = (x + (largest * 3.0 + 1.0) * 2.0)[:, 4:]
    return x + tf.reduce_sum(nothing, axis=1, keepdims=True)


CASES = [
    Case(lowering="empty_sum", target=Format.TFJS, compute=_sum_of_nothing, shape=(4,)),
    *(
        case
        for target in (Format.TFJS, Format.TFLITE)
        for case in (
            Case(lowering="integer_matmul", target=target, compute=_of_bytes, shape=(4,)),
            Case(lowering="sign_bit", target=target, compute=_best, shape=(3, 5)),
        )
    ),
    Case(lowering="branch", target=Format.TFLITE, compute=_guarded, shape=(4,), on_old=True),
    Case(lowering="matrix_diag", target=Format.TFJS, compute=_patches, shape=(4, 4, 2)),
    Case(lowering="band_part", target=Format.TFJS, compute=_looking_back, shape=(5, 4)),
    Case(lowering="grouped_convolution", target=Format.TFJS, compute=_in_groups, shape=(9, 7, 4)),
    Case(lowering="conv_3d_transpose", target=Format.TFJS, compute=_unfolded, shape=(3, 3, 4, 2)),
    Case(lowering="softsign", target=Format.TFJS, compute=lambda x: _tf().nn.softsign(x) * 2, shape=(4,)),
    Case(lowering="scatter_add", target=Format.TFJS, compute=_scattered, shape=(4,)),
    Case(lowering="cumprod", target=Format.TFLITE, compute=_running_products, shape=(7, 3)),
    Case(lowering="erfinv", target=Format.TFLITE, compute=_erfinv, shape=(4,)),
    Case(lowering="erfinv", target=Format.TFJS, compute=_erfinv, shape=(4,)),
    Case(lowering="debugging", target=Format.TFJS, compute=_checked, shape=(4,)),
    Case(lowering="inlining", target=Format.TFJS, compute=_compiled, shape=(4,)),
    Case(lowering="erfc", target=Format.TFJS, compute=lambda x: 2.0 - _tf().math.erfc(x), shape=(4,)),
    Case(lowering="einsum", target=Format.TFJS, compute=_attention, shape=(3, 2, 4)),
    Case(
        lowering="bucketize",
        target=Format.TFJS,
        compute=lambda x: _tf().raw_ops.Bucketize(input=x, boundaries=[-0.5, 0.0, 0.7]),
        shape=(4,),
    ),
    Case(
        lowering="integer_lookup",
        target=Format.TFLITE,
        compute=_integers_looked_up,
        shape=(3, 2),
        dtype="int32",
        holds=_integer_table,
    ),
    Case(lowering="lookup", target=Format.TFJS, compute=_looked_up, shape=(3,), dtype="string"),
    Case(
        lowering="lookup",
        target=Format.TFLITE,
        compute=_looked_up_beside_others,
        shape=(1,),
        dtype="string",
        precision=Precision.INT8,
    ),
    Case(
        lowering="xlogy",
        target=Format.TFJS,
        compute=_xlogy,
        shape=(4,),
    ),
    Case(lowering="roll", target=Format.TFJS, compute=lambda x: _tf().roll(x, [1, -2], axis=[1, 2]), shape=(4, 5)),
    Case(lowering="roll", target=Format.TFLITE, compute=lambda x: _tf().roll(x, [1, -2], axis=[1, 2]), shape=(4, 5)),
    Case(
        lowering="bicubic",
        target=Format.TFJS,
        compute=lambda x: _tf().image.resize(x, [7, 6], method="bicubic"),
        shape=(4, 5, 2),
    ),
    Case(
        lowering="bicubic",
        target=Format.TFLITE,
        compute=lambda x: _tf().image.resize(x, [7, 6], method="bicubic"),
        shape=(4, 5, 2),
    ),
    Case(
        lowering="image_patches",
        target=Format.TFLITE,
        compute=lambda x: _tf().image.extract_patches(x, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1], "SAME"),
        shape=(5, 6, 2),
    ),
    Case(
        lowering="image_patches",
        target=Format.TFJS,
        compute=lambda x: _tf().image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
        shape=(4, 6, 2),
    ),
    Case(
        lowering="space_to_depth", target=Format.TFJS, compute=lambda x: _tf().nn.space_to_depth(x, 2), shape=(4, 6, 3)
    ),
    *(
        Case(lowering="unpadded_convolution", target=target, compute=_skipping, shape=(16, 16, 2), on_old=True)
        for target in (Format.TFLITE, Format.TFJS)
    ),
    Case(lowering="seed_state", target=Format.TFJS, compute=_counting, shape=(4,), holds=_seeds),
    Case(lowering="segment_sum", target=Format.TFJS, compute=_segments, shape=(4,)),
    Case(lowering="pool_3d", target=Format.TFLITE, compute=_pooled, shape=(4, 5, 6, 2)),
    *(
        case
        for target in (Format.TFJS, Format.TFLITE)
        for case in (
            Case(lowering="colours", target=target, compute=_recoloured, shape=(4, 3, 3)),
            Case(lowering="gamma", target=target, compute=_gamma, shape=(6,)),
            Case(lowering="scale_and_translate", target=target, compute=_shrunk, shape=(9, 7, 2)),
            Case(lowering="spectrum", target=target, compute=_loud, shape=(21,)),
            Case(lowering="sparse_matmul", target=target, compute=_neighbours, shape=(4,)),
        )
    ),
    Case(
        lowering="bincount",
        target=Format.TFLITE,
        compute=lambda x: _tf().math.bincount(x, minlength=6, maxlength=6, axis=-1, dtype="float32"),
        shape=(7,),
        dtype="int32",
    ),
    Case(
        lowering="elementary",
        target=Format.TFLITE,
        compute=_elementary,
        shape=(4,),
    ),
]
IDS = [f"{case.lowering}-{case.target}" for case in CASES]


def test_every_lowering_has_a_model_that_needs_it() -> None:
    needed = {(case.lowering, case.target) for case in CASES}
    for lowering in LOWERINGS:
        assert any((lowering.name, target) in needed for target in lowering.when)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_model_fails_without_the_lowering_and_agrees_with_it(
    case: Case, tmp_path: Path, edge: Session, old_edge: Session, browser: Session
) -> None:
    exported = _exported(case, tmp_path / "model")
    own = old_edge if case.on_old else edge
    session, variant = (own, "") if case.target is Format.TFLITE else (browser, "wasm")

    assert not _agrees_without(exported, case, tmp_path / "without", session, variant)
    got, used = _answers(exported, case, tmp_path / "with", session, variant, lowering=True)

    assert case.lowering in {one.lowering for one in used}
    assert any("odd" in node for one in used for node in one.nodes)
    assert np.ptp(exported.answers["answer"]) > 0.1
    in_float = case.precision is Precision.FLOAT32
    np.testing.assert_allclose(got["answer"], exported.answers["answer"], rtol=1e-4, atol=1e-5 if in_float else 0.05)


@pytest.mark.parametrize("compute", [_narrowed, _halved])
def test_a_branch_is_kept_where_computing_both_sides_would_answer_otherwise(
    compute: Callable[[Any], Any], tmp_path: Path
) -> None:
    """What a branch guards against would happen."""
    case = Case(lowering="branch", target=Format.TFLITE, compute=compute, shape=(4,))
    exported = _exported(case, tmp_path / "model")
    with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFLITE) as source:
        assert "branch" not in {one.lowering for one in source.used}


def test_the_list_of_kernels_says_what_the_browser_did() -> None:
    """Einsum converts, and fails on wasm: that this was known before is what preflight is for."""
    assert installed_kernels().lacking("Einsum", "wasm") == ("Einsum",)
    assert installed_kernels().lacking("Einsum", "cpu") == ()
    # In a branch for complex numbers, Abs calls a kernel that wasm lacks.
    assert installed_kernels().lacking("Abs", "wasm") == ()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_lowered_graph_computes_in_tensorflow_what_the_model_does(case: Case, tmp_path: Path) -> None:
    import tensorflow as tf

    exported = _exported(case, tmp_path / "model")
    refused = frozenset(operation for lowering in LOWERINGS for operation in lowering.operations)

    with lowered(exported.saved_model.path, scratch=tmp_path, target=case.target, refused=refused) as source:
        function = tf.saved_model.load(str(source.folder)).signatures["serving_default"]
        got = function(**{name: tf.constant(array) for name, array in exported.samples.items()})

    np.testing.assert_allclose(got["answer"].numpy(), exported.answers["answer"], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def old_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with EdgeProcess(library="tflite-runtime").boot(tmp_path_factory.mktemp("old-edge")) as session:
        yield session


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with EdgeProcess(library="litert").boot(tmp_path_factory.mktemp("edge")) as session:
        yield session


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Browser().boot(tmp_path_factory.mktemp("browser")) as session:
        yield session


def _exported(case: Case, folder: Path) -> Exported:
    import keras

    class Odd(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def build(self, _: Any) -> None:
            # What a layer does not hold is not exported with it.
            self.table = _table() if case.dtype == "string" else None
            self.held = () if case.holds is None else (case.holds(),)

        def call(self, x: Any) -> Any:
            return case.compute(x, *self.held)

        def compute_output_spec(self, x: Any) -> Any:
            held = () if case.holds is None else (case.holds(),)
            compute = _tf().function(lambda y: case.compute(y, *held))
            traced = compute.get_concrete_function(_tf().TensorSpec(x.shape, x.dtype))
            return keras.KerasTensor(traced.outputs[0].shape, traced.outputs[0].dtype.name)

    x = keras.Input(case.shape, name="x", dtype=case.dtype)
    model = keras.Model(x, Odd(name="odd")(x))
    random = np.random.default_rng(0)
    shape = (_SAMPLES, *case.shape)
    match case.dtype:
        case "string":
            sample = random.choice(np.array([word.encode() for word in _WORDS], object), shape)
        case "int32":
            sample = random.integers(0, 6, shape, np.int32)
        case _:
            sample = random.normal(size=shape).astype(case.dtype)
    samples = {"x": sample}
    answers = {"answer": np.asarray(model(_tf().constant(sample)))}
    return export(model, folder, samples=samples, answers=answers)


def _agrees_without(exported: Exported, case: Case, folder: Path, session: Session, variant: str) -> bool:
    """Whether the model converts, runs and answers as it should when nothing is lowered."""
    try:
        got, _ = _answers(exported, case, folder, session, variant, lowering=False)
    except (ConversionFailed, TargetFailed):
        return False
    return np.allclose(got["answer"], exported.answers["answer"], rtol=1e-2, atol=1e-2)


def _answers(
    exported: Exported, case: Case, folder: Path, session: Session, variant: str, *, lowering: bool
) -> tuple[Any, Any]:
    source, target = exported.saved_model, case.target
    folder.mkdir()
    if target is Format.TFLITE:
        place = folder / "model.tflite"
        used = tflite_from_saved_model(
            source.path,
            into=place,
            signature=source.signature,
            precision=case.precision,
            representative={} if case.precision is Precision.FLOAT32 else exported.samples,
            lowering=lowering,
        )
    else:
        place = folder
        used = tfjs_from_saved_model(
            source.path, into=place, signature=source.signature, precision=Precision.FLOAT32, lowering=lowering
        )
    with session.load(artifact("model", target, Precision.FLOAT32, place, source.signature), variant) as runner:
        if case.on_old:
            # Where some files take one batch size and no other after it.
            runner.run(exported.samples, batch_size=1)
        return runner.run(exported.samples, batch_size=_SAMPLES).outputs, used
