"""TensorFlow Serving's message classes without TensorFlow.

Importing `tensorflow_serving.apis.predict_pb2` runs `tensorflow/__init__.py`, because the tensor messages live in that
package: 7 seconds of processor time for a client that only wants to write a few messages. Every generated `*_pb2.py`
carries its file descriptor as one bytes literal, so we read those literals from the installed files, without running
them, into a descriptor pool of our own. The pool is private: TensorFlow may be imported into the same process later and
registers the same files in the global one.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

from pipeline.core.errors import EnvironmentProblem

_FILES = (
    "tensorflow_serving/apis/predict.proto",
    "tensorflow_serving/apis/get_model_status.proto",
    "tensorflow_serving/apis/get_model_metadata.proto",
)


@functools.cache
def message(name: str) -> Any:
    """The message class of that full name, such as `tensorflow.serving.PredictRequest`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@functools.cache
def enum_numbers(name: str) -> dict[str, int]:
    """The values of the enum of that full name, such as `tensorflow.DataType`."""
    return {value.name: value.number for value in _pool().FindEnumTypeByName(name).values}


@functools.cache
def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    added = {wrappers.name}

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        file = descriptor_pb2.FileDescriptorProto.FromString(_serialized(name))
        for dependency in file.dependency:
            add(dependency)
        pool.Add(file)

    for name in _FILES:
        add(name)
    return pool


def _serialized(proto: str) -> bytes:
    # TensorFlow's wheel keeps the files that XLA's build names `xla/...` in a folder of its own.
    path = f"tensorflow/compiler/{proto}" if proto.startswith("xla/") else proto
    package, _, rest = path.partition("/")
    # `find_spec` of a top-level package looks for it and does not run it.
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        generated = Path(root) / rest.replace(".proto", "_pb2.py")
        if generated.is_file():
            return _literal(generated)
    raise EnvironmentProblem(
        f"{proto} is not among the installed packages, and without it a model server cannot be asked over gRPC",
        hint="make setup",
    )


def _literal(generated: Path) -> bytes:
    for node in ast.walk(ast.parse(generated.read_bytes())):
        match node:
            case ast.Call(func=ast.Attribute(attr="AddSerializedFile"), args=[ast.Constant(value=bytes(value))]):
                return value
            case _:
                pass
    raise EnvironmentProblem(f"{generated} holds no file descriptor", hint="make setup")
