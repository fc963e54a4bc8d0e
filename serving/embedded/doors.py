"""Opens and closes the two doors: REST on an event loop of its own, gRPC on grpcio's server."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.embedded.status import Code, ServingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.embedded.flags import Flags
    from serving.embedded.grpc_calls import Rpcs
    from serving.embedded.grpc_service import GrpcDoor
    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.models import ModelConfig
    from serving.embedded.run import Runner

GRACE_SECONDS = 5.0
"""How long requests that are being answered may take to finish once the server was told to stop."""


@contextmanager
def rest_door(
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
def grpc_door(
    flags: Flags, manager: Manager, runner: Runner, metrics: Metrics, reload: Callable[[tuple[ModelConfig, ...]], None]
) -> Iterator[int | None]:
    """The gRPC server on an event loop and a thread of its own; yields its port."""
    import uvloop

    from serving.embedded.grpc_calls import Rpcs
    from serving.embedded.grpc_service import GrpcDoor

    if not flags.port and not flags.ports_file and not flags.grpc_socket_path:
        yield None
        return
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    threads = ThreadPoolExecutor(flags.grpc_max_threads or max(16, 4 * cpus()), thread_name_prefix="grpc")
    thread = threading.Thread(target=loop.run_forever, name="grpc", daemon=True)
    thread.start()
    try:
        opening = _open_grpc(
            flags,
            GrpcDoor(manager, metrics, reload),
            Rpcs(loop=loop, runner=runner, metrics=metrics, threads=threads),
        )
        server, port = asyncio.run_coroutine_threadsafe(opening, loop).result()
        try:
            yield port
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(GRACE_SECONDS), loop).result(GRACE_SECONDS + 5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        threads.shutdown()


async def _open_grpc(flags: Flags, door: GrpcDoor, rpcs: Rpcs) -> tuple[Any, int | None]:
    """The started server and its port, if it has one. Raises ServingError where the address cannot be had."""
    from grpc import aio

    from serving.embedded.grpc_calls import add_services

    server = aio.server(options=_channel_options(flags.grpc_channel_arguments))
    add_services(server, door, rpcs)
    if flags.enable_grpc_healthcheck_service:
        await _add_health(server)
    port = _bound(server, flags)
    await server.start()
    return server, port


def _bound(server: Any, flags: Flags) -> int | None:
    try:
        port = _listen(server, f"{flags.host}:{flags.port}", flags) if flags.port or flags.ports_file else None
        if flags.grpc_socket_path:
            server.add_insecure_port(f"unix:{Path(flags.grpc_socket_path).absolute()}")
    except RuntimeError:
        raise ServingError(Code.UNAVAILABLE, f"Couldn't bind {flags.host} to port {flags.port} for gRPC") from None
    return port


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


async def _add_health(server: Any) -> None:
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
    for service in ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"):
        await servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
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


def cpus() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))
