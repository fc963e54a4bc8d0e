"""The messages are TensorFlow Serving's own, and cost no import of TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import EnvironmentProblem
from serving.protos import enum_numbers, message


def test_asking_a_server_does_not_load_tensorflow(repository: Path) -> None:
    """The command line would start seven seconds later, for a few messages."""
    program = (
        "import sys\n"
        "import serving.runtime\n"
        "assert not {'docker', 'grpc', 'requests', 'tensorflow'} & sys.modules.keys(), 'serving.runtime is heavy'\n"
        "import serving.grpc_client, serving.rest, serving.readiness\n"
        "from serving.protos import message\n"
        "message('tensorflow.serving.PredictRequest')()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=repository, check=True)


def test_the_wire_format_is_what_the_package_defines() -> None:
    """Field numbers from anywhere else would be guesses that a server silently ignores."""
    request = message("tensorflow.serving.PredictRequest")()
    request.model_spec.name = "m"
    request.model_spec.version.value = 3
    request.inputs["x"].dtype = enum_numbers("tensorflow.DataType")["DT_FLOAT"]
    assert request.SerializeToString() == b"\n\x07\n\x01m\x12\x02\x08\x03\x12\x07\n\x01x\x12\x02\x08\x01"


def test_a_package_that_is_not_installed_is_named() -> None:
    """An environment without tensorflow-serving-api must say so, not raise ImportError somewhere below."""
    from serving import protos

    with pytest.raises(EnvironmentProblem, match=r"no_such_package/x\.proto"):
        protos._serialized("no_such_package/x.proto")
