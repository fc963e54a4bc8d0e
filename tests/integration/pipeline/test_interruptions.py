"""What is cut off, killed or out of space: nothing stays behind, and the verdict says what broke."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.pipeline.project import TRIPOINT, Project

SOON_SECONDS = 20.0

# A terminal's Ctrl-C, and a CI that cancels a job, reach every process of the group: servers and browsers, too.


def interrupt_group(pid: int) -> None:
    os.killpg(pid, signal.SIGINT)


def terminate_group(pid: int) -> None:
    os.killpg(pid, signal.SIGTERM)


def terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A `tripoint run` that is under way, with a temporary folder of its own by which its processes are known."""

    process: subprocess.Popen[str]
    temporary: Path

    def until(self, line: str) -> None:
        """Read its progress up to a line that begins like this."""
        assert self.process.stderr is not None
        seen = []
        for said in self.process.stderr:
            seen.append(said)
            if said.startswith(line):
                return
        raise AssertionError(f"it ended before it said {line!r}:\n{''.join(seen)}")

    def processes(self, name: str = "") -> list[int]:
        """Every live process below the run, or that inherited its temporary folder, whose command line holds `name`."""
        marker = f"TMPDIR={self.temporary}".encode()
        # A browser's renderers write over their environment, so they are known by their parents.
        below = descendants(self.process.pid)
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                mine = int(folder.name) in below or marker in (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            # A zombie has no command line, and is its new parent's to bury.
            if mine and command and name in command:
                found.append(int(folder.name))
        return found

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=100)
        return self.process.returncode, out, err

    def assert_nothing_left(self) -> None:
        deadline = time.monotonic() + SOON_SECONDS
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == []


