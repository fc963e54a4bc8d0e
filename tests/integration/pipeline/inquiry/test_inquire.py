"""Why a real server differs, found by asking it otherwise: the faults are on the server or on the way to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.artifact import Format, Precision
from pipeline.core.signature import Tensors
from pipeline.diagnosis.distance import allowed_distance
from pipeline.in_process import session_in
from pipeline.inquiry.inquire import inquired
from pipeline.inquiry.inquiry import Inquiry
from pipeline.inquiry.served import Served
from pipeline.parity.tolerances import tolerances_for
from serving.doors import Door, GrpcDoor, RestDoor
from tests.conformance.server_process import Server, serving
from tests.faults.rest_proxy import spoiled
from tests.integration.exported import Exported, export

_NAMES = ("right", "newer", "twofold", "bytes", "divided", "double")


@pytest.fixture(scope="module")
def samples() -> Tensors:
    return {"numbers": np.random.default_rng(0).uniform(0, 1, size=(48, 6)).astype(np.float32)}


def _model(seed: int) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6,), name="numbers"),
            layers.Dense(16, activation="tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=1.5)),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=2.0)),
        ]
    )


@pytest.fixture(scope="module")
def sound(samples: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    model = _model(0)
    answers = {"choice": model.predict(samples["numbers"], verbose=0)}
    return export(model, tmp_path_factory.mktemp("base") / "right", samples=samples, answers=answers)


def _times(model: Any, factor: float, numbers: Any) -> Any:
    return {"choice": model(numbers * factor)}


def _served_function(model: Any, path: Path, functions: dict[str, Callable[[Any], Any]]) -> None:
    """A SavedModel with these signatures over the model."""
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    specs = [tf.TensorSpec([None, 6], tf.float32, name="numbers")]
    for name, function in functions.items():
        archive.add_endpoint(name, tf.function(function, input_signature=specs, autograph=False))
    archive.write_out(str(path), verbose=False)


@pytest.fixture(scope="module")
def server(sound: Exported, samples: Tensors) -> Iterator[Server]:
    """One server with the sound model and five that are served wrongly, each under a name of its own."""
    import tensorflow as tf

    base, model = sound.saved_model.path.parents[1], sound.model
    newer = _model(1)
    newer.predict(samples["numbers"], verbose=0)
    _served_function(model, base / "newer/1", {"serving_default": lambda numbers: {"choice": model(numbers)}})
    _served_function(newer, base / "newer/2", {"serving_default": lambda numbers: {"choice": newer(numbers)}})
    _served_function(
        model,
        base / "twofold/1",
        {
            "serving_default": lambda numbers: {"choice": model(numbers)[:, ::-1]},
            "scores": lambda numbers: {"scores": model(numbers)},
        },
    )
    # It takes 0..255, as pictures come, and divides itself; and one that divides once too often.
    for name, factor in (("bytes", 1 / 255), ("divided", 1 / 255)):
        _served_function(
            model,
            base / name / "1",
            {"serving_default": functools.partial(_times, model, factor)},
        )
    _served_function(
        model, base / "double/1", {"serving_default": lambda numbers: {"choice": tf.cast(model(numbers), tf.float64)}}
    )
    entries = " ".join(
        f'config {{ name: "{name}" base_path: "{base}/{name}" model_platform: "tensorflow" '
        "model_version_policy { all {} } }"
        for name in _NAMES
    )
    settings = {
        "flags": ["--model_config_file={MODELS}/models.txt"],
        "files": {"models.txt": f"model_config_list {{ {entries} }}"},
    }
    with serving(settings, base) as running:
        yield running


def _inquired(server: Server, sound: Exported, name: str, *, rest: str = "", grpc_first: bool = False) -> Inquiry:
    doors: list[Door] = [
        RestDoor(address=rest or f"127.0.0.1:{server.rest}"),
        GrpcDoor(address=f"127.0.0.1:{server.grpc}"),
    ]
    door, other = reversed(doors) if grpc_first else doors
    tolerances = tolerances_for(Format.SAVED_MODEL, Precision.FLOAT32, {}, outputs=("choice",))
    with ThreadPoolExecutor(1) as executor, session_in(executor).load(sound.saved_model, "") as runner:
        served = Served(
            name=name,
            door=door,
            other=other,
            expected=sound.saved_model.signature,
            version=1,
            inputs=sound.samples,
            want=sound.answers,
            allowed={key: allowed_distance(array, tolerances[key]) for key, array in sound.answers.items()},
            in_process=lambda given: runner.run(given, batch_size=64).outputs,
            export=sound.saved_model.path,
        )
        return inquired(served, model="right", target="server/rest", addresses={"REST": "here"})[0]


@pytest.mark.parametrize("grpc_first", [False, True])
def test_a_server_that_is_right_is_called_right(server: Server, sound: Exported, *, grpc_first: bool) -> None:
    """A person would search where nothing is."""
    inquiry = _inquired(server, sound, "right", grpc_first=grpc_first)
    assert inquiry.cause == "none", inquiry.sentence
    assert all(each.agrees in (True, None) for each in inquiry.experiments)


@pytest.mark.parametrize(
    ("name", "cause", "decisive"),
    [
        ("newer", "other_version", "version 1 by number"),
        ("twofold", "other_signature", "signature `scores`"),
        ("bytes", "input_scale", "other inputs sent"),
        ("double", "dtype_changed", "its signature"),
    ],
)
@pytest.mark.parametrize("grpc_first", [False, True])
def test_what_makes_a_wrong_server_agree_is_named(
    server: Server, sound: Exported, name: str, cause: str, decisive: str, *, grpc_first: bool
) -> None:
    """The report says only that all values differ."""
    inquiry = _inquired(server, sound, name, grpc_first=grpc_first)
    assert (inquiry.cause, inquiry.decisive) == (cause, decisive), inquiry.sentence


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda rows: np.trunc(np.multiply(rows, 1)).astype(int).tolist(), "dtype_changed"),
        (lambda rows: np.round(rows, 3).tolist(), "rounded_decimals"),
        (lambda rows: np.asarray(rows).astype(np.float16).astype(float).tolist(), "precision_float16"),
    ],
    ids=["whole numbers", "three decimals", "half precision"],
)
def test_what_is_lost_on_the_way_of_one_door_is_named(
    server: Server, sound: Exported, spoil: Callable[[Any], Any], cause: str
) -> None:
    """The model, the version and the signature are right; a proxy in between is not."""
    with spoiled(f"127.0.0.1:{server.rest}", spoil) as address:
        inquiry = _inquired(server, sound, "right", rest=address)
    assert (inquiry.cause, inquiry.decisive) == (cause, "REST beside gRPC"), inquiry.sentence


def test_an_input_that_is_spoiled_before_the_model_is_told_by_the_export(server: Server, sound: Exported) -> None:
    """What happens to the samples on their way can only be seen in the answers."""
    import orjson

    def one_place_off(body: bytes) -> bytes:
        request = orjson.loads(body)
        request["instances"] = np.roll(request["instances"], 1, axis=1).tolist()
        return orjson.dumps(request)

    with spoiled(f"127.0.0.1:{server.rest}", lambda rows: rows, on_request=one_place_off) as address:
        inquiry = _inquired(server, sound, "right", rest=address)
    assert inquiry.cause == "input_shifted", inquiry.sentence
    assert inquiry.decisive in ("other inputs sent", "inputs as it sees them")


def test_a_server_that_knows_no_such_model_is_answered_with_what_it_says(server: Server, sound: Exported) -> None:
    """Whoever mistypes the name would get a traceback."""
    inquiry = _inquired(server, sound, "nothing")
    assert inquiry.cause == "unknown"
    assert "404" in inquiry.experiments[0].showed
