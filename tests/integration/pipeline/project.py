"""A project folder, and the command line run in it as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRIPOINT = Path(sys.executable).with_name("tripoint")
RUN_WITHIN_SECONDS = 280


@dataclass(frozen=True, kw_only=True)
class Project:
    """A folder with a tripoint.toml, and the command line run in it."""

    folder: Path

    def tripoint(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRIPOINT), *arguments],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN_SECONDS,
            check=False,
        )

    def run(self, *arguments: str) -> dict[str, Any]:
        """`tripoint run digits --json`, which must agree; its JSON."""
        done = self.tripoint("run", "digits", "--engine", "embedded", "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.folder / "build/digits/report/report.json").read_text())
        return report

    def copy(self, to: Path) -> Project:
        """The same project with all its results, to be damaged."""
        shutil.copytree(self.folder, to, symlinks=True)
        return Project(folder=to)