@contextmanager
def running(project: Project, *arguments: str) -> Iterator[Running]:
    # Short, as users have it: the address of a Unix socket in it has a hundred characters at most.
    temporary = Path(tempfile.mkdtemp(prefix="tp-", dir="/tmp"))
    process = subprocess.Popen(
        [str(TRIPOINT), "run", "digits", "--engine", "embedded", "--json", "--verbose", *arguments],
        cwd=project.folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    under_way = Running(process=process, temporary=temporary)
    try:
        yield under_way
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(temporary)


def forget(project: Project, *stages: str) -> None:
    """Remove results from the project's store, so that they have to be made again."""
    for stage in stages:
        for folder in (project.folder / ".tripoint/digits").glob(stage):
            shutil.rmtree(folder)


def half_made(folder: Path) -> list[Path]:
    return list(folder.rglob("aside-*"))


@pytest.mark.parametrize(
    ("forgotten", "moment", "send"),
    [
        ("*", "train: started", interrupt_group),
        ("*", "train: 2/20", terminate),
        ("convert-*", "convert tflite float32: started", interrupt_group),
        ("record-*", "record browser/webgl float32: started", terminate_group),
        ("record-*", "record server/rest float32: started", terminate),
    ],
    ids=["Ctrl-C while it trains", "SIGTERM while it trains", "Ctrl-C while it converts", "CI cancels", "SIGTERM"],
)
def test_an_interrupted_run_leaves_nothing(
    finished: Project, tmp_path: Path, forgotten: str, moment: str, send: Callable[[int], None]
) -> None:
    """Servers and browsers would pile up on a user's machine, and half-made artifacts in the store."""
    project = finished.copy(tmp_path / "copy")
    forget(project, forgotten)
    with running(project) as run:
        run.until(moment)
        send(run.process.pid)
        status, _, err = run.finish()
        assert status == 130, err
        assert "Traceback" not in err
        assert "never retrieved" not in err
        assert "interrupted" in err
        run.assert_nothing_left()
        assert list(run.temporary.iterdir()) == []
    assert half_made(project.folder) == []


def test_nothing_outlives_a_killed_run(finished: Project, tmp_path: Path) -> None:
    """An out-of-memory kill would leave a model server listening for ever."""
    project = finished.copy(tmp_path / "copy")
    forget(project, "record-*")
    with running(project) as run:
        run.until("record browser/webgl float32: started")
        assert len(run.processes()) > 5
        run.process.kill()
        run.process.wait()
        run.assert_nothing_left()
    assert project.run()["verdict"]["agrees"]
    assert half_made(project.folder) == []


def test_one_run_of_a_model_at_a_time(finished: Project, tmp_path: Path) -> None:
    """Two jobs of a CI in one workspace would sweep away and publish over what the other one makes."""
    project = finished.copy(tmp_path / "copy")
    forget(project, "record-*")
    only = ("--target", "edge/*", "--target", "browser/cpu")
    with running(project, *only) as first:
        first.until("record edge/litert float32: started")
        told = f"another run (process {first.process.pid}, since "
        with running(project, *only) as second:
            second.until(f"waiting: {told}")
            refused = project.tripoint("run", "digits", "--no-wait", *only)
            assert refused.returncode == 3
            assert told in refused.stderr
            first.process.kill()
            first.process.wait()
            status, out, err = second.finish()
            assert status == 0, err
            assert json.loads(out)["verdict"]["agrees"]
            second.assert_nothing_left()
        first.assert_nothing_left()
    assert half_made(project.folder) == []


@pytest.mark.parametrize(
    ("killed", "moment", "broken"),
    [
        ("--type=renderer", "record browser/webgl float32: started", "browser/"),
        ("chrom", "record browser/webgl float32: started", "browser/"),
    ],
)
def test_a_runtime_that_dies_is_named_and_the_others_are_judged(
    finished: Project, tmp_path: Path, killed: str, moment: str, broken: str
) -> None:
    """One crashed browser would hide that everything else agrees; or worse, pass."""
    project = finished.copy(tmp_path / "copy")
    forget(project, "record-*", "convert-*")
    with running(project) as run:
        run.until(moment)
        for process in run.processes(killed):
            with_kill(process)
        status, out, _ = run.finish()
        run.assert_nothing_left()
    verdict = json.loads(out)["verdict"]
    assert status == 3, verdict["headline"]
    assert not verdict["agrees"]
    assert verdict["errored"]
    assert all(label.startswith(broken) for label in verdict["errored"])
    assert {"server/rest float32", "server/grpc float32", "saved_model float32"} <= set(verdict["passed"])
    assert project.run()["verdict"]["agrees"], "what broke is tried again, and only that"


def test_a_server_that_dies_is_named_and_the_others_are_judged(finished: Project, tmp_path: Path) -> None:
    """A server that falls over under the first requests would be shipped."""
    project = finished.copy(tmp_path / "copy")
    forget(project, "record-server*")
    with running(project, "--target", "server/*", "--target", "edge/litert") as run:
        run.until("record server/rest float32: started")
        deadline = time.monotonic() + SOON_SECONDS
        while not (servers := [process for process in run.processes() if listens(process)]):
            assert time.monotonic() < deadline, "no server came up"
            time.sleep(0.001)
        for process in servers:
            with_kill(process)
        status, out, _ = run.finish()
        run.assert_nothing_left()
    verdict = json.loads(out)["verdict"]
    assert status == 3
    assert set(verdict["errored"]) <= {"server/rest float32", "server/grpc float32"}
    assert "edge/litert int8" in verdict["passed"]


def test_a_full_disk_while_converting_is_named(
    finished: Project, tmp_path: Path, require: Callable[[str | None], None]
) -> None:
    """A user would read a traceback from inside a converter, and find half a file."""
    require(None if os.geteuid() == 0 else "only root can mount a small disk to fill")
    project = Project(folder=tmp_path)
    shutil.copy(finished.folder / "tripoint.toml", tmp_path)
    disk = tmp_path / ".tripoint"
    disk.mkdir()
    kept = ["train", "export"]
    needed = sum(
        path.stat().st_size for stage in kept for path in (finished.folder / ".tripoint/digits" / stage).rglob("*")
    )
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={needed + 120_000}", "tmpfs", str(disk)], check=True, capture_output=True
    )
    try:
        for stage in kept:
            shutil.copytree(finished.folder / ".tripoint/digits" / stage, disk / "digits" / stage)
        done = project.tripoint("convert", "digits")
        assert done.returncode == 3, done.stderr
        assert "the disk is full" in done.stderr
        assert "tripoint.toml" in done.stderr
        assert "Traceback" not in done.stderr
        assert half_made(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_taken_port_is_named(finished: Project) -> None:
    """A user would talk to somebody else's server."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = finished.tripoint("serve", "digits", "--engine", "embedded", "--rest-port", str(port))
    assert done.returncode == 3
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_no_docker_daemon_is_named(finished: Project) -> None:
    """A user would not know whether to start, install or be allowed to use Docker."""
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = finished.tripoint("run", "digits", "--engine", "docker", env=nowhere)
    assert done.returncode == 3
    assert "nowhere/docker.sock" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_browser_is_named_and_can_be_gone_without(finished: Project, tmp_path: Path) -> None:
    """A user on a server without a browser would have no verdict at all, or one that hides what was left out."""
    project = finished.copy(tmp_path / "copy")
    settings = project.folder / "tripoint.toml"
    settings.write_text(settings.read_text().replace("[browser]\n", '[browser]\nexecutable = "/nowhere/chromium"\n'))
    refused = project.tripoint("run", "digits", "--engine", "embedded")
    assert refused.returncode == 3
    assert "/nowhere/chromium" in refused.stderr
    assert "--allow-missing" in refused.stderr
    without = project.tripoint("run", "digits", "--engine", "embedded", "--allow-missing", "--json")
    verdict = json.loads(without.stdout)["verdict"]
    assert without.returncode == 0
    assert len(verdict["skipped"]) == 9
    assert "9 skipped" in verdict["headline"]


def descendants(ancestor: int) -> set[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold spaces.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    wanted = [ancestor]
    while wanted:
        below = children.get(wanted.pop(), [])
        found.update(below)
        wanted.extend(below)
    return found


def with_kill(process: int) -> None:
    """SIGKILL, for a process that may be gone already."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def listens(process: int) -> bool:
    """Whether the process listens on a TCP port, by the kernel's own tables."""
    try:
        sockets = {str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()}
        lines = Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return False
    listening = {f"socket:[{fields[9]}]" for fields in map(str.split, lines) if fields[3] == "0A"}
    return bool(sockets & listening)
