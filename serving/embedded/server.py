"""Puts the server together: models first, doors once these are loaded, and everything down again on a signal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.embedded.flags import Flags, parse_flags, usage
from serving.embedded.status import Code, ServingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.models import ModelConfig
    from serving.embedded.run import Runner
    from serving.embedded.servable import SessionSettings

log = logging.getLogger("serving.embedded")

GRACE_SECONDS = 5.0
"""How long requests that are being answered may take to finish once the server was told to stop."""
_SWITCH_SECONDS = 0.0005


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; `argv` are the flags alone. Returns the process's exit status."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s: %(levelname).1s %(name)s] %(message)s"
    )
    try:
        flags = parse_flags(argv)
    except ServingError as error:
        sys.stderr.write(f"{error.message}\n{usage()}")
        return 2
    if flags.version:
        sys.stdout.write(_versions())
        return 0
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with running(flags, stop) as ports:
            _report(flags, ports)
            stop.wait()
    except ServingError as error:
        sys.stderr.write(f"Failed to start server. Error: {error}\n")
        return 1
    except _Stopped:
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """Where the doors are; None: that door is shut."""

    grpc: int | None
    rest: int | None


class _Stopped(Exception):  # a signal, not an error
    """Told to stop while the first models were still being waited for."""


@contextmanager
def running(flags: Flags, stop: threading.Event) -> Iterator[Ports]:
    """Load the models, open the doors, and at the end close both in the opposite order.

    Raises ServingError where the server cannot start, `_Stopped` where `stop` was set before it had.
    """
    from serving.embedded import configs
    from serving.embedded.loading import Loader
    from serving.embedded.manager import LoadSettings, Manager
    from serving.embedded.metrics import Metrics

    metrics = Metrics()
    models = _models(flags)
    loader = Loader(
        settings=_session_settings(flags),
        metrics=metrics,
        warmup_iterations=flags.num_request_iterations_for_warmup if flags.enable_model_warmup else 0,
    )
    manager = Manager(
        LoadSettings(
            poll_seconds=flags.file_system_poll_wait_seconds,
            retries=flags.max_num_load_retries,
            retry_seconds=flags.load_retry_interval_micros / 1e6,
            allow_labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
        ),
        loader.load,
    )
    prometheus = (
        configs.monitoring_config(Path(flags.monitoring_config_file)).prometheus_config
        if (flags.monitoring_config_file)
        else None
    )
    sys.setswitchinterval(_SWITCH_SECONDS)
    with ExitStack() as closing:
        runner = _runner(flags, metrics)
        closing.callback(runner.close)
        manager.check_labels(models)
        manager.configure(models)
        manager.start()
        closing.callback(manager.stop)
        manager.wait_available(tuple(model.name for model in models), stop.is_set)
        if stop.is_set():
            raise _Stopped
        configured = _Configured(manager, models)
        closing.enter_context(_config_polled(flags, configured, stop))
        rest = closing.enter_context(
            _rest_door(flags, manager, runner, metrics, prometheus.path if prometheus and prometheus.enable else None)
        )
        grpc_port = closing.enter_context(_grpc_door(flags, manager, runner, metrics, configured))
        yield Ports(grpc=grpc_port, rest=rest)


class _Configured:
    """The models that are served, and the one way to change them, from a file or by RPC."""

    def __init__(self, manager: Manager, models: tuple[ModelConfig, ...]) -> None:
        self._manager = manager
        self._models = models
        self._lock = threading.Lock()

    def change(self, models: tuple[ModelConfig, ...]) -> None:
        """Serve these models; returns when each has a version. Raises ServingError and changes nothing if it must."""
        with self._lock:
            self._manager.check_labels(models)
            self._manager.configure(models)
            self._models = models
            self._manager.wait_available(tuple(model.name for model in models), lambda: False, timeout=60.0)


@contextmanager
def _config_polled(flags: Flags, configured: _Configured, stop: threading.Event) -> Iterator[None]:
    """Read the config file again and again; what is wrong with it is logged and changes nothing."""
    from serving.embedded import configs
    from serving.embedded.models import models_from_proto

    done = threading.Event()

    def poll() -> None:
        path = Path(flags.model_config_file)
        while not done.wait(flags.model_config_file_poll_wait_seconds):
            try:
                configured.change(models_from_proto(configs.model_server_config(path)))
            except ServingError as error:
                log.error("the config file %s was not applied: %s", path, error)  # noqa: TRY400  # no trace

    if not flags.model_config_file or flags.model_config_file_poll_wait_seconds <= 0:
        yield
        return
    del stop
    thread = threading.Thread(target=poll, name="model-config", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _rest_door(
    flags: Flags, manager: Manager, runner: Runner, metrics: Metrics, prometheus_path: str | None
) -> Iterator[int | None]:
    """The REST server on an event loop and a thread of its own; yields its port."""
    import uvloop

    from serving.embedded.http import Connection, Connections
    from serving.embedded.rest import RestDoor, RestOptions

    if not flags.rest_api_port and not flags.ports_file:
        yield None
        return
    options = RestOptions(
        timeout_seconds=flags.rest_api_timeout_in_ms / 1000,
        cors=flags.rest_api_enable_cors_support,
        prometheus_path=prometheus_path,
        max_body_bytes=flags.rest_api_max_body_bytes,
    )
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    door = RestDoor(manager, runner, metrics, options, loop)
    connections = Connections(loop=loop, handle=door.handle, max_body_bytes=options.max_body_bytes)
    try:
        server: Any = loop.run_until_complete(
            loop.create_server(lambda: Connection(connections), flags.host, flags.rest_api_port, backlog=1024)
        )
    except OSError as error:
        loop.close()
        raise ServingError(
            Code.UNAVAILABLE, f"Couldn't bind {flags.host} to port {flags.rest_api_port} for REST: {error.strerror}"
        ) from None

    def sweep() -> None:
        connections.close_idle()
        loop.call_later(5.0, sweep)

    loop.call_later(5.0, sweep)
    thread = threading.Thread(target=loop.run_forever, name="rest", daemon=True)
    thread.start()

    async def shut() -> None:
        server.close()
        await connections.drain(GRACE_SECONDS)

    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(shut(), loop).result(GRACE_SECONDS + 5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        door.close()


@contextmanager
def _grpc_door(
    flags: Flags, manager: Manager, runner: Runner, metrics: Metrics, configured: _Configured
) -> Iterator[int | None]:
    """The gRPC server; yields its port."""
    import grpc

    from serving.embedded.grpc_service import GrpcDoor, add_services

    if not flags.port and not flags.ports_file and not flags.grpc_socket_path:
        yield None
        return
    threads = ThreadPoolExecutor(flags.grpc_max_threads or max(16, 4 * _cpus()), thread_name_prefix="grpc")
    server = grpc.server(threads, options=_channel_options(flags.grpc_channel_arguments))
    add_services(server, GrpcDoor(manager, runner, metrics, configured.change), metrics)
    if flags.enable_grpc_healthcheck_service:
        _add_health(server)
    port = None
    try:
        if flags.port or flags.ports_file:
            port = _listen(server, f"{flags.host}:{flags.port}", flags)
        if flags.grpc_socket_path:
            server.add_insecure_port(f"unix:{Path(flags.grpc_socket_path).absolute()}")
    except RuntimeError:
        threads.shutdown()
        raise ServingError(Code.UNAVAILABLE, f"Couldn't bind {flags.host} to port {flags.port} for gRPC") from None
    server.start()
    try:
        yield port
    finally:
        server.stop(GRACE_SECONDS).wait()
        threads.shutdown()


def _listen(server: Any, address: str, flags: Flags) -> int:
    from serving.embedded import configs

    if not flags.ssl_config_file:
        return int(server.add_insecure_port(address))
    import grpc

    ssl = configs.ssl_config(Path(flags.ssl_config_file))
    credentials = grpc.ssl_server_credentials(
        [(ssl.server_key.encode(), ssl.server_cert.encode())],
        root_certificates=ssl.custom_ca.encode() or None,
        require_client_auth=ssl.client_verify,
    )
    return int(server.add_secure_port(address, credentials))


def _add_health(server: Any) -> None:
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    servicer = health.HealthServicer()
    for service in ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"):
        servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


def _channel_options(arguments: str) -> list[tuple[str, str | int]]:
    """Unlimited message sizes, as there, then the user's own."""
    options: dict[str, str | int] = {
        "grpc.max_receive_message_length": (1 << 31) - 1,
        "grpc.max_send_message_length": (1 << 31) - 1,
        "grpc.so_reuseport": 0,
    }
    for argument in filter(None, arguments.split(",")):
        key, _, value = argument.partition("=")
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    return list(options.items())


