"""The text-format protobuf files that flags name: models, batching, monitoring, TLS."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from serving.embedded.status import Code, ServingError, invalid

_STRING, _BOOL, _INT64, _FLOAT = "string", "bool", "int64", "float"

_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    # Messages of TensorFlow Serving that tensorflow-serving-api does not carry: field -> (number, type, repeated).
    # Wrapped values are written `{ value: 4 }` in the files.
    "Int64Value": {"value": (1, _INT64, False)},
    "BoolValue": {"value": (1, _BOOL, False)},
    "StringValue": {"value": (1, _STRING, False)},
    "DoubleValue": {"value": (1, _FLOAT, False)},
    "BatchingParameters": {
        "max_batch_size": (1, "Int64Value", False),
        "batch_timeout_micros": (2, "Int64Value", False),
        "max_enqueued_batches": (3, "Int64Value", False),
        "num_batch_threads": (4, "Int64Value", False),
        "thread_pool_name": (5, "StringValue", False),
        "allowed_batch_sizes": (6, _INT64, True),
        "pad_variable_length_inputs": (7, _BOOL, False),
        "enable_large_batch_splitting": (8, "BoolValue", False),
        "max_execution_batch_size": (9, "Int64Value", False),
    },
    "PrometheusConfig": {"enable": (1, _BOOL, False), "path": (2, _STRING, False)},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig", False)},
    "SSLConfig": {
        "server_key": (1, _STRING, False),
        "server_cert": (2, _STRING, False),
        "custom_ca": (3, _STRING, False),
        "client_verify": (4, _BOOL, False),
    },
}
_PACKAGE = "tripoint.serving.embedded"


def read_text_proto(path: Path, message: Any) -> Any:
    """Fill `message` from a text-format file. Raises ServingError that names the file and what is wrong in it."""
    from google.protobuf import text_format

    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"{path}; {error.strerror}") from None
    except UnicodeDecodeError:
        raise invalid(f"Invalid protobuf file: '{path}': not UTF-8") from None
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise invalid(f"Invalid protobuf file: '{path}': {error}") from None


def batching_parameters(path: Path) -> Any:
    return read_text_proto(path, _message("BatchingParameters"))


def default_batching_parameters() -> Any:
    return _message("BatchingParameters")


def monitoring_config(path: Path) -> Any:
    return read_text_proto(path, _message("MonitoringConfig"))


def ssl_config(path: Path) -> Any:
    return read_text_proto(path, _message("SSLConfig"))


def model_server_config(path: Path) -> Any:
    from tensorflow_serving.config import model_server_config_pb2

    return read_text_proto(path, model_server_config_pb2.ModelServerConfig())


def _message(name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    types = descriptor_pb2.FieldDescriptorProto
    kinds = {_STRING: types.TYPE_STRING, _BOOL: types.TYPE_BOOL, _INT64: types.TYPE_INT64, _FLOAT: types.TYPE_DOUBLE}
    file = descriptor_pb2.FileDescriptorProto(name="embedded_configs.proto", package=_PACKAGE, syntax="proto3")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind, repeated) in fields.items():
            field = message.field.add(name=field_name, number=number)
            field.label = types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL
            if kind in kinds:
                field.type = kinds[kind]
            else:
                field.type = types.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
