"""A new version takes over under load: nothing fails, nothing is mixed, and a bad one takes nothing over."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from tests.conformance.server_process import Server, serving
from tests.integration.serving.embedded_models import write_version_teller, write_warmup

FLAGS = ["--model_name=m", "--model_base_path={MODELS}/m", "--max_num_load_retries=0"]


def predict(connection: http.client.HTTPConnection, value: float) -> tuple[int, bytes]:
    connection.request("POST", "/v1/models/m:predict", json.dumps({"inputs": [value, value]}))
    response = connection.getresponse()
    return response.status, response.read()


def states(server: Server) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.rest, timeout=10)
    connection.request("GET", "/v1/models/m")
    found = json.loads(connection.getresponse().read())
    connection.close()
    return {status["version"]: status["state"] for status in found["model_version_status"]}


def await_states(server: Server, want: dict[str, str]) -> None:
    deadline = time.monotonic() + 20
    while (got := states(server)) != want:
        assert time.monotonic() < deadline, f"want {want}, got {got}"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    write_version_teller(tmp_path / "m", 1)
    with serving({"flags": [*FLAGS, "--enable_batching"]}, tmp_path) as running:
        yield running


class Load:
    """Clients that ask without pause and keep every answer's version."""

    def __init__(self, port: int, clients: int) -> None:
        self.versions: Counter[float] = Counter()
        self.faults: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            self._ask_over(connection)

    def _ask_over(self, connection: http.client.HTTPConnection) -> None:
        while not self._stop.is_set():
            try:
                status, body = predict(connection, 10.0)
            except OSError as error:
                self.faults.append(repr(error))
                return
            if status != 200:
                self.faults.append(f"{status} {body!r}")
                continue
            outputs = json.loads(body)["outputs"]
            told = set(outputs["version"]) | {total - 10.0 for total in outputs["sum"]}
            if len(told) != 1:
                self.faults.append(f"a mixture: {outputs}")
            self.versions[told.pop()] += 1


def test_versions_change_under_load_without_a_lost_or_mixed_answer(server: Server, tmp_path: Path) -> None:
    """A deployment would cost requests, or answer one request from two models."""
    with Load(server.rest, clients=6) as load:
        for version in (2, 3, 4):
            time.sleep(0.5)
            write_version_teller(tmp_path / "m", version)
            await_states(server, {str(version): "AVAILABLE", **{str(old): "END" for old in range(1, version)}})
        time.sleep(0.3)
    assert load.faults == []
    assert set(load.versions) == {1.0, 2.0, 3.0, 4.0}


def test_a_version_whose_warmup_fails_never_serves(server: Server, tmp_path: Path) -> None:
    """Warmup requests are a deployment's first test; one that fails must keep the version out."""
    version = write_version_teller(tmp_path / "elsewhere", 2)
    write_warmup(version, "m", good=False)
    version.rename(tmp_path / "m" / "2")
    await_states(server, {"2": "END", "1": "AVAILABLE"})
    connection = http.client.HTTPConnection("127.0.0.1", server.rest, timeout=10)
    assert json.loads(predict(connection, 0.0)[1])["outputs"]["version"] == [1.0, 1.0]
    connection.close()


def test_warmup_requests_are_replayed_before_the_first_answer(tmp_path: Path) -> None:
    """The first client would wait for what warmup is there to do."""
    write_warmup(write_version_teller(tmp_path / "m", 1), "m", good=True)
    (tmp_path / "mon.txt").write_text('prometheus_config { enable: true path: "/metrics" }')
    with serving({"flags": [*FLAGS, "--monitoring_config_file={MODELS}/mon.txt"]}, tmp_path) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.rest, timeout=10)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
    assert f':tensorflow:serving:model_warmup_records_read{{model_path="{tmp_path}/m/1"}} 1' in page


def test_a_version_that_is_still_being_copied_waits_until_it_is_whole(server: Server, tmp_path: Path) -> None:
    """Copying into the base path file by file, graph first, is how most people deploy."""
    import shutil

    whole = write_version_teller(tmp_path / "elsewhere", 2)
    target = tmp_path / "m" / "2"
    target.mkdir()
    shutil.copy(whole / "saved_model.pb", target)
    await_states(server, {"2": "END", "1": "AVAILABLE"})
    shutil.copytree(whole / "variables", target / "variables")
    await_states(server, {"2": "AVAILABLE", "1": "END"})
