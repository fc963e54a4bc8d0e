"""A browser with one page open, for as long as a `with` block lasts, driven by Playwright in its own thread."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Page

# Two features that load hidden pages for the address bar, at 1 s of CPU a start while a model trains beside us; and
# those of Playwright's list that would speak with the outside, because Chromium heeds only the last list it is given.
_DISABLED_FEATURES = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AimEnabled",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PreconnectToSearch",
)
# Beyond Playwright's own flags. QUIC is never right for the loopback.
BROWSER_FLAGS = ("--disable-quic", f"--disable-features={','.join(_DISABLED_FEATURES)}")
_CLOSES_WITHIN_SECONDS = 5.0


@contextmanager
def page_open(
    url: str, *, executable: Path, headless: bool, scratch: Path, broke: Callable[[str], None]
) -> Iterator[None]:
    """Start opening `url` and yield at once; `broke` is told, from another thread, when browser or page end.

    `scratch` takes the browser's profile and `browser.log`, what the page wrote to its console. Browser and driver are
    gone afterwards, always; should this process be killed, they notice that their pipe is closed and end as well.
    """
    ending = _Ending()
    drive = _drive(url, executable=executable, headless=headless, scratch=scratch, broke=broke)
    thread = threading.Thread(target=_until_done, args=(drive, ending, broke), name="web_demo browser")
    thread.start()
    try:
        yield
    finally:
        ending.ask_for_it()
        thread.join()
        _wait_until_gone(scratch / "profile")
        _remove(scratch / "profile")


def _until_done(drive: Coroutine[Any, Any, None], ending: _Ending, broke: Callable[[str], None]) -> None:
    drivers: list[asyncio.SubprocessTransport] = []
    try:
        with asyncio.Runner(loop_factory=lambda: _loop_that_notes(drivers)) as runner:
            try:
                runner.run(ending.awaited_with(drive))
            finally:
                runner.run(_buried(drivers))
    except asyncio.CancelledError:
        pass  # the end of the `with` block
    except Exception as error:  # noqa: BLE001  # Playwright raises plain Exception, too, when its driver is killed
        broke(f"the browser failed: {error}")
    finally:
        broke("the browser is closed")


def _loop_that_notes(children: list[asyncio.SubprocessTransport]) -> asyncio.AbstractEventLoop:
    """An event loop that adds every process that is started on it to `children`."""
    loop = asyncio.new_event_loop()
    start = loop.subprocess_exec

    async def noted(*arguments: Any, **settings: Any) -> Any:
        transport, protocol = await start(*arguments, **settings)
        children.append(transport)
        return transport, protocol

    loop.subprocess_exec = noted  # type: ignore[method-assign]  # Playwright keeps its driver to itself
    return loop


async def _buried(drivers: Sequence[asyncio.SubprocessTransport]) -> None:
    """Wait until the loop has heard that they ended; Playwright does not when it is cancelled or its driver killed.

    A loop that is closed before leaves a process that nobody ever waits for.
    """
    deadline = time.monotonic() + _CLOSES_WITHIN_SECONDS
    for driver in drivers:
        asked = driver.get_pipe_transport(0)
        while asked is not None and asked.is_closing() and driver.get_returncode() is None:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        # Kills it where it was never asked to end.
        driver.close()
        while driver.get_returncode() is None and time.monotonic() < deadline + 1:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.02)
    # Pipes are closed by callbacks.
    await asyncio.sleep(0.02)


def _wait_until_gone(profile: Path) -> None:
    """A browser whose driver was killed ends by itself, a little later, and writes into its profile until then."""
    deadline = time.monotonic() + _CLOSES_WITHIN_SECONDS
    while _holds(profile) and time.monotonic() < deadline:
        time.sleep(0.05)


def _remove(profile: Path) -> None:
    """A browser's helpers that were told to end write into the profile for a moment after it let go of its lock."""
    deadline = time.monotonic() + _CLOSES_WITHIN_SECONDS
    while profile.exists():
        try:
            shutil.rmtree(profile)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _holds(profile: Path) -> bool:
    """Whether a live process holds the profile; its lock is a link to `host-pid`, removed at an orderly end."""
    try:
        os.kill(int(str((profile / "SingletonLock").readlink()).rpartition("-")[2]), 0)
    except (OSError, ValueError):
        return False
    return True


class _Ending:
    """Cancels a coroutine from another thread, whether it has begun or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._cancel: Callable[[], object] | None = None

    def ask_for_it(self) -> None:
        with self._lock:
            self._asked = True
            if self._cancel is not None:
                self._cancel()

    async def awaited_with(self, drive: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(drive)
        loop = asyncio.get_running_loop()
        with self._lock:
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._asked:
                task.cancel()
        try:
            await task
        finally:
            with self._lock:
                self._cancel = None


async def _drive(url: str, *, executable: Path, headless: bool, scratch: Path, broke: Callable[[str], None]) -> None:
    from playwright.async_api import async_playwright

    def note(_: asyncio.AbstractEventLoop, problem: dict[str, Any]) -> None:
        # What Playwright still waited for when its driver was killed; `broke` has told it already.
        _append(scratch / "browser.log", f"left over: {problem.get('exception') or problem['message']}")

    asyncio.get_running_loop().set_exception_handler(note)
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            scratch / "profile",
            # Else in the temporary folder, where a driver that is killed leaves it.
            artifacts_dir=scratch / "artifacts",
            executable_path=executable,
            headless=headless,
            args=list(BROWSER_FLAGS),
            # Chromium refuses to start sandboxed as root.
            chromium_sandbox=os.name == "nt" or os.geteuid() != 0,
            # Ctrl-C ends the `with` block, and that ends the browser: in order, and only once.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        try:
            page = context.pages[0]
            _watch(page, scratch / "browser.log", broke)
            await page.goto(url, wait_until="domcontentloaded")
            # Never resolves, but fails as soon as page, browser or driver end; the death of a driver has no event.
            await page.evaluate("() => new Promise(() => {})")
        finally:
            # A browser that hangs is killed by the driver when the driver ends, so there is no need to wait for long.
            with suppress(TimeoutError):
                await asyncio.wait_for(context.close(), timeout=_CLOSES_WITHIN_SECONDS)


def _watch(page: Page, log: Path, broke: Callable[[str], None]) -> None:
    def note(line: str) -> None:
        _append(log, line)

    page.on("console", lambda message: note(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: note(f"uncaught: {error}"))
    page.on("crash", lambda _: broke("the page crashed: its renderer process is gone"))
    page.on("close", lambda _: broke("the browser, or its page, was closed or killed"))


def _append(log: Path, line: str) -> None:
    with suppress(FileNotFoundError), log.open("a", encoding="utf-8") as file:  # the scratch folder may be gone
        file.write(f"{line}\n")
