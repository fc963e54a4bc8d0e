"""The command line: TensorFlow Serving's flags in its spelling, and three of our own.

Each flag of `tensorflow_model_server` stands in one of three tables: served, accepted because it changes nothing that a
client could see, or refused by name. None is ignored in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from serving.embedded.status import ServingError, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What the server was started with; names, types and defaults are TensorFlow Serving's, except where it says so."""

    port: int = field(default=8500, metadata={"help": "gRPC port; 0: none, or chosen by the system with --ports_file"})
    grpc_socket_path: str = field(default="", metadata={"help": "unix socket for gRPC, beside the port"})
    rest_api_port: int = field(default=0, metadata={"help": "REST port; 0: none, or as for --port"})
    rest_api_num_threads: int = field(default=0, metadata={"help": "threads that run REST calls; 0: four a CPU"})
    rest_api_timeout_in_ms: int = field(default=30000, metadata={"help": "of one REST call"})
    rest_api_enable_cors_support: bool = field(default=False, metadata={"help": "send CORS headers"})
    enable_batching: bool = field(default=False, metadata={"help": "merge requests into batches"})
    batching_parameters_file: str = field(default="", metadata={"help": "BatchingParameters as text proto"})
    model_config_file: str = field(default="", metadata={"help": "ModelServerConfig as text proto"})
    model_config_file_poll_wait_seconds: int = field(default=0, metadata={"help": "0: read once"})
    model_name: str = field(default="default", metadata={"help": "name of the one model"})
    model_base_path: str = field(default="", metadata={"help": "folder of its versions"})
    max_num_load_retries: int = field(default=5, metadata={"help": "after a first failure"})
    load_retry_interval_micros: int = field(default=60_000_000, metadata={"help": "between two tries"})
    file_system_poll_wait_seconds: int = field(default=1, metadata={"help": "between looks; 0: once"})
    tensorflow_session_parallelism: int = field(default=0, metadata={"help": "threads; 0: automatic"})
    tensorflow_intra_op_parallelism: int = field(default=0, metadata={"help": "threads in one operation"})
    tensorflow_inter_op_parallelism: int = field(default=0, metadata={"help": "operations side by side"})
    tensorflow_session_config_file: str = field(default="", metadata={"help": "ConfigProto as text proto"})
    saved_model_tags: str = field(default="serve", metadata={"help": "comma-separated"})
    grpc_channel_arguments: str = field(default="", metadata={"help": "comma-separated key=value"})
    grpc_max_threads: int = field(
        default=0, metadata={"help": "threads for RPCs that would hold up the others; 0: four a CPU, 16 at least"}
    )
    ssl_config_file: str = field(default="", metadata={"help": "SSLConfig as text proto: TLS for gRPC"})
    monitoring_config_file: str = field(default="", metadata={"help": "MonitoringConfig as text proto"})
    enable_model_warmup: bool = field(default=True, metadata={"help": "replay warmup requests before serving"})
    num_request_iterations_for_warmup: int = field(default=1, metadata={"help": "times that each is replayed"})
    allow_version_labels_for_unavailable_models: bool = field(default=False, metadata={"help": "for new labels"})
    enable_grpc_healthcheck_service: bool = field(default=False, metadata={"help": "the standard health service"})
    version: bool = field(default=False, metadata={"help": "print versions and exit"})
    host: str = field(default="127.0.0.1", metadata={"help": "our own: address to listen on (there: all)"})
    ports_file: str = field(default="", metadata={"help": "our own: write the ports there as JSON once listening"})
    rest_api_max_body_bytes: int = field(default=512 * 1024 * 1024, metadata={"help": "our own: a 413 beyond"})

    @property
    def session_threads(self) -> tuple[int, int]:
        """Intra-op and inter-op."""
        both = self.tensorflow_session_parallelism
        return self.tensorflow_intra_op_parallelism or both, self.tensorflow_inter_op_parallelism or both

    @property
    def ports_file_path(self) -> Path | None:
        return Path(self.ports_file) if self.ports_file else None


