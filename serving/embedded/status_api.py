"""The answers about models themselves: GetModelStatus and GetModelMetadata, as protos and as their JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serving.embedded.json_write import encoded
from serving.embedded.status import invalid

if TYPE_CHECKING:
    from serving.embedded.manager import Manager
    from serving.embedded.servable import Servable

SIGNATURE_DEF = "signature_def"


def asked_version(model_spec: Any) -> int | None:
    return model_spec.version.value if model_spec.HasField("version") else None


def model_status(manager: Manager, model_spec: Any) -> Any:
    """A GetModelStatusResponse; a label is ignored, as there. Raises ServingError."""
    from tensorflow_serving.apis import get_model_status_pb2

    response = get_model_status_pb2.GetModelStatusResponse()
    for status in manager.statuses(model_spec.name, asked_version(model_spec)):
        entry = response.model_version_status.add(version=status.version, state=int(status.state))
        entry.status.SetInParent()
        if status.error is not None:
            entry.status.error_code = int(status.error.code)
            entry.status.error_message = status.error.message
    return response


def check_metadata_fields(request: Any) -> None:
    """Raise INVALID_ARGUMENT where a GetModelMetadataRequest asks for nothing, or for what there is not."""
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != SIGNATURE_DEF:
            raise invalid(f"Metadata field {name} is not supported")


def model_metadata(servable: Servable) -> Any:
    """A GetModelMetadataResponse with the signatures."""
    from tensorflow_serving.apis import get_model_metadata_pb2

    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.metadata[SIGNATURE_DEF].Pack(_signature_map(servable))
    return response


def model_status_json(response: Any) -> bytes:
    return encoded(_json(response) + "\n")


def model_metadata_json(servable: Servable) -> bytes:
    """TensorFlow Serving glues two JSON texts together here, line breaks and all."""
    spec = _json(model_metadata(servable).model_spec)
    signatures = _json(_signature_map(servable))
    return encoded(f'{{\n"model_spec":{spec}\n,\n"metadata": {{"signature_def": {signatures}\n}}\n}}\n')


def _signature_map(servable: Servable) -> Any:
    from tensorflow_serving.apis import get_model_metadata_pb2

    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature.definition)
    return signatures


def _json(message: Any) -> str:
    from google.protobuf import json_format

    content = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    text = json.dumps(content, indent=1, ensure_ascii=False)
    # C++ escapes these two, so that the text may stand in HTML.
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
