"""Both doors of any model server, by address: what it says that it has, and what it answers, taken as it comes.

For looking into a server, not for speed. The runners of the pipeline hold every answer against the signature and refuse
what does not fit; here that is the very thing to be seen.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import grpc
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from serving.grpc_client import channel_to, unary, version_states
from serving.protos import enum_numbers, message
from serving.rest import connection_to, request_body
from serving.tensors import DTYPE_OF_KIND, from_proto, to_proto

_HINT = "look at the address, and at whether the server knows the model under this name"
_SHOWN_BYTES = 300


class Door(Protocol):
    """One way into a server. All raise TargetFailed when it does not answer, or refuses."""

    @property
    def name(self) -> str: ...

    def states(self, model: str) -> Mapping[int, str]:
        """The state of each version that it knows, such as AVAILABLE."""
        ...

    def signatures(self, model: str, version: int | None) -> tuple[int, Mapping[str, Signature]]:
        """The version that was meant, and its signatures by name. None asks for the one that serves by default."""
        ...

    def predict(self, model: str, samples: Tensors, signature: Signature, version: int | None) -> Tensors:
        """What it answers to all samples in one request, under the names and dtypes that came."""
        ...


@dataclass(frozen=True, kw_only=True)
class RestDoor:
    """REST at `host:port`. JSON has no dtypes: whole numbers come as int64, others as float64."""

    address: str
    within_seconds: float = 30.0
    name: str = "REST"

    def states(self, model: str) -> Mapping[int, str]:
        versions = self._ask("GET", f"/v1/models/{model}")["model_version_status"]
        return {int(each["version"]): str(each["state"]) for each in versions}

    def signatures(self, model: str, version: int | None) -> tuple[int, Mapping[str, Signature]]:
        answer = self._ask("GET", f"/v1/models/{model}{_versions(version)}/metadata")
        found = answer["metadata"]["signature_def"]
        # TensorFlow Serving wraps the map in a field of the same name.
        by_name = found.get("signature_def", found)
        return int(answer["model_spec"]["version"]), {
            name: Signature(
                name=name,
                inputs=tuple(_spec_of_json(key, each) for key, each in sorted(given.get("inputs", {}).items())),
                outputs=tuple(_spec_of_json(key, each) for key, each in sorted(given.get("outputs", {}).items())),
            )
            for name, given in by_name.items()
            if not name.startswith("__")
        }

    def predict(self, model: str, samples: Tensors, signature: Signature, version: int | None) -> Tensors:
        body = request_body(samples, signature)
        rows = self._ask("POST", f"/v1/models/{model}{_versions(version)}:predict", body)["predictions"]
        if rows and isinstance(rows[0], dict) and "b64" not in rows[0]:
            return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
        # A single output comes without its name.
        name = signature.output_names[0] if len(signature.outputs) == 1 else ""
        return {name: np.asarray(rows)}

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        try:
            with connection_to(self.address) as connection:
                connection.timeout = self.within_seconds
                connection.request(method, path, body, {"Content-Type": "application/json"})
                with connection.getresponse() as response:
                    status, content = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise TargetFailed(f"nobody answers at {self.address}: {error}", hint=_HINT) from error
        shown = content[:_SHOWN_BYTES].decode(errors="replace").strip()
        if status != http.HTTPStatus.OK:
            raise TargetFailed(f"{method} {path}: status {status}: {shown}", hint=_HINT)
        try:
            return json.loads(content)
        except ValueError as error:
            raise TargetFailed(f"{method} {path}: no JSON came: {shown}", hint=_HINT) from error


@dataclass(frozen=True, kw_only=True)
class GrpcDoor:
    """gRPC at `host:port`."""

    address: str
    within_seconds: float = 30.0
    name: str = "gRPC"

    def states(self, model: str) -> Mapping[int, str]:
        with channel_to(self.address) as channel:
            states, said = version_states(channel, model=model, within_seconds=self.within_seconds)
        if not states:
            raise TargetFailed(f"the status of {model}: {said}", hint=_HINT)
        return {version: state.state for version, state in states.items()}

    def signatures(self, model: str, version: int | None) -> tuple[int, Mapping[str, Signature]]:
        request = message("tensorflow.serving.GetModelMetadataRequest")()
        _name(request.model_spec, model, version)
        request.metadata_field.append("signature_def")
        answer = self._call("PredictionService/GetModelMetadata", "GetModelMetadataResponse", request)
        given = message("tensorflow.serving.SignatureDefMap")()
        answer.metadata["signature_def"].Unpack(given)
        return int(answer.model_spec.version.value), {
            name: Signature(name=name, inputs=_specs(each.inputs), outputs=_specs(each.outputs))
            for name, each in given.signature_def.items()
            if not name.startswith("__")
        }

    def predict(self, model: str, samples: Tensors, signature: Signature, version: int | None) -> Tensors:
        request = message("tensorflow.serving.PredictRequest")()
        _name(request.model_spec, model, version)
        request.model_spec.signature_name = signature.name
        for spec in signature.inputs:
            request.inputs[spec.name].CopyFrom(to_proto(samples[spec.name], spec.dtype))
        answer = self._call("PredictionService/Predict", "PredictResponse", request)
        return {name: from_proto(proto) for name, proto in answer.outputs.items()}

    def _call(self, method: str, response: str, request: Any) -> Any:
        with channel_to(self.address) as channel:
            try:
                return unary(channel, method, response)(request, timeout=self.within_seconds)
            except grpc.RpcError as error:
                call = cast("grpc.Call", error)
                raise TargetFailed(f"{method}: {call.code().name}: {call.details()}", hint=_HINT) from error


def _versions(version: int | None) -> str:
    return "" if version is None else f"/versions/{version}"


def _name(spec: Any, model: str, version: int | None) -> None:
    spec.name = model
    if version is not None:
        spec.version.value = version


def _spec_of_json(name: str, given: Mapping[str, Any]) -> TensorSpec:
    shape = given.get("tensor_shape", {})
    sizes = tuple(int(dim["size"]) for dim in shape.get("dim", ()))
    return TensorSpec(name=name, dtype=_dtype(str(given["dtype"])), shape=_open(sizes))


def _specs(given: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    numbers = {number: kind for kind, number in enum_numbers("tensorflow.DataType").items()}
    return tuple(
        TensorSpec(
            name=name,
            dtype=_dtype(numbers[info.dtype]),
            shape=_open(tuple(int(dim.size) for dim in info.tensor_shape.dim)),
        )
        for name, info in sorted(given.items())
    )


def _dtype(kind: str) -> str:
    return DTYPE_OF_KIND.get(kind, kind)


def _open(sizes: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else size for size in sizes)


def as_array(values: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """What came over JSON as the dtype that it stands for, when whole numbers and floats are all that tells them."""
    return values.astype(spec.dtype) if spec.dtype != "string" and values.dtype.kind in "fiub" else values
