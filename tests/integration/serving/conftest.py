"""A real Docker daemon, images that behave and images that do not, a SavedModel, and proof that no container stays."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.errors import EnvironmentProblem
from pipeline.core.signature import Signature, Tensors, TensorSpec
from serving.engines.docker_daemon import connected, find_daemon
from serving.engines.docker_sweep import RUN_LABEL

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture(scope="session")
def docker_client(require: Callable[[str | None], None]) -> Iterator[DockerClient]:
    """A client of the daemon that `make setup` starts; skips when there is none."""
    import docker

    try:
        endpoint = find_daemon()
        with connected(endpoint, call_seconds=5):
            pass
    except EnvironmentProblem as problem:
        require(f"{problem.problem}; {problem.hint}")
    with closing(docker.from_env(timeout=120)) as client:
        yield client


@pytest.fixture(scope="session")
def base_image(docker_client: DockerClient) -> str:
    """A base with a shell, which the server's image stands on, too."""
    from serving.image.build import ensure_base

    return ensure_base(docker_client)


@pytest.fixture(scope="session")
def serving_image(docker_client: DockerClient) -> str:
    """Our own server's image, built when its sources changed. It stands for any image with that entry point."""
    from serving.image.build import ensure_image

    assert docker_client.ping()
    return ensure_image()


@pytest.fixture(scope="session")
def image_that_runs(docker_client: DockerClient, base_image: str) -> Callable[[str], str]:
    """Builds an image whose entry point is a line of shell, and gives its tag. The daemon keeps it."""

    def build(line: str) -> str:
        dockerfile = f'FROM {base_image}\nENTRYPOINT ["/bin/sh", "-c", "{line}"]\n'.encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(dockerfile)
            archive.addfile(entry, io.BytesIO(dockerfile))
        buffer.seek(0)
        image, _ = docker_client.images.build(fileobj=buffer, custom_context=True, rm=True)
        tag = f"tripoint/misbehaving:{str(image.id).partition(':')[2][:12]}"
        assert image.tag(tag)
        return tag

    return build


@pytest.fixture
def no_container_left(docker_client: DockerClient) -> Iterator[None]:
    """Fails when the test leaves a container that it did not find."""

    def names() -> set[str]:
        listed = docker_client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
        return {str(one.name) for one in listed}

    before = names()
    yield
    assert names() <= before


SIGNATURE = Signature(
    name="serving_default",
    inputs=(
        TensorSpec(name="image", dtype="float32", shape=(None, 4, 4, 1)),
        TensorSpec(name="offset", dtype="int64", shape=(None,)),
    ),
    outputs=(
        TensorSpec(name="echo", dtype="float32", shape=(None, 4, 4, 1)),
        TensorSpec(name="label", dtype="string", shape=(None,)),
        TensorSpec(name="position", dtype="int64", shape=(None,)),
        TensorSpec(name="scores", dtype="float32", shape=(None, 3)),
    ),
)


@dataclass(frozen=True, eq=False)
class Exported:
    """Two versions of a SavedModel, and what the first answers in this process."""

    first: Artifact
    second: Artifact
    samples: Tensors
    answers: Tensors


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    import tensorflow as tf

    root = tmp_path_factory.mktemp("store") / "shapes"
    weights = np.random.default_rng(7).normal(size=(2, 16, 3)).astype(np.float32)

    def save(version: int) -> Any:
        module = tf.Module()
        module.kernel = tf.Variable(weights[version - 1])

        def serve(image: Any, offset: Any) -> dict[str, Any]:
            scores = tf.nn.softmax(tf.reshape(image, [-1, 16]) @ module.kernel)
            best = tf.argmax(scores, axis=-1)
            return {
                "echo": image,
                "label": tf.gather(tf.constant(["round", "square", "\xe4"]), best),
                "position": best + offset,
                "scores": scores,
            }

        specs = (tf.TensorSpec([None, 4, 4, 1], tf.float32, "image"), tf.TensorSpec([None], tf.int64, "offset"))
        module.serve = tf.function(serve, input_signature=specs)
        tf.saved_model.save(module, str(root / str(version)), signatures={"serving_default": module.serve})
        return tf.saved_model.load(str(root / str(version))).signatures["serving_default"]

    in_process = save(1)
    save(2)
    generator = np.random.default_rng(3)
    images = generator.normal(size=(10, 4, 4, 1)).astype(np.float32)
    # What is not finite must come through both doors as it is, and so must the sign of zero.
    images[0, 0, :, 0] = (np.nan, np.inf, -np.inf, -0.0)
    samples: Tensors = {"image": images, "offset": generator.integers(-(2**60), 2**60, size=10)}
    answers = in_process(**{name: tf.constant(array) for name, array in samples.items()})
    first = Artifact(
        model="shapes",
        format=Format.SAVED_MODEL,
        precision=Precision.FLOAT32,
        path=root / "1",
        signature=SIGNATURE,
        digest="first",
        made_from=None,
        size_bytes=0,
    )
    return Exported(
        first=first,
        second=replace(first, path=root / "2", digest="second"),
        samples=samples,
        answers={name: tensor.numpy() for name, tensor in answers.items()},
    )
