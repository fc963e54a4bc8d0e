"""The gRPC door's ways in (TCP, unix socket, TLS), its services, and that both doors answer alike."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.server_process import Server, serving
from tests.integration.serving.embedded_models import write_convolution, write_version_teller

FLAGS = ["--model_name=m", "--model_base_path={MODELS}/m"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("models")
    write_version_teller(base / "m", 1)
    write_version_teller(base / "m", 2)
    write_convolution(base / "conv")
    return base


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    config = (
        'model_config_list {{ config {{ name: "m" base_path: "{0}/m" model_platform: "tensorflow" }} '
        'config {{ name: "conv" base_path: "{0}/conv" model_platform: "tensorflow" }} }}'
    ).format("{MODELS}")
    settings = {
        "flags": ["--model_config_file={MODELS}/c.txt", "--enable_grpc_healthcheck_service"],
        "files": {"c.txt": config},
    }
    with serving(settings, models) as running:
        yield running


def ask_rest(port: int, path: str, body: object) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def predict_over(channel: Any, values: list[float], model: str = "m", name: str = "x") -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs[name].CopyFrom(tf.make_tensor_proto(values, tf.float32))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)


def test_both_doors_give_the_same_values(server: Server) -> None:
    """The parity check reads the same model through both."""
    response = predict_over(server.channel, [1.5, 2.5])
    status, answer = ask_rest(server.rest, "/v1/models/m:predict", {"inputs": [1.5, 2.5]})
    assert status == 200
    assert list(response.outputs["sum"].float_val) == answer["outputs"]["sum"] == [3.5, 4.5]


def test_a_rank_that_would_end_tensorflow_is_refused_by_both_doors(server: Server) -> None:
    """One request from anybody would take the service down, as it does with TensorFlow Serving."""
    import grpc

    status, answer = ask_rest(server.rest, "/v1/models/conv:predict", {"instances": [[[0.0] * 8] * 8]})
    assert status == 400
    assert answer["error"] == ('Input "image" must have shape [?,8,8,1] by the signature, but has shape [1,8,8]')
    with pytest.raises(grpc.RpcError) as refused:
        predict_over(server.channel, [[[0.0] * 8] * 8], "conv", "image")  # type: ignore[list-item]  # the wrong rank is the point
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    image = [[[[1.0]] * 8] * 8]
    assert ask_rest(server.rest, "/v1/models/conv:predict", {"instances": image})[0] == 200


def test_the_health_service_says_that_it_serves(server: Server) -> None:
    """Kubernetes probes ask it."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    health = health_pb2_grpc.HealthStub(server.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == health_pb2.HealthCheckResponse.SERVING


def test_models_come_go_and_change_by_rpc(models: Path) -> None:
    """HandleReloadConfigRequest is how fleets are told what to serve."""
    import grpc
    from google.protobuf import text_format
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    def reload(stub: Any, text: str) -> Any:
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(text, request.config)
        return stub.HandleReloadConfigRequest(request, timeout=20)

    one = f'config {{ name: "%s" base_path: "{models}/m" model_platform: "tensorflow" %s }}'
    with serving({"flags": FLAGS}, models) as running:
        stub = model_service_pb2_grpc.ModelServiceStub(running.channel)
        both = one % ("other", "model_version_policy { specific { versions: 1 } } ")
        assert reload(stub, f"model_config_list {{ {both} }}").status.error_code == 0
        assert predict_over(running.channel, [0.0], "other").outputs["version"].float_val[0] == 1.0
        with pytest.raises(grpc.RpcError) as gone:
            predict_over(running.channel, [0.0], "m")
        assert gone.value.code() is grpc.StatusCode.NOT_FOUND
        labelled = one % ("other", 'model_version_policy { all {} } version_labels { key: "l" value: 2 }')
        with pytest.raises(grpc.RpcError) as refused:
            reload(stub, f"model_config_list {{ {labelled} }}")
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        reload(stub, f"model_config_list {{ {one % ('other', 'model_version_policy { all {} }')} }}")
        wait_for_versions(running, 2)
        reload(stub, f"model_config_list {{ {labelled} }}")
        assert ask_rest(running.rest, "/v1/models/other/labels/l:predict", {"inputs": [0]})[1]["outputs"][
            "version"
        ] == [2.0]


def wait_for_versions(server: Server, count: int) -> None:
    import time

    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.rest, timeout=10)
        connection.request("GET", "/v1/models/other")
        found = json.loads(connection.getresponse().read())["model_version_status"]
        connection.close()
        if sum(status["state"] == "AVAILABLE" for status in found) == count:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_unix_socket_leads_to_the_same_models(models: Path, tmp_path: Path) -> None:
    """Sidecars speak over one."""
    import grpc

    path = tmp_path / "s"
    with (
        serving({"flags": [*FLAGS, f"--grpc_socket_path={path}"]}, models),
        grpc.insecure_channel(f"unix:{path}") as channel,
    ):
        assert predict_over(channel, [1.0]).outputs["sum"].float_val[0] == 3.0


def test_tls_admits_who_trusts_its_certificate_and_nobody_else(
    models: Path, tmp_path: Path, require: Callable[[str | None], None]
) -> None:
    """A server that fell back to plain text would not be noticed by its operator."""
    import grpc

    require(None if shutil.which("openssl") else "openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    config = tmp_path / "ssl.txt"
    config.write_text(f"server_key: {json.dumps(key.read_text())} server_cert: {json.dumps(certificate.read_text())}")
    with serving({"flags": [*FLAGS, f"--ssl_config_file={config}"]}, models) as running:
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(f"localhost:{running.grpc}", credentials) as channel:
            assert predict_over(channel, [1.0]).outputs["sum"].float_val[0] == 3.0
        with pytest.raises(grpc.RpcError):
            predict_over(running.channel, [1.0])


def test_a_port_that_is_taken_is_named_and_nothing_is_left_behind(models: Path) -> None:
    """The process must end with the reason instead of serving half."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving({"flags": [*FLAGS, f"--rest_api_port={port}"]}, models, await_ready=False) as running:
            assert running.wait_exit(60) == 1
            assert f"Couldn't bind 127.0.0.1 to port {port} for REST" in running.log.read_text()


def test_a_wrong_flag_ends_the_start_by_its_name(models: Path) -> None:
    """An ignored flag is a server other than the one asked for."""
    with serving({"flags": [*FLAGS, "--prefer_tflite_model"]}, models, await_ready=False) as running:
        assert running.wait_exit(60) == 2
        assert "--prefer_tflite_model=true is not supported" in running.log.read_text()


def test_help_lists_the_flags(models: Path) -> None:
    """The first thing that anybody types."""
    with serving({"flags": ["--help"]}, models, await_ready=False) as running:
        assert running.wait_exit(60) == 0
        assert "--model_base_path=" in running.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(models: Path, number: int) -> None:
    """A launcher waits for it; one that hangs holds its ports and memory."""
    with serving({"flags": FLAGS}, models) as running:
        running.signal(number)
        assert running.wait_exit(15) == 0
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", running.rest)) != 0


def test_a_signal_ends_a_server_that_still_waits_for_its_first_model(tmp_path: Path) -> None:
    """A pipeline that failed before its export must not leave one behind."""
    with serving({"flags": FLAGS}, tmp_path, await_ready=False) as running:
        assert running.wait_exit(1.0) is None
        running.signal(signal.SIGTERM)
        assert running.wait_exit(15) == 0