WITHOUT_EFFECT = {
    "flush_filesystem_caches": "an optimization of memory",
    "num_load_threads": "versions are loaded one after the other, beside what is served",
    "num_unload_threads": "versions are unloaded one after the other",
    "remove_unused_fields_from_bundle_metagraph": "an optimization of memory",
    "enable_signature_method_name_check": "false, the default, is what is done",
    "xla_cpu_compilation_enabled": "false, the default, is what is done",
    "per_process_gpu_memory_fraction": "0, the default, is what is done",
    "use_alts_credentials": "false, the default, is what is done",
    "prefer_tflite_model": "false, the default, is what is done",
    "enable_profiler": "this server has no profiler service to switch off",
    "enable_per_model_batching_parameters": "false, the default, is what is done",
    "enforce_session_run_timeout": "time-outs are the doors' own",
    "mixed_precision": "empty, the default, is what is done",
    "skip_initialize_tpu": "there is no TPU",
    "enable_serialization_as_tensor_content": "false, the default, is what is done",
    "force_allow_any_version_labels_for_unavailable_models": "false, the default, is what is done",
    "num_tflite_pools": "no TFLite models are served",
    "num_tflite_interpreters_per_pool": "no TFLite models are served",
}
"""Flags that are taken with the value that says what is done anyway, each with the reason."""

_ANY_VALUE = frozenset(
    {
        "flush_filesystem_caches",
        "num_load_threads",
        "num_unload_threads",
        "remove_unused_fields_from_bundle_metagraph",
        "enforce_session_run_timeout",
        "skip_initialize_tpu",
        "enable_profiler",
        "num_tflite_pools",
        "num_tflite_interpreters_per_pool",
    }
)

REFUSED = {
    "platform_config_file": "platforms other than TensorFlow's are not served",
    "thread_pool_factory_config_file": "thread pools are not pluggable here",
}


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Read `--name=value`, `--name value`, `-name=value`, and bare `--name` for true. Raises ServingError."""
    kinds = {spec.name: type(spec.default) for spec in fields(Flags)}
    given: dict[str, object] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument.lstrip("-") == "":
            raise invalid(f"unknown argument: {argument}")
        name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
        kind = kinds.get(name, str)
        known = name in kinds or name in WITHOUT_EFFECT or name in REFUSED
        if not known:
            raise _unknown(name, list(kinds))
        if not equals:
            follows = bool(rest) and not rest[0].startswith("--")
            if kind is bool or name in WITHOUT_EFFECT:
                value = rest.pop(0) if follows and rest[0].lower() in _TRUTH else "true"
            elif follows:
                value = rest.pop(0)
            else:
                raise invalid(f"--{name} needs a value")
        if name in REFUSED:
            raise invalid(f"--{name} is not supported by the embedded server: {REFUSED[name]}")
        if name in WITHOUT_EFFECT:
            _check_without_effect(name, value)
        else:
            given[name] = _converted(name, value, kind)
    return _checked(Flags(**given))  # type: ignore[arg-type]  # converted to each field's own type


def usage() -> str:
    """One line a flag."""
    lines = [f"  --{spec.name}={spec.default!s:12} {spec.metadata['help']}" for spec in fields(Flags)]
    return "usage: python -m serving.embedded [flags]\nFlags:\n" + "\n".join(lines) + "\n"


_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def _converted(name: str, value: str, kind: type) -> object:
    if kind is bool:
        if value.lower() not in _TRUTH:
            raise invalid(f"--{name} is a truth value (true or false), but was given {value!r}")
        return _TRUTH[value.lower()]
    if kind is int:
        try:
            return int(value)
        except ValueError:
            raise invalid(f"--{name} is a whole number, but was given {value!r}") from None
    return value


def _check_without_effect(name: str, value: str) -> None:
    if name in _ANY_VALUE:
        return
    if value.lower() not in ("", "false", "0", "0.0"):
        raise invalid(f"--{name}={value} is not supported by the embedded server: {WITHOUT_EFFECT[name]}")


def _checked(flags: Flags) -> Flags:
    if flags.version:
        return flags
    if not flags.model_base_path and not flags.model_config_file:
        raise invalid("Both --model_base_path and --model_config_file are empty!")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise invalid("--batching_parameters_file is set without setting --enable_batching to true.")
    for name in ("port", "rest_api_port"):
        port = getattr(flags, name)
        if not 0 <= port <= 65535:
            raise invalid(f"--{name} must lie between 0 and 65535, but was given {port}")
    if flags.port and flags.port == flags.rest_api_port:
        raise invalid(f"--rest_api_port cannot be same as --port ({flags.port}). Use a different port for REST.")
    return flags


def _unknown(name: str, known: list[str]) -> ServingError:
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return invalid(f"unknown flag: --{name}" + (f" (did you mean --{near[0]}?)" if near else ""))
