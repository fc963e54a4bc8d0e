"""Puts the server together: models first, doors once these are loaded, and everything down again on a signal."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serving.embedded.doors import cpus, grpc_door, rest_door
from serving.embedded.flags import Flags, parse_flags, usage
from serving.embedded.status import ServingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.models import ModelConfig
    from serving.embedded.run import Runner
    from serving.embedded.servable import SessionSettings

log = logging.getLogger("serving.embedded")

_SWITCH_SECONDS = 0.0005
"""How soon a thread that comes back from TensorFlow may have the interpreter; the default is a whole answer late."""


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; `argv` are the flags alone. Returns the process's exit status."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s: %(levelname).1s %(name)s] %(message)s"
    )
    if any(argument in ("--help", "-help", "-h") for argument in argv):
        sys.stdout.write(usage())
        return 0
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
    from serving.embedded.loading import Loader
    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.states import LoadSettings

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
    prometheus_path = _prometheus_path(flags)
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
        rest = closing.enter_context(rest_door(flags, manager, runner, metrics, prometheus_path))
        grpc_port = closing.enter_context(grpc_door(flags, manager, runner, metrics, configured.change))
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


def _models(flags: Flags) -> tuple[ModelConfig, ...]:
    from serving.embedded import configs
    from serving.embedded.models import ModelConfig, models_from_proto

    if flags.model_config_file:
        return models_from_proto(configs.model_server_config(Path(flags.model_config_file)))
    return (ModelConfig(name=flags.model_name, base_path=Path(flags.model_base_path)),)


def _prometheus_path(flags: Flags) -> str | None:
    from serving.embedded import configs

    if not flags.monitoring_config_file:
        return None
    config = configs.monitoring_config(Path(flags.monitoring_config_file)).prometheus_config
    return (config.path or "/monitoring/prometheus/metrics") if config.enable else None


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

        return PooledRunner(flags.rest_api_num_threads or 4 * cpus())
    from serving.embedded import configs
    from serving.embedded.batching import BatchingRunner
    from serving.embedded.batching_options import BatchingOptions

    parameters = (
        configs.batching_parameters(Path(flags.batching_parameters_file))
        if flags.batching_parameters_file
        else configs.default_batching_parameters()
    )
    return BatchingRunner(BatchingOptions.from_proto(parameters, cpus=cpus()), metrics)


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
