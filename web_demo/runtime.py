"""The browser as a place where artifacts run: TF.js on the parity page, headless unless asked otherwise."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.core.artifact import Artifact
from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, sample_count
from pipeline.core.target import Answers, RuntimeInfo
from web_demo.browser_process import BROWSER_FLAGS, page_open
from web_demo.executable import find_browser
from web_demo.parity_channel import ParityChannel
from web_demo.parity_site import ParitySite
from web_demo.server import serving
from web_demo.static import folder_site
from web_demo.wire import decoded, encoded

DIST = Path(__file__).resolve().parent / "dist"
KERNELS_FILE = "kernels.json"
_SLOWER_AT_MOST = 5
"""How much longer a sample may take in a larger batch than in those before, until the page seems to hang."""


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Chromium or Chrome. `executable` None means the one that `find_browser` finds.

    `page_dist` is the built web app. `answer_within_seconds` bounds the time in which the page shows no progress at
    all, not a whole run: loading a model must fit, and the first batch. Larger ones are given as long as the model's
    pace so far lets them take. Browsers that differ in `lane` only run side by side.
    """

    executable: Path | None = None
    lane: Literal["processor", "graphics"] = "processor"
    headless: bool = True
    page_dist: Path = DIST
    starts_within_seconds: float = 60.0
    answer_within_seconds: float = 120.0

    @property
    def copies(self) -> int:
        """Two where graphics are drawn: a browser has one graphics process, and without a card it fills one core."""
        return 2 if self.lane == "graphics" and (os.cpu_count() or 1) > 1 else 1

    def missing(self) -> str | None:
        if self.executable is not None and not self.executable.is_file():
            return f"there is no browser at {self.executable}: correct `executable`, or leave it out to have one found"
        if self._found is None:
            return "no Chromium or Chrome is installed: `make setup` installs one where it can"
        return web_app_missing(self.page_dist)

    def settings(self) -> Mapping[str, str]:
        found = self._found
        return {
            "executable": str(found),
            # The version would need the browser started; a package manager changes the file with every version.
            "executable_changed": "" if found is None else _changed(found),
            "flags": " ".join(BROWSER_FLAGS),
            "headless": str(self.headless),
            "page": folder_digest(self.page_dist),
        }

    @contextmanager
    def boot(self, scratch: Path) -> Iterator[BrowserSession]:
        reason, executable = self.missing(), self._found
        if reason is not None or executable is None:
            raise TargetFailed(f"the browser cannot start: {reason}", hint="make setup")
        channel = ParityChannel()
        site = ParitySite(channel)
        with (
            serving([site, folder_site("/", self.page_dist)]) as address,
            page_open(
                address + site.page,
                executable=executable,
                headless=self.headless,
                scratch=scratch,
                broke=channel.break_off,
            ),
        ):
            channel.wait_for_page(within_seconds=self.starts_within_seconds)
            yield BrowserSession(channel=channel, site=site, answer_within_seconds=self.answer_within_seconds)

    @property
    def _found(self) -> Path | None:
        return self.executable if self.executable is not None else find_browser()


def web_app_missing(dist: Path = DIST) -> str | None:
    """Why the built web app cannot be used, with the command that mends it; None when it can."""
    lacking = [name for name in ("parity.html", KERNELS_FILE) if not (dist / name).is_file()]
    if not lacking:
        return None
    state = "not built" if "parity.html" in lacking else "older than its sources"
    return f"the web app is {state} ({dist} has no {lacking[0]}): run `make setup`"


def _changed(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).isoformat()


def folder_digest(folder: Path) -> str:
    """SHA-256 (hex) over names and contents of all files below the folder, but for hidden ones."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("[!.]*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class BrowserSession:
    """A parity page that is open and waits."""

    channel: ParityChannel
    site: ParitySite
    answer_within_seconds: float

    @contextmanager
    def load(self, artifact: Artifact, variant: str) -> Iterator[BrowserRunner]:
        """Yield a runner on the backend `variant`: wasm, webgl, cpu or webgpu."""
        facts = json.loads(
            self.channel.ask(
                {"kind": "load", "url": self.site.add_model(artifact.path), "backend": variant},
                within_seconds=self.answer_within_seconds,
            )
        )
        yield BrowserRunner(
            info=RuntimeInfo(runtime="TF.js", version=facts["version"], details=facts["details"]),
            signature=artifact.signature,
            channel=self.channel,
            answer_within_seconds=self.answer_within_seconds,
        )
        # Not after an exception, whose cause it could hide; the page lets go of the old model when it loads the next.
        if not self.channel.broken:
            self.channel.ask({"kind": "unload"}, within_seconds=self.answer_within_seconds)

    def kernels(self, variant: str) -> frozenset[str]:
        """The names of the kernels that the backend `variant` has registered in the page."""
        answer = self.channel.ask({"kind": "kernels", "backend": variant}, within_seconds=self.answer_within_seconds)
        return frozenset(json.loads(answer))


@dataclass(kw_only=True)
class BrowserRunner:
    """One TF.js artifact, loaded in the page."""

    info: RuntimeInfo
    signature: Signature
    channel: ParityChannel
    answer_within_seconds: float
    _seconds_per_sample: float = field(default=0.0, init=False)

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        """Answer all samples. The page cuts the batches, so a call's time has no share of the way there and back."""
        largest = min(batch_size, sample_count(samples))
        at_its_pace = _SLOWER_AT_MOST * largest * self._seconds_per_sample
        body = self.channel.ask(
            {"kind": "run", "batchSize": batch_size},
            inputs=encoded(samples, self.signature),
            within_seconds=max(self.answer_within_seconds, at_its_pace),
        )
        answers = decoded(body, self.signature, sample_count=sample_count(samples))
        if len(answers.call_seconds):
            # The median leaves out the first call, which compiles.
            pace = float(np.median(answers.call_seconds)) / largest
            self._seconds_per_sample = max(self._seconds_per_sample, pace)
        return answers
