"""The folder that a server polls: version folders that appear whole, and one at a time."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.artifact import Artifact
from pipeline.core.errors import EnvironmentProblem, TargetFailed

_READABLE_BY_ALL = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


@dataclass(kw_only=True, eq=False)
class ModelBase:
    """The base path of one model, below a scratch folder. Remembers which artifact each version is."""

    scratch: Path
    model: str
    _digests: dict[int, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.scratch / "models" / self.model

    def create(self) -> None:
        """Make it, empty. A server in a container may run as somebody else, so it is open to read."""
        self.path.mkdir(parents=True)
        self.path.chmod(0o755)

    def place(self, artifact: Artifact) -> tuple[int, bool]:
        """Put the artifact's version there in one step and take others away; return it, and whether it is new there.

        Does nothing when it is there already. Raises TargetFailed when its folder is no version, or when the version
        was another artifact before: a server would go on answering with the old one.
        """
        version = _version(artifact)
        known = self._digests.get(version)
        if known is not None and known != artifact.digest:
            raise TargetFailed(
                f"version {version} of {self.model} was served from another artifact before "
                f"({known[:12]}, now {artifact.digest[:12]})",
                hint="start the server anew, or give the changed model another version number",
            )
        target = self.path / artifact.path.name
        is_new = not target.exists()
        if is_new:
            incoming = self.scratch / "incoming" / artifact.path.name
            try:
                shutil.copytree(artifact.path, incoming, copy_function=_link_or_copy)
                for folder in (incoming, *(path for path in incoming.rglob("*") if path.is_dir())):
                    folder.chmod(0o755)
                incoming.rename(target)
            except (OSError, shutil.Error) as error:
                shutil.rmtree(incoming, ignore_errors=True)
                raise EnvironmentProblem(
                    f"{artifact.label} could not be placed for the server in {self.path}: {error}",
                    hint="look at the free space and the permissions of that folder",
                ) from error
            self._digests[version] = artifact.digest
        # A server keeps to the highest version that it sees, so an older one is served only when it is alone.
        for other in self.path.iterdir():
            if other != target:
                shutil.rmtree(other)
                self._digests.pop(int(other.name), None)
        return version, is_new


def _version(artifact: Artifact) -> int:
    if not artifact.path.name.isdecimal():
        raise TargetFailed(
            f"{artifact.label}: {artifact.path} is not a version folder; a server takes `<model>/<number>/`",
            hint="export it with `tripoint export`",
        )
    return int(artifact.path.name)


def _link_or_copy(source: str, target: str) -> str:
    # A hard link shares the file's mode with the store, so only what everybody may read already is linked.
    if Path(source).stat().st_mode & _READABLE_BY_ALL == _READABLE_BY_ALL:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)
        Path(target).chmod(0o644)
    return target