def _models(flags: Flags) -> tuple[ModelConfig, ...]:
    from serving.embedded import configs
    from serving.embedded.models import ModelConfig, models_from_proto

    if flags.model_config_file:
        return models_from_proto(configs.model_server_config(Path(flags.model_config_file)))
    return (ModelConfig(name=flags.model_name, base_path=Path(flags.model_base_path)),)


def _session_settings(flags: Flags) -> SessionSettings:
    from serving.embedded import configs
    from serving.embedded.servable import SessionSettings

    config = None
    if flags.tensorflow_session_config_file:
        import tensorflow as tf

        config = configs.read_text_proto(Path(flags.tensorflow_session_config_file), tf.compat.v1.ConfigProto())
    intra, inter = flags.session_threads
    return SessionSettings(
        tags=tuple(flags.saved_model_tags.split(",")), intra_op_threads=intra, inter_op_threads=inter, config=config
    )


def _runner(flags: Flags, metrics: Metrics) -> Runner:
    if not flags.enable_batching:
        from serving.embedded.run import PooledRunner

        return PooledRunner(flags.rest_api_num_threads or 4 * _cpus())
    from serving.embedded import configs
    from serving.embedded.batching import BatchingOptions, BatchingRunner

    parameters = (
        configs.batching_parameters(Path(flags.batching_parameters_file))
        if flags.batching_parameters_file
        else configs.default_batching_parameters()
    )
    return BatchingRunner(BatchingOptions.from_proto(parameters, cpus=_cpus()), metrics)


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _report(flags: Flags, ports: Ports) -> None:
    """Say where the doors are: in the log, and in the file that a launcher waits for, whole or not at all."""
    log.info("Running gRPC ModelServer at %s:%s", flags.host, ports.grpc)
    log.info("Exporting HTTP/REST API at %s:%s", flags.host, ports.rest)
    path = flags.ports_file_path
    if path is not None:
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        aside.write_text(json.dumps({"grpc": ports.grpc, "rest": ports.rest, "pid": os.getpid()}))
        aside.replace(path)


def _versions() -> str:
    import tensorflow as tf

    return f"TensorFlow ModelServer: embedded in Tripoint\nTensorFlow Library: {tf.__version__}\n"
