"""Clients that are slow, rude or broken get an answer or lose their connection; the server goes on."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.conformance.fuzzing import Fuzzer
from tests.conformance.server_process import Server, serving
from tests.integration.serving.embedded_models import write_convolution, write_version_teller

LIMIT = 100_000
PREDICT = b'{"inputs": [1]}'
HEAD = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("models")
    write_version_teller(base / "m", 1)
    write_convolution(base / "conv")
    config = "model_config_list {" + "".join(
        f'config {{ name: "{name}" base_path: "{{MODELS}}/{name}" model_platform: "tensorflow" }}'
        for name in ("m", "conv")
    )
    settings = {
        "flags": ["--model_config_file={MODELS}/c.txt", f"--rest_api_max_body_bytes={LIMIT}"],
        "files": {"c.txt": config + "}"},
    }
    with serving(settings, base) as running:
        yield running


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.rest), timeout=10)


def answer(connection: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response


def assert_serves(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(HEAD + PREDICT)
        assert answer(connection).status == 200


def test_a_request_that_comes_byte_by_byte_is_answered(server: Server) -> None:
    """Slow networks cut requests anywhere."""
    with connected(server) as connection:
        for byte in HEAD + PREDICT:
            connection.sendall(bytes([byte]))
        assert answer(connection).status == 200


def test_a_client_that_closed_its_side_still_gets_its_answer(server: Server) -> None:
    """Half-closed connections are legal, and `nc` makes them."""
    with connected(server) as connection:
        connection.sendall(HEAD + PREDICT)
        connection.shutdown(socket.SHUT_WR)
        assert answer(connection).status == 200


def test_clients_that_go_away_in_the_middle_cost_nothing(server: Server) -> None:
    """Each would leave something behind until the server is full."""
    for cut in (10, len(HEAD), len(HEAD) + 5):
        for _ in range(50):
            with connected(server) as connection:
                connection.sendall((HEAD + PREDICT)[:cut])
    assert_serves(server)


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    """Load balancers send the next request before the answer to the last."""
    count = 200
    with connected(server) as connection:
        connection.sendall(b"".join(HEAD + b'{"inputs": [%d]}' % (index % 10) for index in range(count)))
        stream = connection.makefile("rb")
        for index in range(count):
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.startswith(b"Content-Length"):
                    length = int(line.split(b":")[1])
            assert json.loads(stream.read(length))["outputs"]["sum"] == [index % 10 + 1.0]
        stream.close()


def test_idle_connections_do_not_keep_others_out(server: Server) -> None:
    """A few hundred open sockets are no reason to stop serving."""
    idle = [connected(server) for _ in range(300)]
    for connection in idle:
        connection.sendall(HEAD[:20])
    assert_serves(server)
    for connection in idle:
        connection.close()


@pytest.mark.parametrize(
    "head",
    [
        f"Content-Length: {LIMIT + 1}\r\n\r\n".encode(),
        b"Transfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n" + b"",
    ],
)
def test_a_body_over_the_limit_is_refused_before_it_is_read(server: Server, head: bytes) -> None:
    """Memory would belong to whoever sends the most."""
    with connected(server) as connection:
        connection.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\n" + head)
        if b"chunked" in head:
            for _ in range(LIMIT // 0x4000):
                connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert answer(connection).status == 413
    assert_serves(server)


def test_headers_without_end_are_refused(server: Server) -> None:
    """As above, one line earlier."""
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100)))
        assert answer(connection).status == 400


def test_a_gzip_bomb_is_no_bomb(server: Server) -> None:
    """A kilobyte must not unpack to gigabytes."""
    import gzip

    bomb = gzip.compress(b"[" * 50_000_000)
    with connected(server) as connection:
        connection.sendall(
            b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
            % len(bomb)
            + bomb
        )
        assert answer(connection).status == 400


@pytest.mark.parametrize("depth", [100, 5000, 40_000])
def test_deep_json_is_refused_in_good_time(server: Server, depth: int) -> None:
    """Recursion would end the process."""
    body = b'{"instances":' + b"[" * depth + b"]" * depth + b"}"
    started = time.monotonic()
    with connected(server) as connection:
        connection.sendall(
            b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        assert answer(connection).status == 400
    assert time.monotonic() - started < 20
    assert_serves(server)


def test_a_tensor_that_promises_more_than_it_holds_is_refused(server: Server) -> None:
    """Twenty bytes that ask for a terabyte."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 1 << 40
    request.inputs["x"].float_val.append(1.0)
    with pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(server.channel).Predict(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("seed", [1, 2])
def test_random_requests_find_no_fault(server: Server, seed: int) -> None:
    """`make fuzz-serving` sends 20,000; these are the first of them."""
    before = server.resident_megabytes()
    fuzzer = Fuzzer(server, [("m", ["serving_default"]), ("conv", ["serving_default"]), ("nope", ["x"])], seed)
    fuzzer.rest(400)
    fuzzer.grpc(300)
    assert fuzzer.findings.faults == []
    assert server.is_running
    assert_serves(server)
    assert server.resident_megabytes() < before + 200
