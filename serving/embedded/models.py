"""Which models to serve, from where, which versions of them, and under which labels."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.embedded.status import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """The `count` highest versions. `once`: stay with what is live, whatever appears."""

    count: int = 1
    once: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class All:
    """Every version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Specific:
    """These versions and no others."""

    versions: frozenset[int]


Policy = Latest | All | Specific


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """One model to serve."""

    name: str
    base_path: Path
    policy: Policy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)


def models_from_proto(config: Any) -> tuple[ModelConfig, ...]:
    """The models of a ModelServerConfig. Raises ServingError for what TensorFlow Serving refuses."""
    models: dict[str, ModelConfig] = {}
    for entry in config.model_config_list.config:
        if entry.name in models:
            raise invalid(f"Illegal to list model {entry.name} multiple times in config list")
        _check_platform(entry)
        models[entry.name] = ModelConfig(
            name=entry.name,
            base_path=Path(entry.base_path),
            policy=_policy(entry.model_version_policy),
            labels=dict(entry.version_labels),
        )
        if not Path(entry.base_path).is_absolute():
            raise invalid(
                f"Expected model {entry.name} to have an absolute path or URI; got base_path()={entry.base_path}"
            )
    return tuple(models.values())


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Every entry of the base path whose name is a number, files and `0001` included. Raises OSError."""
    found = {}
    for child in sorted(base_path.iterdir()):
        version = _version_number(child.name)
        if version is not None:
            found[version] = child
    return found


def wanted_versions(policy: Policy, on_disk: Mapping[int, Path], live: frozenset[int]) -> dict[int, Path]:
    """The versions that should be served, of those that are there."""
    match policy:
        case Latest(once=True) if live:
            return {version: path for version, path in on_disk.items() if version in live}
        case Latest(count=count):
            return {version: on_disk[version] for version in sorted(on_disk, reverse=True)[: max(count, 1)]}
        case All():
            return dict(on_disk)
        case Specific(versions=versions):
            return {version: path for version, path in on_disk.items() if version in versions}


def folder_contents(path: Path) -> tuple[object, ...]:
    """Names, sizes and times of what lies in a version's folder: equal as long as nobody writes there."""
    entries: list[tuple[str, int, int]] = []
    try:
        for entry in (path, *path.rglob("*")):
            about = entry.stat()
            entries.append((str(entry), about.st_size, about.st_mtime_ns))
    except OSError as error:
        # It is being written or taken away at this very moment: not equal to anything that holds still.
        entries.append((str(error), time.monotonic_ns(), 0))
    return tuple(sorted(entries))


def _version_number(name: str) -> int | None:
    text = name.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    version = int(text)
    return version if version in _INT64 and version >= 0 else None


def _check_platform(entry: Any) -> None:
    from tensorflow_serving.config import model_server_config_pb2

    platform = entry.model_platform
    if entry.model_type != model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if platform:
            raise invalid("Illegal setting both model_type(deprecated) and model_platform.")
        platform = "tensorflow" if entry.model_type == model_server_config_pb2.TENSORFLOW else "other"
    if not platform:
        raise invalid("Illegal setting neither model_type(deprecated) nor model_platform.")
    if platform != "tensorflow":
        raise invalid(f"Model {entry.name}: platform {platform} is not served here, only tensorflow")


def _policy(proto: Any) -> Policy:
    match proto.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(versions=frozenset(proto.specific.versions))
        case _:
            return Latest(count=proto.latest.num_versions or 1)
